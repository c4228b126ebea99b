"""Many records of one dataset, column by column.

Millions of records pass through a run, several times each, and of most of them nobody asks more than a column or two:
a record by itself is made only when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, Generic, TypeVar, overload

from retentiond.domain.record import NO_ATTRIBUTES, UNTIED, Key, KeyPart, Record, Ties, Value

_T_co = TypeVar("_T_co", covariant=True)
_record = partial(tuple.__new__, Record)  # as Record._make, without a call in Python for each


class Same(Sequence[_T_co], Generic[_T_co]):
    """A column that has one value so many times."""

    __slots__ = ("_size", "value")

    def __init__(self, value: _T_co, size: int) -> None:
        self.value = value
        self._size = size

    def __len__(self) -> int:
        """Return how many times."""
        return self._size

    def __iter__(self) -> Iterator[_T_co]:
        """Give the value so many times."""
        return repeat(self.value, self._size)

    @overload
    def __getitem__(self, index: int) -> _T_co: ...
    @overload
    def __getitem__(self, index: slice) -> Same[_T_co]: ...
    def __getitem__(self, index: int | slice) -> _T_co | Same[_T_co]:
        """Return the value, or so much of the column."""
        if isinstance(index, slice):
            return Same(self.value, len(range(*index.indices(self._size))))
        if not -self._size <= index < self._size:
            raise IndexError(index)
        return self.value


@dataclass(slots=True, eq=False)
class Records(Sequence[Record]):
    """Records, column by column; see `Record` for what each column holds.

    Attributes:
        key: The parts of the keys, a column each.
        attributes: A column for each attribute; all records of a dataset have the same ones.
    """

    key: tuple[Sequence[KeyPart], ...]
    version: Sequence[bytes]
    account: Sequence[str | None]
    clock: Sequence[int | None]
    size_bytes: Sequence[int]
    place: Sequence[str]
    tombstoned: Sequence[int | None]
    blobs: Sequence[tuple[str, ...]]
    attributes: Mapping[str, Sequence[Value]]
    ties: Sequence[Ties]
    _made: list[Record] | None = field(default=None, init=False, repr=False)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.size_bytes)

    def __iter__(self) -> Iterator[Record]:
        """Make each of them."""
        return self._make() if self._made is None else iter(self._made)

    def _make(self) -> Iterator[Record]:
        rows = zip(
            self.keys(),
            self.version,
            self.account,
            self.clock,
            self.size_bytes,
            self.place,
            self.tombstoned,
            self.blobs,
            self._attributes(),
            self.ties,
            strict=True,
        )
        return map(_record, rows)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> Record | Records:
        """Return one of them, or some that lie side by side."""
        if isinstance(index, slice):
            return self._each(itemgetter(index))
        if self._made is None:  # who asks for one asks for others
            self._made = list(self._make())
        return self._made[index]

    def __eq__(self, other: object) -> bool:
        """Tell whether these are the same records, in the same order."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(Record.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]  # as a list

    def keys(self) -> Sequence[Key]:
        """Return their keys."""
        return list(zip(*self.key, strict=True))

    def at(self, places: Sequence[int]) -> Records:
        """Return those at some places; themselves where these are all, in order."""
        if len(places) == len(self) and places == range(len(self)):
            return self
        return self._each(lambda column: _chosen(column, places))

    def _attributes(self) -> Iterable[Mapping[str, Value]]:
        if not self.attributes:
            return repeat(NO_ATTRIBUTES, len(self))
        names = list(self.attributes)
        return (dict(zip(names, row, strict=True)) for row in zip(*self.attributes.values(), strict=True))

    def _each(self, change: Callable[[Sequence[Any]], Sequence[Any]]) -> Records:
        """Return them with something done to each column."""
        return Records(
            key=tuple(map(change, self.key)),
            attributes={name: change(column) for name, column in self.attributes.items()},
            **{name: change(getattr(self, name)) for name in _PLAIN},
        )


_PLAIN = tuple(each.name for each in fields(Records) if each.name not in ("key", "attributes", "_made"))


def _chosen(column: Sequence[Any], places: Sequence[int]) -> Sequence[Any]:
    if isinstance(column, Same):
        return Same(column.value, len(places))
    return list(map(column.__getitem__, places))


def columns_of(records: Sequence[Record]) -> Records:
    """Return records of one dataset column by column; themselves where they are."""
    if isinstance(records, Records):
        return records
    size = len(records)
    if not size:
        return _NONE
    key, version, account, clock, size_bytes, place, tombstoned, blobs, attributes, ties = zip(*records, strict=True)
    known = {name: [each.get(name) for each in attributes] for name in attributes[0]}
    return Records(
        key=tuple(zip(*key, strict=True)),
        version=version if any(version) else Same(b"", size),
        account=account,
        clock=clock,
        size_bytes=size_bytes,
        place=place,
        tombstoned=tombstoned,
        blobs=blobs if any(blobs) else Same((), size),
        attributes=known,
        ties=ties if ties.count(UNTIED) < size else Same(UNTIED, size),
    )


_NONE = Records((), (), (), (), (), (), (), (), {}, ())


def joined(several: Sequence[Records]) -> Records:
    """Return records of one dataset that came in pieces as one."""
    several = [each for each in several if len(each)]
    if len(several) <= 1:
        return several[0] if several else _NONE
    first = several[0]
    return Records(
        key=tuple(_joined(column) for column in zip(*(each.key for each in several), strict=True)),
        attributes={name: _joined([each.attributes[name] for each in several]) for name in first.attributes},
        **{name: _joined([getattr(each, name) for each in several]) for name in _PLAIN},
    )


def _joined(columns: Sequence[Sequence[Any]]) -> Sequence[Any]:
    first = columns[0]
    if isinstance(first, Same) and all(isinstance(each, Same) and each.value == first.value for each in columns):
        return Same(first.value, sum(map(len, columns)))
    return list(chain.from_iterable(columns))


def chosen(records: Sequence[Record], places: Sequence[int]) -> Sequence[Record]:
    """Return the records at some places."""
    return records.at(places) if isinstance(records, Records) else [records[place] for place in places]


def keys_of(records: Sequence[Record]) -> Sequence[Key]:
    """Return the keys of records, in order."""
    return records.keys() if isinstance(records, Records) else [record.key for record in records]


def by_place(records: Sequence[Record]) -> Iterable[tuple[str, Sequence[int]]]:
    """Give each place of records (see `Record.place`) with the indexes of those that stand there."""
    places = columns_of(records).place
    if isinstance(places, Same) or (len(places) and places.count(places[0]) == len(places)):
        return ((places[0], range(len(places))),) if len(places) else ()
    return ((place, [index for index, each in enumerate(places) if each == place]) for place in dict.fromkeys(places))
