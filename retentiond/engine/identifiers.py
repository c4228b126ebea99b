"""How a batch's exact identifiers are written down: compressed JSON, from plan to verification, then sealed.

Everything here goes column by column: it runs for every record several times, and columns are what C is fast at.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial
from itertools import repeat
from typing import Any
from uuid import UUID

from retentiond.domain.record import (
    NO_ATTRIBUTES,
    UNTIED,
    Key,
    KeyPart,
    Record,
    Ties,
    Value,
    key_bytes,
    key_names,
)
from retentiond.evidence.commitment import encode_items

_FAST = 1
_ALONE: Mapping[str, Any] = {"all": []}
_PLAIN = frozenset((int, str))
_BESIDE = b"\x01"  # an ended batch whose records stand as they stood in the plan; a zlib stream begins with 0x78
_LENGTH_BYTES = 4
_record = partial(tuple.__new__, Record)  # as Record._make, without a call in Python for each


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
class Hiding:
    """By what the tombstones of an ended batch can be told from those of others.

    Attributes:
        times: Which times they may bear, microseconds since the epoch: those at which the batch was claimed.
        marks: What the store calls the tombstone of a record, by the record's index; see `Acted.marks`.
    """

    times: tuple[int, ...] = ()
    marks: Mapping[int, str] = field(default_factory=dict)


NOT_HIDDEN = Hiding()


@dataclass(frozen=True, slots=True)
class Ended:
    """An ended batch: its records, what became of each, and words for those held or carried over, by index.

    Attributes:
        packed: The records as encode_records() wrote them, where that is known: they need not be written again.
    """

    records: Sequence[Record]
    finals: Sequence[Final]
    reasons: Mapping[int, str] = field(default_factory=dict)
    packed: bytes = field(default=b"", compare=False, repr=False)
    hiding: Hiding = NOT_HIDDEN

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
        if reason:
            self.reasons[place] = reason
        elif self.reasons:
            self.reasons.pop(place, None)

    def places(self, final: Final) -> list[int]:
        """Return the places at which this is what became of the record."""
        return [place for place, each in enumerate(self.finals) if each is final]

    def ended(self, records: Sequence[Record], packed: bytes = b"", hiding: Hiding = NOT_HIDDEN) -> Ended:
        """Return all of it, once everything is settled."""
        return Ended(records, [final for final in self.finals if final is not None], self.reasons, packed, hiding)


def encode_records(records: Sequence[Record]) -> bytes:
    """Return records, of one dataset, as they are kept until their batch ends."""
    return _pack(_columns(records))


def decode_records(data: bytes) -> list[Record]:
    """Read what encode_records() wrote."""
    return _records(_unpack(data))


def encode_ended(ended: Ended) -> bytes:
    """Return an ended batch, to be sealed."""
    reasons = {str(index): text for index, text in ended.reasons.items()}
    value: dict[str, Any] = {"finals": bytes(ended.finals).hex(), "reasons": reasons}
    if ended.hiding != NOT_HIDDEN:
        value["hidden"] = ended.hiding.times
        value["marks"] = {str(index): mark for index, mark in ended.hiding.marks.items()}
    fate = _pack(value)
    length = len(fate).to_bytes(_LENGTH_BYTES)
    return b"".join((_BESIDE, length, fate, ended.packed or encode_records(ended.records)))


def decode_ended(data: bytes) -> Ended:
    """Read what encode_ended() wrote, now or when it wrote records and outcomes as one."""
    if data.startswith(_BESIDE):
        start = len(_BESIDE) + _LENGTH_BYTES
        end = start + int.from_bytes(data[len(_BESIDE) : start])
        value, packed = _unpack(data[start:end]), data[end:]
        records = decode_records(packed)
    else:
        value, packed = _unpack(data), b""
        records = _records(value["records"])
    finals = [_FINALS[number] for number in bytes.fromhex(value["finals"])]
    reasons = {int(index): text for index, text in value["reasons"].items()}
    marks = {int(index): mark for index, mark in value.get("marks", {}).items()}
    return Ended(records, finals, reasons, packed, Hiding(tuple(value.get("hidden", ())), marks))


def identity(record: Record) -> tuple[bytes, bytes]:
    """Return a record's key and version as receipts name them."""
    return key_bytes(record.key), record.version


def items_of(dataset: str, records: Sequence[Record]) -> list[bytes]:
    """Return the names of many records of one dataset as receipts commit to them."""
    names = key_names([record.key for record in records])
    return encode_items(dataset, names, [record.version for record in records])


def _pack(value: object) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), _FAST)


def _unpack(data: bytes) -> Any:  # noqa: ANN401 - JSON
    return json.loads(zlib.decompress(data))


def _columns(records: Sequence[Record]) -> dict[str, Any]:
    columns = zip(*records, strict=True) if records else repeat((), len(Record._fields))
    key, version, account, clock, size, place, tombstoned, blobs, attributes, ties = columns
    return {
        "count": len(records),
        "key": [_column(_parts_out(column)) for column in zip(*key, strict=True)],
        "version": _column([each.hex() for each in version] if any(version) else [""] * len(records)),
        "account": _column(account),
        "others": _others(ties),
        **_users(ties),
        "clock": _column(clock),
        "size": _column(size),
        "place": _column(place),
        "tombstoned": _column(tombstoned),
        "blobs": _column([list(each) for each in blobs] if any(blobs) else [()] * len(records)),
        "attributes": {
            # All records of a dataset have the same ones.
            name: _column([each.get(name) for each in attributes])
            for name in (attributes[0] if attributes else ())
        },
    }


def _others(ties: Sequence[Ties]) -> Any:  # noqa: ANN401 - JSON
    if ties.count(UNTIED) == len(ties):
        return dict(_ALONE) if ties else []
    return _column([each.others for each in ties])


def _users(ties: Sequence[Ties]) -> dict[str, Any]:
    """Return the column of users; none where nobody asked whose data it is, as mostly."""
    if all(each.users is None for each in ties):
        return {}
    return {"users": _column([each.users for each in ties])}


def _records(columns: Mapping[str, Any]) -> list[Record]:
    count: int = columns["count"]
    account, clock, size, place, tombstoned = (
        _values(columns[name], count) for name in ("account", "clock", "size", "place", "tombstoned")
    )
    keys: Iterator[Key] = zip(*(_parts_in(_values(column, count)) for column in columns["key"]), strict=True)
    versions = map(bytes.fromhex, _values(columns["version"], count))
    blobs = map(tuple, _values(columns["blobs"], count))
    attributes = _attributes_in(columns["attributes"], count)
    ties = _ties_in(columns.get("others", _ALONE), count)  # batches of before a record could have several owners
    if "users" in columns:
        ties = _with_users(ties, _values(columns["users"], count))
    rows = zip(keys, versions, account, clock, size, place, tombstoned, blobs, attributes, ties, strict=True)
    return list(map(_record, rows))


def _attributes_in(columns: Mapping[str, Any], count: int) -> Iterable[Mapping[str, Value]]:
    if not columns:
        return repeat(NO_ATTRIBUTES, count)
    values = zip(*(_values(column, count) for column in columns.values()), strict=True)
    return (dict(zip(columns, row, strict=True)) for row in values)


def _ties_in(others: Any, count: int) -> Iterable[Ties]:  # noqa: ANN401 - JSON
    if others == _ALONE:
        return repeat(UNTIED, count)
    return (Ties(others=tuple(more)) if more else UNTIED for more in _values(others, count))


def _with_users(ties: Iterable[Ties], users: Iterable[Any]) -> Iterator[Ties]:
    for each, some in zip(ties, users):  # noqa: B905 -- one of them may never end
        yield each if some is None else replace(each, users=tuple(some))


def _column(values: Sequence[Any]) -> Sequence[Any] | dict[str, Any]:
    """Return a column, or its only value: many are the same for every record."""
    if values and values[0] == values[-1] and values.count(values[0]) == len(values):
        return {"all": values[0]}
    return values


def _values(column: list[Any] | Mapping[str, Any], count: int) -> Iterable[Any]:
    return repeat(column["all"], count) if isinstance(column, Mapping) else column


def _parts_out(column: Sequence[KeyPart]) -> Sequence[Any]:
    return column if _PLAIN.issuperset(map(type, column)) else [_part_out(part) for part in column]


def _part_out(part: KeyPart) -> int | str | dict[str, str]:
    if isinstance(part, int | str):
        return part
    return {"b": part.hex()} if isinstance(part, bytes) else {"u": str(part)}


def _parts_in(column: Iterable[Any]) -> Iterable[KeyPart]:
    parts = list(column)
    return parts if _PLAIN.issuperset(map(type, parts)) else [_part_in(part) for part in parts]


def _part_in(part: int | str | dict[str, str]) -> KeyPart:
    if not isinstance(part, dict):
        return part
    return bytes.fromhex(part["b"]) if "b" in part else UUID(part["u"])
