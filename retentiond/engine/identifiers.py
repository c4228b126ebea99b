"""How a batch's exact identifiers are written down: compressed JSON, from plan to verification, then sealed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any
from uuid import UUID

from retentiond.domain.record import KeyPart, Record, key_bytes

_FAST = 1


class Final(IntEnum):
    """What finally became of one record of a batch; the values are written down."""

    PURGED = 0
    TOMBSTONED = 1
    REDACTED = 2
    PSEUDONYMISED = 3
    KEY_DESTROYED = 4
    ALREADY_GONE = 5
    CHANGED = 6
    HELD = 7
    REFUSED = 8
    CARRIED_OVER = 9

    @property
    def wire(self) -> str:
        """The outcome's name in receipts."""
        head, *rest = self.name.lower().split("_")
        return head + "".join(word.capitalize() for word in rest)


@dataclass(frozen=True, slots=True)
class Ended:
    """An ended batch: its records, what became of each, and words for those held or carried over, by index."""

    records: Sequence[Record]
    finals: Sequence[Final]
    reasons: Mapping[int, str] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Return how many records ended in which way, by wire name; ways without records left out."""
        numbers = bytes(self.finals)
        return {final.wire: numbers.count(final) for final in Final if numbers.count(final)}


def encode_records(records: Iterable[Record]) -> bytes:
    """Return records as they are kept until their batch ends."""
    return _pack([_row(record) for record in records])


def decode_records(data: bytes) -> list[Record]:
    """Read what encode_records() wrote."""
    return [_record(row) for row in _unpack(data)]


def encode_ended(ended: Ended) -> bytes:
    """Return an ended batch, to be sealed."""
    rows = [_row(record) for record in ended.records]
    reasons = {str(index): text for index, text in ended.reasons.items()}
    return _pack({"rows": rows, "finals": bytes(ended.finals).hex(), "reasons": reasons})


def decode_ended(data: bytes) -> Ended:
    """Read what encode_ended() wrote."""
    value = _unpack(data)
    finals = [Final(number) for number in bytes.fromhex(value["finals"])]
    reasons = {int(index): text for index, text in value["reasons"].items()}
    return Ended([_record(row) for row in value["rows"]], finals, reasons)


def identity(record: Record) -> tuple[bytes, bytes]:
    """Return a record's key and version as receipts name them."""
    return key_bytes(record.key), record.version


def _pack(value: object) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), _FAST)


def _unpack(data: bytes) -> Any:  # noqa: ANN401 - JSON
    return json.loads(zlib.decompress(data))


def _row(record: Record) -> list[Any]:
    return [
        [_part_out(part) for part in record.key],
        record.version.hex(),
        record.account,
        record.clock,
        record.size_bytes,
        record.place,
        record.tombstoned,
        list(record.blobs),
    ]


def _record(row: list[Any]) -> Record:
    key, version, account, clock, size_bytes, place, tombstoned, blobs = row
    return Record(
        tuple(_part_in(part) for part in key),
        bytes.fromhex(version),
        account,
        clock,
        size_bytes,
        place,
        tombstoned,
        tuple(blobs),
    )


def _part_out(part: KeyPart) -> int | str | dict[str, str]:
    if isinstance(part, bytes):
        return {"b": part.hex()}
    return {"u": str(part)} if isinstance(part, UUID) else part


def _part_in(part: int | str | dict[str, str]) -> KeyPart:
    if not isinstance(part, dict):
        return part
    return bytes.fromhex(part["b"]) if "b" in part else UUID(part["u"])
