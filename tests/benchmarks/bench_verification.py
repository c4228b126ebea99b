"""Verifying one receipt, after import, against nothing but its two signatures and one hash of its bytes.

    python tests/benchmarks/bench_verification.py [--rounds 500]

The peer verifies two Ed25519 signatures (the issuer's and the log's), with keys and messages that lie ready, and hashes
the bundle's bytes once: no verifier can do with less. By turns, medians. The goal: under 5 ms a receipt.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from retentiond.verify import Verifier
from retentiond.verify.keyring import pin
from tests.vectors.make import RECEIPTS

BUNDLES = {
    "run": "a run, with annex, an account and three items",
    "annex-null": "the same without the annex, as a customer has it",
    "closure": "a closure, with the list of its runs",
}


def peer(bundle: bytes) -> Callable[[], None]:
    """Give a function that verifies the two signatures and hashes the bytes."""
    document = json.loads(bundle)
    envelope = document["dsseEnvelope"]
    body, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)
    issuer = load_pem_public_key((RECEIPTS / "keys" / "issuer.pem").read_bytes())
    text, _, line = document["tlogProof"].partition("\n\n")[2].rpartition("\n\n")
    log_key = base64.b64decode((RECEIPTS / "keys" / "log.vkey").read_text().strip().split("+", 2)[2])[1:]
    log, note = Ed25519PublicKey.from_public_bytes(log_key), text.encode() + b"\n"
    signatures = (base64.b64decode(envelope["signatures"][0]["sig"]), base64.b64decode(line.split(" ")[2])[4:])

    def verify() -> None:
        issuer.verify(signatures[0], pae)  # type: ignore[union-attr, call-arg]
        log.verify(signatures[1], note)
        hashlib.sha256(bundle).digest()

    return verify


def timed(function: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    started = perf_counter()
    function()
    return (perf_counter() - started) * 1000


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description="one receipt verified against its signatures alone")
    parser.add_argument("--rounds", type=int, default=500)
    rounds = parser.parse_args().rounds
    keys = [Path(RECEIPTS / "keys" / name).read_bytes() for name in ("issuer.pem", "log.vkey")]
    verifier = Verifier(pin(keys))
    for name, what in BUNDLES.items():
        bundle = (RECEIPTS / "bundles" / f"{name}.json").read_bytes()
        alone = peer(bundle)
        if not verifier.verify(bundle).valid:
            raise SystemExit(f"{name} is not valid")
        pairs = [(timed(alone), timed(lambda: verifier.verify(bundle))) for _ in range(rounds)]  # noqa: B023 - called here
        base, whole = (statistics.median(each) for each in zip(*pairs, strict=True))
        print(f"{what:<50} {whole:5.2f} ms; signatures and hash {base:5.2f} ms: {whole / base:4.1f} times as long")


if __name__ == "__main__":
    main()
