"""What bundles and the published log say, read as RECEIPTS.md, C2SP and RFC 9162 have it, without the program."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

_HEAD = "retentiond/log-entry/v1"


@dataclass(frozen=True, slots=True)
class Paper:
    """One receipt whose signature was found good, and what is wrong with it otherwise."""

    predicate: dict[str, Any]
    annex: dict[str, Any]
    wrong: list[str]


def read_papers(config: Path, entries: list[bytes]) -> list[Paper]:
    """Read every bundle of an instance.

    Raises:
        InvalidSignature: One was not signed by the issuer.
    """
    issuer = load_pem_public_key((config / "keys" / "issuer.pem").read_bytes())
    assert isinstance(issuer, Ed25519PublicKey)
    paths = sorted((config / "receipts").glob("*.bundle.json"))
    return [_read(json.loads(path.read_bytes()), issuer, entries) for path in paths]


def _read(bundle: dict[str, Any], issuer: Ed25519PublicKey, entries: list[bytes]) -> Paper:
    envelope = bundle["dsseEnvelope"]
    body = base64.b64decode(envelope["payload"])
    media = envelope["payloadType"].encode()
    pae = b"DSSEv1 %d %s %d %s" % (len(media), media, len(body), body)
    issuer.verify(base64.b64decode(envelope["signatures"][0]["sig"]), pae)
    statement = json.loads(body)
    run = statement["predicate"]["run"]  # None of a receipt over runs, such as a closure's
    wrong = []
    index = "-" if run is None else run["planEntry"]["index"]
    entry = f"{_HEAD}\nreceipt {index}\nsha256:{hashlib.sha256(pae).hexdigest()}\n".encode()
    if entries.count(entry) != 1:
        wrong.append(f"the receipt stands in the log {entries.count(entry)} times")
    if run and entries[run["planEntry"]["index"]] != f"{_HEAD}\nplan\nsha256:{run['planEntry']['sha256']}\n".encode():
        wrong.append("the receipt's plan is not in the log")
    raw = base64.b64decode(bundle["annex"])
    if hashlib.sha256(raw).hexdigest() != statement["subject"][0]["digest"]["sha256"]:
        wrong.append("the annex is not the signed one")
    annex = json.loads(raw)
    wrong += [f"a part of {part['dataset']} does not add up: {part}" for part in annex.get("parts", ())
              if sum(part["outcomes"].values()) != part["due"]]  # fmt: skip
    return Paper(statement["predicate"], annex, wrong)


def plans_without_one_end(entries: list[bytes]) -> list[str]:
    """Name the plans of a log that did not end in exactly one receipt or void."""
    kinds = [entry.split(b"\n")[1].split() for entry in entries]
    wrong = []
    for index, words in enumerate(kinds):
        if words == [b"plan"]:
            ends = [w for w in kinds if w[0] in (b"receipt", b"void") and w[1] == str(index).encode()]
            if len(ends) != 1:
                wrong.append(f"the plan at {index} ended {len(ends)} times: {ends}")
    return wrong


def open_checkpoint(note: str, vkey: str) -> tuple[int, bytes]:
    """Return size and root of a signed checkpoint (C2SP tlog-checkpoint in a signed-note)."""
    name, key_id, key = vkey.split("+", 2)
    text, signatures = note.rsplit("\n\n", 1)
    blob = base64.b64decode(next(line.split(" ")[2] for line in signatures.splitlines() if line.split(" ")[1] == name))
    if blob[:4].hex() != key_id:
        raise ValueError("signed by another key")
    Ed25519PublicKey.from_public_bytes(base64.b64decode(key)[1:]).verify(blob[4:], f"{text}\n".encode())
    origin, size, root = text.splitlines()
    if origin != name:
        raise ValueError("another log's checkpoint")
    return int(size), base64.b64decode(root)


def tree_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, over leaf hashes, as it is written there."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + tree_root(leaves[:split]) + tree_root(leaves[split:])).digest()


def read_entries(log: Path, size: int) -> list[bytes]:
    """Read the entries from their bundles (C2SP tlog-tiles); logs here stay below a million entries."""
    entries: list[bytes] = []
    for number in range(-(-size // 256)):
        width = min(256, size - number * 256)
        name = f"x{number // 1000:03d}/{number % 1000:03d}" if number > 999 else f"{number:03d}"
        raw = (log / "tile" / "entries" / (name if width == 256 else f"{name}.p/{width}")).read_bytes()
        while raw:
            length = int.from_bytes(raw[:2], "big")
            entries.append(raw[2 : 2 + length])
            raw = raw[2 + length :]
    return entries
