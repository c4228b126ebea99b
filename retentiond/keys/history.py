"""The history of the public keys, signed by the log's key and published with each change (RECEIPTS.md, Keys)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from retentiond.evidence.canonical import Json, canonical_json, optional_rfc3339, rfc3339
from retentiond.evidence.envelope import KEYS_HISTORY, sign
from retentiond.ports.keys import Signer


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One public key and when it counts.

    Attributes:
        key: The issuer's key as PEM, the log's as verifier key.
        valid_until: First moment at which it no longer counts; None while it does.
        revoked_at: Since when its signatures are worth nothing unless a witness saw them before; None if it was not.
    """

    role: Literal["issuer", "log"]
    key: str
    valid_from: datetime
    valid_until: datetime | None = None
    revoked_at: datetime | None = None
    reason: str | None = None

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


def encode_history(records: Sequence[KeyRecord], log: Signer) -> bytes:
    """Return `keys/history.json`: a DSSE envelope signed by the log's key."""
    payload = canonical_json({"keys": [record.to_json() for record in records]})
    return canonical_json(sign(payload, log, KEYS_HISTORY).to_json())
