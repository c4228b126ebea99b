"""Questions about keys that took each other's place: several of a role are pinned, and some were revoked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.verify import test_history
from tests.verify.builder import (
    ISSUER,
    LOG,
    ORIGIN,
    STRANGER,
    TRUSTED,
    Draft,
    Sealed,
    cosign,
    history,
    listed,
    pem,
    raw,
    seal,
    sign_note,
    vkey,
    write_log,
)
from tests.verify.webpage.engine import Question

ISSUER_PEM, LOG_VKEY = TRUSTED
NEXT_PEM, NEXT_VKEY, OTHER_VKEY = pem(STRANGER), vkey(ORIGIN, raw(STRANGER)), vkey("other.example", raw(STRANGER))
WEAK = (1).to_bytes(32, "little")
WEAK_PEM = (
    Ed25519PublicKey.from_public_bytes(WEAK).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
)
PINNED = (test_history.PINNED[0],)
SEEN = test_history.REVOKED_SECONDS
KEYS: list[tuple[str, ...]] = [
    (NEXT_PEM, NEXT_VKEY, OTHER_VKEY, *TRUSTED),
    (*TRUSTED, OTHER_VKEY, NEXT_VKEY, NEXT_PEM),
    (NEXT_PEM, NEXT_VKEY, OTHER_VKEY, LOG_VKEY),
    (ISSUER_PEM, NEXT_VKEY, OTHER_VKEY),
    (ISSUER_PEM, NEXT_PEM, NEXT_VKEY),
    (ISSUER_PEM, NEXT_VKEY, LOG_VKEY),
    (ISSUER_PEM, OTHER_VKEY, vkey("it's", WEAK)),
    (ISSUER_PEM, LOG_VKEY, vkey("other.example", WEAK)),
    (ISSUER_PEM, LOG_VKEY, vkey(ORIGIN, WEAK)),
    (*TRUSTED, WEAK_PEM),
    (ISSUER_PEM, pem(LOG), LOG_VKEY),
    (NEXT_PEM, pem(LOG), LOG_VKEY),
    (ISSUER_PEM, ISSUER_PEM, LOG_VKEY),
    (ISSUER_PEM, LOG_VKEY, LOG_VKEY),
    (ISSUER_PEM,),
    (LOG_VKEY,),
]
# What stands under the log's own signature.
BELOW: list[Callable[[str], str]] = [
    lambda body: body[:0],
    lambda body: sign_note(body, signer=STRANGER),
    lambda body: sign_note(body + "x", signer=STRANGER),
    lambda body: cosign(body, SEEN - 2),
    lambda body: cosign(body, SEEN - 1) + sign_note(body, signer=STRANGER),
    lambda body: cosign(body, SEEN),
    lambda body: cosign(body + "x", 1),
]
IN_FORCE = test_history.LOG_ENTRY
REVOKED = {**IN_FORCE, "revokedAt": test_history.REVOKED}
SOONER = {**REVOKED, "revokedAt": "2026-11-30T23:59:59Z"}
MAKES = ["", "ML-DSA?", ISSUER_PEM, f"{LOG_VKEY}\n", PINNED[0], f"{ORIGIN}+00000000+===="]
LOG_KEYS: list[list[dict[str, Any]]] = [
    [IN_FORCE],
    [REVOKED],
    [IN_FORCE, REVOKED],
    [REVOKED, SOONER],
    [REVOKED, {**SOONER, "key": NEXT_VKEY}],
    [{**REVOKED, "role": "issuer"}],
    [{**REVOKED, "key": vkey("other.example", raw(LOG))}],
    [{**REVOKED, "key": vkey(ORIGIN, raw(LOG), 4)}],
    [{**REVOKED, "key": text} for text in MAKES],
]
ENDED = listed(validUntil=test_history.ISSUED)
NEXT_REVOKED = listed(STRANGER, revokedAt=test_history.REVOKED)
ISSUER_KEYS: list[list[dict[str, Any]]] = [
    [ENDED, listed(STRANGER)],
    [ENDED],
    [ENDED, NEXT_REVOKED],
    [listed(), NEXT_REVOKED],
    [],
]


def several_keys(scratch: Path) -> Iterator[Question]:
    """More than one key of a role, in any order, with receipts that one or both signed."""
    alone, by_both = seal(Draft()), seal(Draft(signers=(STRANGER, ISSUER)))
    for keys, sealed in product(KEYS, [alone, by_both, *map(_noted, BELOW[1:3])]):
        yield Question("several keys", sealed.data, keys=keys)
    log = write_log(scratch / "log of several keys", alone.entries)
    for keys in KEYS:
        yield Question("a log, and several keys", alone.data, keys=keys, log=log)
    pinned = [(ISSUER_PEM, NEXT_PEM, LOG_VKEY), (NEXT_PEM, ISSUER_PEM, NEXT_VKEY, LOG_VKEY)]
    for records, signer, keys in product(ISSUER_KEYS, (LOG, STRANGER, ISSUER), pinned):
        yield Question("two issuers, one history", by_both.data, history=history(*records, signer=signer), keys=keys)


def revoked_log_keys() -> Iterator[Question]:
    """Checkpoints that revoked keys of the log signed, and what a witness saw of them."""
    histories = [history(listed(), *records) for records in LOG_KEYS]
    trusted = [TRUSTED, (*TRUSTED, NEXT_VKEY)]
    for sealed, given, witnesses, keys in product(map(_noted, BELOW), histories, ((), PINNED), trusted):
        yield Question("a log's key revoked", sealed.data, history=given, witnesses=witnesses, keys=keys)


def _noted(below: Callable[[str], str]) -> Sealed:
    return seal(Draft(write_note=lambda body: f"{body}\n{sign_note(body)}{below(body)}"))
