"""What receipts are made of, written from the specifications alone: JCS, DSSE, Merkle trees, notes, odd points.

Nothing of the program is imported here, so what these functions make is a second reading of the formats.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, PRIME) % PRIME
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
Point = tuple[int, int]
IDENTITY: Point = (0, 1)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def jcs(value: Any) -> bytes:
    """RFC 8785 for texts, whole numbers, true, false, null, lists and objects."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return b"{" + b",".join(jcs(name) + b":" + jcs(value[name]) for name in names) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(jcs, value)) + b"]"
    return _ENCODE(value).encode("utf-8", "surrogatepass")


# ------------------------------------------------------------------------------------------------------------- keys


def private_key(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"vector key: {seed}".encode()).digest())


def raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def pem(public: bytes) -> str:
    form = PublicFormat.SubjectPublicKeyInfo
    return Ed25519PublicKey.from_public_bytes(public).public_bytes(Encoding.PEM, form).decode()


def elliptic_pem() -> str:
    """A public key of another make: P-256."""
    public = ec.derive_private_key(20261124, ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def key_id(public: bytes) -> str:
    """DSSE's keyid here: the SHA-256 of the SubjectPublicKeyInfo (RFC 8410)."""
    return sha256(bytes.fromhex("302a300506032b6570032100") + public)


def note_id(name: str, material: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]


def vkey(name: str, public: bytes, kind: int = 1) -> str:
    material = bytes([kind]) + public
    return f"{name}+{note_id(name, material).hex()}+{b64(material)}"


# -------------------------------------------------------------------------------------------------- DSSE and notes


def pae(kind: str, body: bytes) -> bytes:
    return f"DSSEv1 {len(kind)} {kind} {len(body)} ".encode() + body


def envelope(kind: str, body: bytes, signatures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"payload": b64(body), "payloadType": kind, "signatures": list(signatures)}


def signature(key: Ed25519PrivateKey, message: bytes) -> dict[str, Any]:
    return {"keyid": key_id(raw(key)), "sig": b64(key.sign(message))}


def signature_line(name: str, identifier: bytes, blob: bytes) -> str:
    return f"\N{EM DASH} {name} {b64(identifier + blob)}\n"


def note_line(body: str, key: Ed25519PrivateKey, name: str) -> str:
    return signature_line(name, note_id(name, b"\x01" + raw(key)), key.sign(body.encode()))


def cosignature(body: str, seconds: int, key: Ed25519PrivateKey, name: str) -> str:
    """c2sp.org/tlog-cosignature, Ed25519."""
    signed = key.sign(f"cosignature/v1\ntime {seconds}\n{body}".encode())
    return signature_line(name, note_id(name, b"\x04" + raw(key)), seconds.to_bytes(8, "big") + signed)


# ------------------------------------------------------------------------------------------------------------ trees


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, over leaf hashes."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256().digest()
    left = 1 << (len(hashes) - 1).bit_length() - 1
    return _node(root(hashes[:left]), root(hashes[left:]))


def path(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    """RFC 9162, section 2.1.3.1, from the leaf to the root."""
    if len(hashes) < 2:
        return []
    left = 1 << (len(hashes) - 1).bit_length() - 1
    if index < left:
        return [*path(index, hashes[:left]), root(hashes[left:])]
    return [*path(index - left, hashes[left:]), root(hashes[:left])]


# --------------------------------------------------------------------------------- Ed25519, for points nobody uses


def add(one: Point, other: Point) -> Point:
    (x1, y1), (x2, y2) = one, other
    product = _D * x1 * x2 * y1 * y2 % PRIME
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, PRIME)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, PRIME)
    return x % PRIME, y % PRIME


def multiply(times: int, point: Point) -> Point:
    total = IDENTITY
    while times:
        if times & 1:
            total = add(total, point)
        point, times = add(point, point), times >> 1
    return total


def compress(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def decompress(data: bytes) -> Point:
    """RFC 8032, section 5.1.3; for bytes that are a point."""
    number = int.from_bytes(data, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    square = (y * y - 1) * pow(_D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if x * x % PRIME != square:
        x = x * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    return (PRIME - x if x & 1 != sign else x), y


BASE = decompress((4 * pow(5, -1, PRIME) % PRIME).to_bytes(32, "little"))
OF_ORDER_8 = decompress(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))


def challenge(point: bytes, public: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(point + public + message).digest(), "little") % ORDER


def scalar(seed: str) -> int:
    return int.from_bytes(hashlib.sha512(f"vector scalar: {seed}".encode()).digest(), "little") % ORDER


def sign_by_hand(secret: int, public: bytes, message: bytes, nonce: int, extra: Point = IDENTITY) -> bytes:
    """Sign with the parts as they are given, so also with a point of small order (`extra`) in R."""
    point = compress(add(multiply(nonce, BASE), extra))
    answer = (nonce + challenge(point, public, message) * secret) % ORDER
    return point + answer.to_bytes(32, "little")


def seed_scalar(key: Ed25519PrivateKey) -> int:
    """RFC 8032, section 5.1.5: the secret scalar of a key."""
    number = int.from_bytes(hashlib.sha512(key.private_bytes_raw()).digest()[:32], "little")
    return number & (1 << 254) - 8 | 1 << 254


def steps_up(index: int, size: int) -> int:
    """How many hashes the path of a leaf has (RFC 9162, section 2.1.3.1)."""
    if size < 2:
        return 0
    left = 1 << (size - 1).bit_length() - 1
    return 1 + (steps_up(index, left) if index < left else steps_up(index - left, size - left))


def climb(leaf: bytes, index: int, size: int, steps: Sequence[bytes]) -> bytes:
    """The root that a path leads to, of a tree of which nobody needs to have the rest."""
    if size < 2:
        return leaf
    left, (*below, sibling) = 1 << (size - 1).bit_length() - 1, steps
    if index < left:
        return _node(climb(leaf, index, left, below), sibling)
    return _node(sibling, climb(leaf, index - left, size - left, below))
