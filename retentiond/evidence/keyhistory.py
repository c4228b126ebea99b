"""The history of the public keys, signed by the log's key and published with each change (RECEIPTS.md, Keys)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, cast

from retentiond.errors import LogIntegrityError, ReceiptError
from retentiond.evidence.canonical import Json, canonical_json, optional_rfc3339, rfc3339
from retentiond.evidence.envelope import (
    KEYS_HISTORY,
    Envelope,
    Signature,
    SigningKey,
    from_base64,
    key_id,
    pae,
    spki,
    to_base64,
)
from retentiond.evidence.vkey import VerifierKey

KeyRole = Literal["issuer", "log"]
_LINE = 64
_BEGIN, _END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"
_RAW_BYTES = 32
_PUT_BACK = "put back `keys/history.json` as it was published, and the ledger that it belongs to"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One public key and when it counts.

    Attributes:
        key: The issuer's key as PEM, the log's as verifier key.
        valid_until: First moment at which it no longer counts; None while it does.
        revoked_at: Since when its signatures are worth nothing unless a witness saw them before; None if it was not.
    """

    role: KeyRole
    key: str
    valid_from: datetime
    valid_until: datetime | None = None
    revoked_at: datetime | None = None
    reason: str | None = None

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes."""
        return raw_of_pem(self.key) if self.role == "issuer" else VerifierKey.parse(self.key).public_key

    @property
    def keyid(self) -> str:
        """Lower-case hex SHA-256 of the SubjectPublicKeyInfo."""
        return key_id(self.public_key)

    def counts_at(self, at: datetime) -> bool:
        """Tell whether what the key signs at a time counts, as far as is known by now."""
        ended = self.valid_until is not None and at >= self.valid_until
        return self.revoked_at is None and at >= self.valid_from and not ended

    def to_json(self) -> dict[str, Json]:
        """Return the record as the history has it."""
        return {
            "role": self.role,
            "key": self.key,
            "validFrom": rfc3339(self.valid_from),
            "validUntil": optional_rfc3339(self.valid_until),
            "revokedAt": optional_rfc3339(self.revoked_at),
            "reason": self.reason,
        }


def pem_of_raw(public_key: bytes) -> str:
    """Return a raw Ed25519 key (32 bytes) as PEM (SubjectPublicKeyInfo, RFC 8410)."""
    text = to_base64(spki(public_key))
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join((_BEGIN, *lines, _END, ""))


def raw_of_pem(pem: str) -> bytes:
    """Return the raw Ed25519 key of a PEM.

    Raises:
        LogIntegrityError: It is none.
    """
    try:
        raw = from_base64("".join(pem.strip().removeprefix(_BEGIN).removesuffix(_END).split()))[-_RAW_BYTES:]
    except ValueError:
        raw = b""
    if len(raw) != _RAW_BYTES or pem_of_raw(raw).split() != pem.split():
        raise LogIntegrityError("not an Ed25519 public key in PEM", remedy=_PUT_BACK)
    return raw


def encode_history(records: Sequence[KeyRecord], log: Sequence[SigningKey]) -> bytes:
    """Return `keys/history.json`: a DSSE envelope signed by each of the log's keys that counts."""
    payload = canonical_json({"keys": [record.to_json() for record in records]})
    message = pae(KEYS_HISTORY, payload)
    signatures = tuple(Signature(key_id(key.public_key), key.sign(message)) for key in log)
    return canonical_json(Envelope(payload, signatures, KEYS_HISTORY).to_json())


def decode_history(data: bytes) -> tuple[KeyRecord, ...]:
    """Read a history of our own; says nothing about its signatures.

    Raises:
        LogIntegrityError: It is none.
    """
    try:
        payload = json.loads(Envelope.from_json(json.loads(data)).payload)
        return tuple(map(_record, payload["keys"]))
    except (KeyError, ReceiptError, TypeError, ValueError) as error:
        raise LogIntegrityError(f"the history of the keys cannot be read: {error!r}", remedy=_PUT_BACK) from error


def find(records: Sequence[KeyRecord], role: str, public_key: bytes) -> KeyRecord | None:
    """Return what the history says of a key in a role; None where it does not know it."""
    return next((each for each in records if each.role == role and each.public_key == public_key), None)


def of_role(records: Sequence[KeyRecord], role: str) -> list[KeyRecord]:
    """Return the keys of a role, oldest first."""
    return [each for each in records if each.role == role]


def rotated(records: Sequence[KeyRecord], new: KeyRecord, end: datetime) -> tuple[KeyRecord, ...]:
    """Add a key; the others of its role count until the overlap ends, and no longer than before."""

    def ended(each: KeyRecord) -> KeyRecord:
        if each.role != new.role or (each.valid_until is not None and each.valid_until <= end):
            return each
        return replace(each, valid_until=end)

    return (*map(ended, records), new)


def revoked(records: Sequence[KeyRecord], which: KeyRecord, at: datetime, reason: str) -> tuple[KeyRecord, ...]:
    """Say of one key that its signatures are worth nothing from a time on."""
    return tuple(replace(each, revoked_at=at, reason=reason) if each == which else each for each in records)


def _record(value: Mapping[str, Any]) -> KeyRecord:
    if value["role"] not in ("issuer", "log"):
        raise ValueError(value["role"])
    return KeyRecord(
        role=cast("KeyRole", value["role"]),
        key=str(value["key"]),
        valid_from=datetime.fromisoformat(value["validFrom"]),
        valid_until=_moment(value["validUntil"]),
        revoked_at=_moment(value["revokedAt"]),
        reason=value["reason"],
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
