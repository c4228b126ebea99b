"""DSSE envelopes (github.com/secure-systems-lab/dsse, protocol 1.0)."""

from __future__ import annotations

from collections.abc import Sequence

from . import ed25519
from .encoding import from_base64
from .errors import FailedStepError
from .shape import Json

MAX_SIGNATURES = 16


def pae(payload_type: str, body: bytes) -> bytes:
    """Give the bytes that are signed: the pre-authentication encoding of type and body."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def require_signature(envelope: Json, signed: bytes, keys: Sequence[bytes], whose: str) -> list[bytes]:
    """Demand one signature by a pinned key, in any position; `keyid` is a hint and not looked at.

    Args:
        envelope: of the right shape already.
        signed: the envelope's PAE.
        keys: the raw Ed25519 keys (32 bytes).
        whose: whose keys they are, for the message.

    Returns:
        Those of the keys that signed.

    Raises:
        FailedStepError: no signature is by that key, there are too many, or the key is weak.
    """
    signatures = envelope["signatures"]
    if len(signatures) > MAX_SIGNATURES:
        raise FailedStepError(f"{len(signatures)} signatures; at most {MAX_SIGNATURES} are looked at")
    if any(map(ed25519.is_weak, keys)):
        raise FailedStepError(f"the pinned {whose} key is of small order: a signature under it proves nothing")
    blobs = [from_base64(signature["sig"]) for signature in signatures]
    found = [key for key in keys if any(ed25519.holds(key, blob, signed) for blob in blobs)]
    if not found:
        which = f"the pinned {whose} key" if len(keys) == 1 else f"one of the {len(keys)} pinned {whose} keys"
        raise FailedStepError(f"none of the {len(signatures)} signatures is by {which}")
    return found
