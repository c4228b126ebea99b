"""DSSE envelopes around in-toto statements, signed with Ed25519 (secure-systems-lab/dsse, protocol and envelope v1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from retentiond.errors import ReceiptError
from retentiond.evidence.canonical import Json

IN_TOTO = "application/vnd.in-toto+json"
KEYS_HISTORY = "application/vnd.retentiond.keys.v1+json"
_ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")


class SigningKey(Protocol):
    """An Ed25519 key that signs; the private half may be anywhere."""

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes (RFC 8032)."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes."""
        ...


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def pae_sha256(payload: bytes, payload_type: str = IN_TOTO) -> str:
    """Return the hex SHA-256 of a payload's PAE: the one digest by which plans and receipts are named."""
    return hashlib.sha256(pae(payload_type, payload)).hexdigest()


def spki(public_key: bytes) -> bytes:
    """Return a raw Ed25519 key as SubjectPublicKeyInfo (DER, RFC 8410)."""
    return _ED25519_SPKI + public_key


def key_id(public_key: bytes) -> str:
    """Return the hex SHA-256 of a raw Ed25519 key's SubjectPublicKeyInfo (DER, RFC 8410)."""
    return hashlib.sha256(spki(public_key)).hexdigest()


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature of an envelope, and a hint at the key."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload with its signatures."""

    payload: bytes
    signatures: tuple[Signature, ...]
    payload_type: str = IN_TOTO

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the PAE, which stands in the log."""
        return pae_sha256(self.payload, self.payload_type)

    def to_json(self) -> dict[str, Json]:
        """Return the envelope as JSON has it."""
        signatures = [{"keyid": each.keyid, "sig": to_base64(each.sig)} for each in self.signatures]
        return {"payload": to_base64(self.payload), "payloadType": self.payload_type, "signatures": signatures}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Envelope:
        """Read an envelope of our own; says nothing about its signatures.

        Raises:
            ReceiptError: A member is missing or is not what it should be.
        """
        try:
            signatures = tuple(Signature(str(each["keyid"]), from_base64(each["sig"])) for each in value["signatures"])
            return cls(from_base64(value["payload"]), signatures, str(value["payloadType"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ReceiptError(
                f"an envelope cannot be read: {error!r}", remedy="take it again from the ledger or from its bundle"
            ) from error


def sign(payload: bytes, key: SigningKey, payload_type: str = IN_TOTO) -> Envelope:
    """Return a payload in an envelope with one signature."""
    signature = Signature(key_id(key.public_key), key.sign(pae(payload_type, payload)))
    return Envelope(payload, (signature,), payload_type)


def to_base64(data: bytes) -> str:
    """Return standard padded base64 (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes:
    """Decode standard padded base64.

    Raises:
        ValueError: It is anything else.
    """
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error
