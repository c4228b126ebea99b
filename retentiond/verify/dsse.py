"""DSSE envelopes (github.com/secure-systems-lab/dsse, protocol 1.0)."""

from __future__ import annotations

from . import ed25519
from .encoding import from_base64
from .errors import FailedStepError
from .shape import Json

MAX_SIGNATURES = 16


def pae(payload_type: str, body: bytes) -> bytes:
    """Give the bytes that are signed: the pre-authentication encoding of type and body."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def require_signature(envelope: Json, signed: bytes, key: bytes, whose: str) -> None:
    """Demand one signature by the pinned key (32 bytes), in any position; `keyid` is a hint and not looked at.

    Args:
        envelope: of the right shape already.
        signed: the envelope's PAE.
        key: the raw Ed25519 key.
        whose: whose key it is, for the message.

    Raises:
        FailedStepError: no signature is by that key, there are too many, or the key is weak.
    """
    signatures = envelope["signatures"]
    if len(signatures) > MAX_SIGNATURES:
        raise FailedStepError(f"{len(signatures)} signatures; at most {MAX_SIGNATURES} are looked at")
    if ed25519.is_weak(key):
        raise FailedStepError(f"the pinned {whose} key is of small order: a signature under it proves nothing")
    if not any(ed25519.holds(key, from_base64(signature["sig"]), signed) for signature in signatures):
        raise FailedStepError(f"none of the {len(signatures)} signatures is by the pinned {whose} key")
