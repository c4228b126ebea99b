"""How a batch's exact identifiers are written down: compressed JSON, from plan to verification, then sealed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import repeat
from typing import Any
from uuid import UUID

from retentiond.domain.record import NO_ATTRIBUTES, KeyPart, Record, Ties, Value, key_bytes

_FAST = 1
_ALONE: Mapping[str, Any] = {"all": []}


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


_FINALS = tuple(Final)


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


@dataclass(slots=True)
class Fate:
    """What becomes of a batch's records, by their place in it; None of those that are not settled yet."""

    finals: list[Final | None]
    reasons: dict[int, str]

    @staticmethod
    def open(count: int) -> Fate:
        """Return the fate of so many records of which nothing is settled."""
        return Fate([None] * count, {})

    def settle(self, place: int, final: Final, reason: str) -> None:
        """Say what became of one record."""
        self.finals[place] = final
        self.reasons.pop(place, None)
        if reason:
            self.reasons[place] = reason

    def places(self, final: Final) -> list[int]:
        """Return the places at which this is what became of the record."""
        return [place for place, each in enumerate(self.finals) if each is final]

    def ended(self, records: Sequence[Record]) -> Ended:
        """Return all of it, once everything is settled."""
        return Ended(records, [final for final in self.finals if final is not None], self.reasons)


def encode_records(records: Sequence[Record]) -> bytes:
    """Return records, of one dataset, as they are kept until their batch ends."""
    return _pack(_columns(records))


def decode_records(data: bytes) -> list[Record]:
    """Read what encode_records() wrote."""
    return _records(_unpack(data))


def encode_ended(ended: Ended) -> bytes:
    """Return an ended batch, to be sealed."""
    reasons = {str(index): text for index, text in ended.reasons.items()}
    return _pack({"records": _columns(ended.records), "finals": bytes(ended.finals).hex(), "reasons": reasons})


def decode_ended(data: bytes) -> Ended:
    """Read what encode_ended() wrote."""
    value = _unpack(data)
    finals = [_FINALS[number] for number in bytes.fromhex(value["finals"])]
    reasons = {int(index): text for index, text in value["reasons"].items()}
    return Ended(_records(value["records"]), finals, reasons)


def identity(record: Record) -> tuple[bytes, bytes]:
    """Return a record's key and version as receipts name them."""
    return key_bytes(record.key), record.version


def _pack(value: object) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), _FAST)


def _unpack(data: bytes) -> Any:  # noqa: ANN401 - JSON
    return json.loads(zlib.decompress(data))


def _columns(records: Sequence[Record]) -> dict[str, Any]:
    """Return records column by column: this runs for every record three times, and lists are what C is fast at."""
    parts = zip(*(record.key for record in records), strict=True)
    return {
        "count": len(records),
        "key": [_column([_part_out(part) for part in column]) for column in parts],
        "version": _column([record.version.hex() for record in records]),
        "account": _column([record.account for record in records]),
        "others": _column([record.ties.others for record in records]),
        "clock": _column([record.clock for record in records]),
        "size": _column([record.size_bytes for record in records]),
        "place": _column([record.place for record in records]),
        "tombstoned": _column([record.tombstoned for record in records]),
        "blobs": _column([list(record.blobs) for record in records]),
        "attributes": {
            name: _column([record.attributes.get(name) for record in records]) for name in _attributes(records)
        },
    }


def _attributes(records: Sequence[Record]) -> Iterable[str]:
    """Return the names of the attributes: those of the first record, since all are of one dataset."""
    return records[0].attributes if records else ()


def _records(columns: Mapping[str, Any]) -> list[Record]:
    count: int = columns["count"]
    key = zip(*([_part_in(part) for part in _values(column, count)] for column in columns["key"]), strict=True)
    version, account, clock, size, place, tombstoned, blobs = (
        _values(columns[name], count)
        for name in ("version", "account", "clock", "size", "place", "tombstoned", "blobs")
    )
    attributes = _attributes_in(columns["attributes"], count)
    found = list(
        map(
            Record,
            key,
            map(bytes.fromhex, version),
            account,
            clock,
            size,
            place,
            tombstoned,
            map(tuple, blobs),
            attributes,
        )
    )
    others = columns.get("others", _ALONE)  # not in batches that were written before a record could have several owners
    if others == _ALONE:
        return found
    shared = zip(found, _values(others, count), strict=False)
    return [replace(record, ties=Ties(others=tuple(more))) for record, more in shared]


def _attributes_in(columns: Mapping[str, Any], count: int) -> Iterable[Mapping[str, Value]]:
    if not columns:
        return repeat(NO_ATTRIBUTES, count)
    values = zip(*(_values(column, count) for column in columns.values()), strict=True)
    return (dict(zip(columns, row, strict=True)) for row in values)


def _column(values: list[Any]) -> list[Any] | dict[str, Any]:
    """Return a column, or its only value: many are the same for every record."""
    return {"all": values[0]} if values and values.count(values[0]) == len(values) else values


def _values(column: list[Any] | Mapping[str, Any], count: int) -> Iterable[Any]:
    return repeat(column["all"], count) if isinstance(column, Mapping) else column


def _part_out(part: KeyPart) -> int | str | dict[str, str]:
    if isinstance(part, int | str):
        return part
    return {"b": part.hex()} if isinstance(part, bytes) else {"u": str(part)}


def _part_in(part: int | str | dict[str, str]) -> KeyPart:
    if not isinstance(part, dict):
        return part
    return bytes.fromhex(part["b"]) if "b" in part else UUID(part["u"])
