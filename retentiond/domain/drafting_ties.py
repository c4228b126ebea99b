"""What ties a table's rows to owners, to other tables and to objects: guesses, each with a question."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from retentiond.domain.draft import Guess, Said
from retentiond.domain.drafting_rules import (
    ACCOUNTS,
    ATTRIBUTE_FAMILIES,
    ATTRIBUTES,
    OBJECT_KEYS,
    PEOPLE,
    SURE_ACCOUNTS,
    TOMBSTONES,
)
from retentiond.domain.looks_rules import Confidence
from retentiond.domain.tableshape import ColumnShape, Family, Link, TableShape
from retentiond.domain.words import words_of

Way: TypeAlias = tuple[tuple[Link, TableShape], ...]
"""Foreign keys, each with the table that it leads to, one after the other."""

_IDS = (Family.TEXT, Family.UUID, Family.INTEGER, Family.OTHER, Family.NUMBER)
_TIMES = (Family.TIME_WITH_ZONE, Family.TIME, Family.TEXT, Family.INTEGER, Family.OTHER)
_SELF = frozenset(("user", "account", "customer", "tenant", "organization", "workspace", "team", "project"))
_RESERVED = frozenset(("account", "all", "any", "clock", "not", "tombstoned"))
_MOST_ATTRIBUTES = 6


def key_of(table: TableShape) -> Guess | None:
    """Return what names a row: the primary key, or else a key that the database keeps unique; None without any."""
    columns = {column.name: column for column in table.columns}
    for key in table.keys:
        if all(name in columns and columns[name].not_null for name in key):
            return Guess("key", list(key), Confidence.SURE)
    for key in table.keys:
        if all(name in columns for name in key):
            blank = [name for name in key if not columns[name].not_null]
            question = f"is {', '.join(map(repr, blank))} ever NULL? Such rows have no name, and stay"
            return Guess("key", list(key), Confidence.LIKELY, question)
    return None


def owner_of(table: TableShape, tables: Mapping[tuple[str, str], TableShape]) -> Guess | None:
    """Return the guess at whose a row is: in a column of its own, or in that of a row that it names, at any remove."""
    found, way = _owners(table), way_to_owner(table, tables)
    own = [column for column in found if not _is_anothers(table, column, tables)]
    if own or (found and not way):
        best, *others = [*own, *(column for column in found if column not in own)]
        sure = words_of(best.name) in SURE_ACCOUNTS
        value: Said = {"column": best.name, "array": True} if best.array else best.name
        names = tuple(column.name for column in others)
        return Guess(
            "account", value, _likely(sure=sure), f"does {best.name!r} name the account whose data it is?", names
        )
    if not way:
        return None
    last = way[-1][1]
    take = next(column.name for column in _owners(last) if not _is_anothers(last, column, tables))
    names = tuple(column.name for column in found)
    steps: list[dict[str, Said]] = [{"table": _named(there), "on": _on(link)} for link, there in way]
    through: Said = {"through": list(steps), "take": take}
    via: Said = {"via": steps[0]["table"], "on": steps[0]["on"], "take": take}
    question = f"is a row its whose {take!r} stands in {last.title!r}?"
    return Guess("account", via if len(steps) == 1 else through, Confidence.POSSIBLE, question, names)


def way_to_owner(table: TableShape, tables: Mapping[tuple[str, str], TableShape]) -> Way:
    """Return the fewest foreign keys by which a row leads to one that has an owner; none where no way does.

    Those that always name a row come first.
    """
    pending: deque[tuple[TableShape, Way]] = deque([(table, ())])
    seen = {table.title}
    while pending:
        here, way = pending.popleft()
        if way and any(not _is_anothers(here, column, tables) for column in _owners(here)):
            return way
        for link in sorted(here.links, key=lambda link: _may_be_blank(here, link)):
            there = tables.get((link.schema, link.table))
            if there and there.title not in seen and len(link.columns) == len(link.references):
                seen.add(there.title)
                pending.append((there, (*way, (link, there))))
    return ()


def _may_be_blank(table: TableShape, link: Link) -> bool:
    """Whether a row may name none by a foreign key."""
    return not all(column.not_null for column in table.columns if column.name in link.columns)


def _is_anothers(table: TableShape, column: ColumnShape, tables: Mapping[tuple[str, str], TableShape]) -> bool:
    """Whether a column names a row that is itself somebody's, such as a project: accounts are those who have it."""
    for link in table.links:
        there = tables.get((link.schema, link.table))
        if there and there is not table and link.columns == (column.name,):
            owners = [each.name for each in _owners(there)]
            return bool(owners) and len(link.references) == 1 and link.references != (owners[0],)
    return False


def _named(table: TableShape) -> Said:
    return {"schema": table.schema, "name": table.name} if table.schema else table.name


def _on(link: Link) -> dict[str, Said]:
    return dict(zip(link.columns, link.references, strict=True))


def _owners(table: TableShape) -> list[ColumnShape]:
    ranked: list[tuple[int, ColumnShape]] = []
    for column in table.columns:
        words = words_of(column.name)
        rank = next((number for number, each in enumerate(ACCOUNTS) if words == each), None)
        if rank is not None and column.family in _IDS and not _is_own_name(table, column):
            ranked.append((rank, column))
    name = words_of(table.name)
    if not ranked and name and name[-1] in _SELF and table.keys and len(table.keys[0]) == 1:
        own = table.column(table.keys[0][0])
        ranked += [(0, own)] if own else []
    return [column for _, column in sorted(ranked, key=lambda each: each[0])]


def _is_own_name(table: TableShape, column: ColumnShape) -> bool:
    """Whether a column is called `uid`, which may be short for a user's id, and yet names the row alone."""
    return column.name.lower() == "uid" and (column.name,) in table.keys


def user_of(table: TableShape, owner: Guess | None) -> Guess | None:
    """Return the guess at whose of the account's users a row is: another column of the row than the account's."""
    if owner is None or not isinstance(owner.value, str):
        return None
    for name in PEOPLE:
        for column in table.columns:
            is_one = words_of(column.name) == name and column.family in _IDS and not column.array
            if is_one and column.name != owner.value:
                question = f"does {column.name!r} name one user of the account, whom a request for erasure may name?"
                return Guess("user", column.name, Confidence.POSSIBLE, question)
    return None


def _likely(*, sure: bool) -> Confidence:
    return Confidence.LIKELY if sure else Confidence.POSSIBLE


def parents_of(table: TableShape, may_be: Callable[[Link], str]) -> Guess | None:
    """Return the rows that go after a table's own, by its foreign keys: one, or a list of them.

    Args:
        may_be: Returns the dataset that a link leads to; empty where it leads to none whose rows go with these.
    """
    found: list[Said] = []
    for link in table.links:
        dataset = may_be(link) if len(link.columns) == len(link.references) else ""
        if dataset:
            found.append({"dataset": dataset, "on": _on(link)})
    return Guess("parent", found[0] if len(found) == 1 else found, Confidence.SURE) if found else None


def tombstone_of(table: TableShape) -> Guess | None:
    """Return the column by which the application itself hides a row."""
    for column in _called(table, TOMBSTONES):
        if column.family in _TIMES and not column.not_null:
            question = f"does the application show no row whose {column.name!r} is set?"
            return Guess("tombstone", {"column": column.name}, Confidence.LIKELY, question)
    return None


def blobs_of(table: TableShape) -> ColumnShape | None:
    """Return the column in which a row seems to name an object."""
    return next(
        (column for column in _called(table, OBJECT_KEYS) if column.family is Family.TEXT and not column.array), None
    )


def attributes_of(table: TableShape) -> Guess | None:
    """Return the columns that policies may ask for."""
    found: dict[str, Said] = {}
    for column in table.columns:
        words = words_of(column.name)
        name = "_".join(word for word in words if word.isascii())
        is_one = ATTRIBUTES.intersection(words[-2:]) and column.family in ATTRIBUTE_FAMILIES and not column.array
        if is_one and name and name not in found and name not in _RESERVED and len(found) < _MOST_ATTRIBUTES:
            found[name] = column.name
    question = "which of these will policies ask for? Remove the others"
    return Guess("attributes", found, Confidence.POSSIBLE, question) if found else None


def _called(table: TableShape, names: tuple[tuple[str, ...], ...]) -> Iterator[ColumnShape]:
    for name in names:
        yield from (column for column in table.columns if words_of(column.name)[-len(name) :] == name)
