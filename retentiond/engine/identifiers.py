"""How a batch's exact identifiers are written down: in packed columns, from plan to verification, then sealed.

Everything here goes column by column: it runs for every record several times, and columns are what C is fast at.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any
from uuid import UUID

from retentiond.domain.record import UNTIED, KeyPart, Record, Ties, key_bytes, key_names, part_names
from retentiond.domain.records import Records, Same, columns_of, keys_of
from retentiond.engine import packing
from retentiond.evidence.commitment import encode_items

_FAST = 1
_PLAIN = frozenset((int, str))
_UUIDS = frozenset((UUID,))
_AS_IT_IS = _PLAIN | _UUIDS
_COLUMNS = b"\x02"  # packed columns; records of before are a zlib stream, which begins with 0x78
_BESIDE = b"\x01"  # an ended batch whose records stand as they stood in the plan
_LENGTH_BYTES = 4
_KEY, _ATTRIBUTE = "key.", "attribute."


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

    def places(self, finals: frozenset[Final]) -> Sequence[int]:
        """Return the places of the records of which one of these became."""
        if finals.issuperset(self.finals):
            return range(len(self.finals))
        return [place for place, final in enumerate(self.finals) if final in finals]

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

    def settle_all(self, places: Sequence[int], verdicts: Sequence[tuple[Final, str]]) -> None:
        """Say what became of many records; all at once where none was settled and the same became of each."""
        if verdicts and len(places) == len(self.finals) == verdicts.count(verdicts[0]) and not verdicts[0][1]:
            self.finals = [verdicts[0][0]] * len(places)
            return
        for place, verdict in zip(places, verdicts, strict=True):
            self.settle(place, *verdict)

    def open_places(self) -> Sequence[int]:
        """Return the places of which nothing is settled yet."""
        if self.finals.count(None) == len(self.finals):
            return range(len(self.finals))
        return [place for place, final in enumerate(self.finals) if final is None]

    def places(self, final: Final) -> list[int]:
        """Return the places at which this is what became of the record."""
        if final not in self.finals:
            return []
        return [place for place, each in enumerate(self.finals) if each is final]

    def ended(self, records: Sequence[Record], packed: bytes = b"", hiding: Hiding = NOT_HIDDEN) -> Ended:
        """Return all of it, once everything is settled."""
        return Ended(records, [final for final in self.finals if final is not None], self.reasons, packed, hiding)


def encode_records(records: Sequence[Record]) -> bytes:
    """Return records, of one dataset, as they are kept until their batch ends."""
    found = columns_of(records)
    columns: dict[str, Sequence[Any]] = {
        "version": _out(found.version, bytes.hex),
        "account": found.account,
        "others": _out(found.ties, _others),
        "clock": found.clock,
        "size": found.size_bytes,
        "place": found.place,
        "tombstoned": found.tombstoned,
        "blobs": _out(found.blobs, list),
    }
    if not isinstance(found.ties, Same) or found.ties.value.users is not None:
        users = _out(found.ties, _users)
        columns.update({"users": users} if any(each is not None for each in users) else {})
    columns.update((f"{_KEY}{number}", _parts_out(part)) for number, part in enumerate(found.key))
    columns.update((_ATTRIBUTE + name, column) for name, column in found.attributes.items())
    return _COLUMNS + packing.pack(len(found), columns)


def decode_records(data: bytes) -> Records:
    """Read what encode_records() wrote, now or when it wrote JSON."""
    if not data.startswith(_COLUMNS):
        return _of_before(_unpack(data))
    columns = packing.unpack(data[len(_COLUMNS) :])
    ties = _out(columns["others"], _tied)
    return Records(
        key=tuple(_parts_in(columns[name]) for name in columns if name.startswith(_KEY)),
        version=_out(columns["version"], bytes.fromhex),
        account=columns["account"],
        clock=columns["clock"],
        size_bytes=columns["size"],
        place=columns["place"],
        tombstoned=columns["tombstoned"],
        blobs=_out(columns["blobs"], tuple),
        attributes={
            name.removeprefix(_ATTRIBUTE): column for name, column in columns.items() if name.startswith(_ATTRIBUTE)
        },
        ties=_with_users(ties, columns["users"]) if "users" in columns else ties,
    )


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
        records = _of_before(value["records"])
    finals = [_FINALS[number] for number in bytes.fromhex(value["finals"])]
    reasons = {int(index): text for index, text in value["reasons"].items()}
    marks = {int(index): mark for index, mark in value.get("marks", {}).items()}
    return Ended(records, finals, reasons, packed, Hiding(tuple(value.get("hidden", ())), marks))


def identity(record: Record) -> tuple[bytes, bytes]:
    """Return a record's key and version as receipts name them."""
    return key_bytes(record.key), record.version


def items_of(dataset: str, records: Sequence[Record]) -> list[bytes]:
    """Return the names of many records of one dataset as receipts commit to them."""
    found = columns_of(records)
    versions = () if isinstance(found.version, Same) and not found.version.value else found.version
    names = part_names(found.key[0]) if len(found.key) == 1 else key_names(keys_of(found))
    return encode_items(dataset, names, versions)


def _pack(value: object) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), _FAST)


def _unpack(data: bytes) -> Any:  # noqa: ANN401 - JSON
    return json.loads(zlib.decompress(data))


def _out(column: Sequence[Any], change: Callable[[Any], Any]) -> Sequence[Any]:
    """Return a column with each value changed; once where all are the same."""
    return Same(change(column.value), len(column)) if isinstance(column, Same) else list(map(change, column))


def _others(ties: Ties) -> list[str]:
    return list(ties.others)


def _users(ties: Ties) -> list[str] | None:
    return None if ties.users is None else list(ties.users)


def _tied(others: Sequence[str]) -> Ties:
    return Ties(others=tuple(others)) if others else UNTIED


def _with_users(ties: Sequence[Ties], users: Sequence[Sequence[str] | None]) -> Sequence[Ties]:
    return [each if some is None else replace(each, users=tuple(some)) for each, some in zip(ties, users, strict=True)]


def _parts_out(column: Sequence[KeyPart]) -> Sequence[Any]:
    kinds = {*map(type, column)}
    return column if kinds <= _PLAIN or kinds == _UUIDS else _out(column, _part_out)


def _part_out(part: KeyPart) -> int | str | dict[str, str]:
    if isinstance(part, int | str):
        return part
    return {"b": part.hex()} if isinstance(part, bytes) else {"u": str(part)}


def _parts_in(column: Sequence[Any]) -> Sequence[KeyPart]:
    return column if _AS_IT_IS.issuperset(map(type, column)) else _out(column, _part_in)


def _part_in(part: int | str | dict[str, str] | UUID) -> KeyPart:
    if not isinstance(part, dict):
        return part
    return bytes.fromhex(part["b"]) if "b" in part else UUID(part["u"])


def _of_before(columns: Mapping[str, Any]) -> Records:
    """Read records as they were written when all of it was one JSON document."""
    count: int = columns["count"]

    def values(column: Any) -> Sequence[Any]:  # noqa: ANN401 - JSON
        return Same(column["all"], count) if isinstance(column, Mapping) else column

    return Records(
        key=tuple(_parts_in(values(column)) for column in columns["key"]),
        version=_out(values(columns["version"]), bytes.fromhex),
        account=values(columns["account"]),
        clock=values(columns["clock"]),
        size_bytes=values(columns["size"]),
        place=values(columns["place"]),
        tombstoned=values(columns["tombstoned"]),
        blobs=_out(values(columns["blobs"]), tuple),
        attributes={name: values(column) for name, column in columns["attributes"].items()},
        # batches of before a record could have several owners have none of these
        ties=_out(values(columns.get("others", {"all": []})), _tied),
    )
