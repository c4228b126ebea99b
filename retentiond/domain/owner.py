"""Whose a record is: where its owners stand, and how they are read.

A record may belong to several accounts: two columns name one each, or an array names many. It is theirs together: a
hold on one of them holds it, a closure of one of them takes it, and each finds it in its receipt. Where one of the
places cannot be read, or is blank and not declared optional, nobody knows who else has a say: the record is
undetermined, and yet known to be of those that could be read (`Owners.named`). The account's users whose data a record
is are read from places of the same kinds; a record may be no user's at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from retentiond.domain.jsonpath import JsonPath, Members, Unreadable, parse_json

NOBODY: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A table on the way to the owner.

    Attributes:
        table: The table's name exactly as the database has it.
        on: Pairs of a column of the table before, or of the record's own, and the column of this one that has an equal
            value of one type.
        schema: Its schema; empty where the table's name says it, or the store has none.
    """

    table: str
    on: tuple[tuple[str, str], ...]
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Via:
    """Another table of the same store that knows the owner, or that leads to one which does.

    Attributes:
        table: The table's name exactly as the database has it.
        schema: Its schema; empty where the table's name says it, or the store has none.
        on: Pairs of a column of the record's table and the column of this one that has an equal value of one type.
        take: The column of the last table that is the owner.
        further: The tables after this one, each found from the one before.
    """

    table: str
    on: tuple[tuple[str, str], ...]
    take: str
    schema: str = ""
    further: tuple[Step, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """All tables on the way, the one that has the owner last."""
        return (Step(self.table, self.on, self.schema), *self.further)


@dataclass(frozen=True, slots=True)
class OwnerSource:
    """One place where an owner stands.

    Attributes:
        column: The column, of the record's own table; empty for `via`.
        json: Where in the column's JSON, or in that of the other table's; None where the column itself is the owner.
        array: Whether there is a list of owners there: JSON, or an array of the database.
        via: The other table where it stands; None where it stands in the record's own.
        optional: Whether it may name nobody (NULL, an empty text or list), as long as another place names somebody.
    """

    column: str = ""
    json: JsonPath | None = None
    array: bool = False
    via: Via | None = None
    optional: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether a column holds the one owner as it is."""
        return bool(self.column) and self.json is None and not self.array


@dataclass(frozen=True, slots=True)
class Owners:
    """What could be read.

    Attributes:
        all: All owners, each once, in the order of their places; empty where the record is undetermined.
        named: Those that could be read where not all could; empty where `all` is not.
    """

    all: tuple[str, ...] = NOBODY
    named: tuple[str, ...] = NOBODY


UNREADABLE = object()
"""Stands for a value that is there and cannot be read: bytes, a missing partner, partners that disagree."""


@dataclass(slots=True)
class _Found:
    owners: dict[str, None] = field(default_factory=dict)
    complete: bool = True


def read_owners(values: Sequence[object], sources: Sequence[OwnerSource]) -> Owners:
    """Return the owners of one record.

    Args:
        values: For each source what the store has there: None, text, a whole number, a list, or UNREADABLE; for JSON
            the whole text of the column.
    """
    found = _Found()
    for value, source in zip(values, sources, strict=True):
        owners, complete = _read(value, source)
        found.owners.update(dict.fromkeys(owners))
        found.complete &= complete
    owners = tuple(found.owners)
    return Owners(all=owners) if found.complete and owners else Owners(named=owners)


def read_users(values: Sequence[object], sources: Sequence[OwnerSource]) -> tuple[str, ...] | None:
    """Return the users of one record, nobody where every place is declared optional and blank; None for who knows.

    Args:
        values: As for `read_owners`.
    """
    read = [_read(value, source) for value, source in zip(values, sources, strict=True)]
    if not all(complete for _, complete in read):
        return None
    return tuple(dict.fromkeys(user for users, _ in read for user in users))


def _read(value: object, source: OwnerSource) -> tuple[Sequence[str], bool]:
    """Return who is named in one place, and whether that is all that it says."""
    try:
        value = _inside(value, source)
    except Unreadable:
        return NOBODY, False
    if value is None or value == "":
        return NOBODY, source.optional
    if not source.array:
        owner = _owner(value)
        return ((owner,), True) if owner else (NOBODY, False)
    if not isinstance(value, list) or isinstance(value, Members):
        return NOBODY, False
    owners = [_owner(each) for each in value]
    return [owner for owner in owners if owner], all(owners) if owners else source.optional


def _inside(value: object, source: OwnerSource) -> object:
    if value is None or (source.json is None and (not source.array or isinstance(value, list))):
        return value
    if not isinstance(value, str):
        raise Unreadable
    if not value:
        return value
    return source.json.read(value) if source.json else parse_json(value)


def _owner(value: object) -> str:
    """Return an owner as text: text as it is, a whole number in decimals; empty where it is neither."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return ""
    return text


def through(step: Step, source: OwnerSource) -> OwnerSource:
    """Return where an owner stands for rows that find, by a step, the rows for which it stands in a source."""
    rest = source.via.steps if source.via else ()
    take = source.via.take if source.via else source.column
    return replace(source, column="", via=Via(step.table, step.on, take, step.schema, rest))


def columns_of(sources: Iterable[OwnerSource]) -> tuple[str, ...]:
    """Return the columns of the record's own table that the owners are read from, each once."""
    own = (source.column for source in sources if source.column)
    joined = (mine for source in sources if source.via for mine, _ in source.via.on)
    return tuple(dict.fromkeys((*own, *joined)))


def pairs(on: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of a join in one order, whatever the order in which they were written."""
    return tuple(sorted(on.items()))
