"""Ed25519 signatures (RFC 8032) under keys that can be trusted to mean one signer."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY_BYTES = 32
SIGNATURE_BYTES = 64
_FIELD_PRIME = 2**255 - 19
_WITHOUT_SIGN = 2**255 - 1
# The y coordinates of the eight points whose order divides 8.
_SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        _FIELD_PRIME - 1,
        int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
        int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
    },
)


def is_weak(key: bytes) -> bool:
    """Say whether a 32-byte public key is of small order, or spelled in a way that RFC 8032 (5.1.3) does not decode.

    Under a key of small order one signature fits many messages, so it proves nothing.
    """
    y = int.from_bytes(key, "little") & _WITHOUT_SIGN
    return y >= _FIELD_PRIME or y in _SMALL_ORDER_Y


def holds(key: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether the signature (64 bytes) is this key's (32 bytes) over the message; never under a weak key."""
    if len(signature) != SIGNATURE_BYTES or is_weak(key):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True
