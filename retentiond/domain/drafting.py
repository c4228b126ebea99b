"""Drafting a data map from what catalogues say: each guess with how sure it is, and a question.

Nothing here decides anything: what the store itself does not say is written so that it does not count until a person
has answered the question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from retentiond.domain.draft import Draft, DraftDataset, DraftIgnored, DraftStore, Guess, NotMappable, Said
from retentiond.domain.drafting_rules import CLASSES, CONTENT, MIGRATIONS, OTHER, PERSONAL
from retentiond.domain.drafting_ties import (
    Way,
    attributes_of,
    blobs_of,
    key_of,
    owner_of,
    parents_of,
    tombstone_of,
    user_of,
    way_to_owner,
)
from retentiond.domain.drafting_times import clock_of
from retentiond.domain.looks import Look, looks_of
from retentiond.domain.looks_rules import RECORDS, Confidence, Kind
from retentiond.domain.tableshape import Link, TableShape
from retentiond.domain.words import words_of

NAME_LETTERS = 40
_NO_LETTERS = re.compile(r"[^a-z0-9]+")
_SIMPLE = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
_HOLD_COPIES = {
    "materialised view": ("it is a view that holds rows", "REFRESH it after runs, and list it under `ignore`"),
    "foreign table": ("its rows stand in another server", "declare that server as a store of its own"),
    "virtual table": ("it is an index, or computed", "declare the table beneath, and list it under `ignore`"),
}  # fmt: skip
_NO_CLOCK = "no column looks like a time: are its rows never due by age, and go with their account only?"
_ACTING = frozenset(("cascade", "set null", "set default"))
_ONCE = "does the application never write a key twice? The bucket keeps no versions, so nothing else protects an object"


@dataclass(frozen=True, slots=True)
class SeenStore:
    """What was seen of one store.

    Attributes:
        prefixes: What the keys of a bucket or the paths of a directory begin with.
        overwrites: Whether nothing protects an object of a bucket that is written again under its key.
    """

    store: DraftStore
    tables: tuple[TableShape, ...] = ()
    prefixes: tuple[str, ...] = ()
    overwrites: bool = False


def draft(seen: Sequence[SeenStore]) -> Draft:
    """Return the data map that stores seem to need."""
    names = _Names()
    made = [_Tables(each, names) for each in seen if not each.prefixes]
    objects = [dataset for each in seen if each.prefixes for dataset in _objects(each, names)]
    rows = [dataset for each in made for dataset in each.datasets()]
    return Draft(
        stores=tuple(each.store for each in seen),
        datasets=tuple(_with_blobs(rows, objects, made)),
        not_mappable=tuple(found for each in made for found in each.not_mappable),
        ignored=tuple(found for each in made for found in each.ignored),
    )


class _Names:
    """Gives each dataset a name of its own."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, title: str, otherwise: str) -> str:
        plain = _NO_LETTERS.sub("-", title.lower()).strip("-")[:NAME_LETTERS].strip("-") or otherwise
        name, number = plain, 2
        while name in self._taken:
            name, number = f"{plain}-{number}", number + 1
        self._taken.add(name)
        return name


class _Tables:
    """The tables of one store, sorted into datasets, what can be none, and what holds nothing of requests."""

    def __init__(self, seen: SeenStore, names: _Names) -> None:
        self._store = seen.store.name
        self.not_mappable: list[NotMappable] = []
        self.ignored: list[DraftIgnored] = []
        self.tables: dict[str, TableShape] = {}
        self._looks: dict[str, tuple[Look, ...]] = {}
        found = [_nameable(table) for table in seen.tables]
        named = {(table.schema, table.name): table for table in found if key_of(table) and not _kind_problem(table)}
        for table in found:
            self._sort(table, way_to_owner(table, named))
        self.names = {title: names.of(table.name, "table") for title, table in self.tables.items()}
        self._places = {(table.schema, table.name): table for table in self.tables.values()}
        self._before: dict[str, set[str]] = {}

    def _sort(self, table: TableShape, way: Way) -> None:
        looks = looks_of(table)
        problem = _kind_problem(table) or _shape_problem(table, way)
        if table.name.lower() in MIGRATIONS:
            self._ignore(table, "changes of the schema")
        elif _is_settings(table, looks) and not _kind_problem(table) and (problem or not (way or owner_of(table, {}))):
            self._ignore(table, "no column looks like data of requests, persons or accounts")
        elif problem:
            self.not_mappable.append(NotMappable(self._store, table.title, *problem))
        else:
            self.tables[table.title] = table
            self._looks[table.title] = looks

    def _ignore(self, table: TableShape, reason: str) -> None:
        pattern = re.sub(r"([*?\[])", r"[\1]", table.title)
        self.ignored.append(DraftIgnored(self._store, table.title, pattern, reason))

    def datasets(self) -> list[DraftDataset]:
        """Return the datasets; those that a row's owner or parent is looked up in come first in time, not in place."""
        made = [self._dataset(table) for table in self.tables.values()]
        standing = {each.name for each in made if each.stands}
        return [_with_doubtful_parent(each, standing) for each in made]

    def _dataset(self, table: TableShape) -> DraftDataset:
        looks = self._looks[table.title]
        owner = owner_of(table, self._places)
        if owner and not self._goes_all(table, way_to_owner(table, self._places), owner):
            owner = None
        guesses = [
            Guess("table", _table(table), Confidence.SURE),
            key_of(table),
            clock_of(table) or Guess("clock", "none", Confidence.POSSIBLE, _NO_CLOCK),
            owner,
            user_of(table, owner),
            Guess("class", _class_of(table, looks), _class_confidence(looks)),
            parents_of(table, lambda link: self._parent(table, link)),
            attributes_of(table),
            tombstone_of(table),
        ]
        name = self.names[table.title]
        return DraftDataset(name, self._store, table.title, tuple(_seen(table, looks)), tuple(filter(None, guesses)))

    def _parent(self, table: TableShape, link: Link) -> str:
        """Return the dataset of a link's table, where its rows have to wait for these, and no circle comes of it.

        Those of requests wait; so do those of which the database takes these along, or empties a column of theirs.
        """
        there = self._places.get((link.schema, link.table))
        if there is None or there is table or not (link.on_delete in _ACTING or self._is_of_requests(there)):
            return ""
        return self.names[there.title] if self._goes_before(table, there.title) else ""

    def _is_of_requests(self, table: TableShape) -> bool:
        looks = self._looks[table.title]
        return _class_of(table, looks) not in (PERSONAL, OTHER)

    def _goes_all(self, table: TableShape, way: Way, owner: Guess) -> bool:
        """Note that rows go before those that tell whose they are; tell whether that makes no circle."""
        if not isinstance(owner.value, dict) or "take" not in owner.value:
            return True
        tables = (table, *(there for _, there in way))
        return all(self._goes_before(here, there.title) for here, there in pairwise(tables))

    def _goes_before(self, table: TableShape, title: str) -> bool:
        """Note that rows of a table go before those of another; tell whether that makes no circle."""
        if title not in self.tables or self._reaches(title, table.title):
            return False
        self._before.setdefault(table.title, set()).add(title)
        return True

    def _reaches(self, start: str, goal: str) -> bool:
        pending, passed = [start], set[str]()
        while pending:
            here = pending.pop()
            if here == goal:
                return True
            if here not in passed:
                passed.add(here)
                pending += self._before.get(here, ())
        return False


def _nameable(table: TableShape) -> TableShape:
    """Return a table with those of its columns that a data map can name."""
    columns = tuple(column for column in table.columns if _can_be_written(column.name) and ".$." not in column.name)
    return replace(table, columns=columns)


def _can_be_written(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return bool(name) and "\x00" not in name


def _kind_problem(table: TableShape) -> tuple[str, str] | None:
    """Return why what holds rows is no table that can be worked on, and what to do about it; None where it is one."""
    if table.kind in _HOLD_COPIES:
        return _HOLD_COPIES[table.kind]
    if not (_can_be_written(table.name) and (not table.schema or _can_be_written(table.schema))):
        return "its name is not UTF-8", "rename it"
    return None


def _shape_problem(table: TableShape, way: Way) -> tuple[str, str] | None:
    """Return what a table lacks to be a dataset, and what to do about it; None for nothing.

    Args:
        way: The foreign keys by which its rows lead to an owner.
    """
    if key_of(table) is None:
        return "no key names a row", "add a primary key or a UNIQUE constraint, or list it under `ignore` with a reason"
    if clock_of(table) is None and not way and owner_of(table, {}) is None:
        elsewhere = "or name what has it: {column: …, json: $.…}, {via: …, on: …, take: …}"
        what = "no column looks like a time, and none like an owner"
        return what, f"add one with a default, such as created_at, {elsewhere}"
    return None


def _is_settings(table: TableShape, looks: Sequence[Look]) -> bool:
    told = {look.kind for look in looks if look.confidence is not Confidence.POSSIBLE}
    return not told & {Kind.CONTENT, Kind.PERSONAL, Kind.IDENTIFIER} and not RECORDS.intersection(words_of(table.name))


def _table(table: TableShape) -> Said:
    if not table.schema:
        return table.name
    if _SIMPLE.fullmatch(table.schema) and _SIMPLE.fullmatch(table.name):
        return f"{table.schema}.{table.name}"
    return {"schema": table.schema, "name": table.name}


def _class_of(table: TableShape, looks: Sequence[Look]) -> str:
    kinds = {look.kind for look in looks if look.confidence is not Confidence.POSSIBLE}
    words = frozenset(words_of(table.name))
    named = next((name for name, told in CLASSES if told & words), None)
    if Kind.CONTENT in kinds:
        return named if named == "feedback" else CONTENT
    return named or (PERSONAL if Kind.PERSONAL in kinds else OTHER)


def _class_confidence(looks: Sequence[Look]) -> Confidence:
    surely = any(look.kind is Kind.CONTENT and look.confidence is Confidence.SURE for look in looks)
    return Confidence.LIKELY if surely else Confidence.POSSIBLE


def _seen(table: TableShape, looks: Sequence[Look]) -> Iterator[str]:
    if table.kind != "table":
        yield table.kind
    if table.rows:
        yield f"about {table.rows:,} rows"
    for kind in (Kind.CONTENT, Kind.PERSONAL, Kind.SECRET):
        told = [f"{look.column!r} ({look.rules[0]})" for look in looks if look.kind is kind]
        if told:
            yield f"{kind}: {', '.join(told)}"


def _with_doubtful_parent(dataset: DraftDataset, standing: set[str]) -> DraftDataset:
    """Return a dataset whose parents do not count where one of those datasets does not count yet."""
    parent = dataset.guess("parent")
    if parent is None:
        return dataset
    parents = parent.value if isinstance(parent.value, list) else [parent.value]
    named = dict.fromkeys(str(each["dataset"]) for each in parents if isinstance(each, dict))
    doubtful = [repr(each) for each in named if each not in standing]
    if not doubtful:
        return dataset
    asked = replace(parent, question=f"answer the questions of {', '.join(doubtful)} first")
    return replace(dataset, guesses=tuple(asked if each is parent else each for each in dataset.guesses))


def _objects(seen: SeenStore, names: _Names) -> Iterator[DraftDataset]:
    for prefix in seen.prefixes:
        yield DraftDataset(
            name=names.of(prefix or seen.store.name, "objects"),
            store=seen.store.name,
            title=f"{seen.store.name}/{prefix}",
            seen=(),
            guesses=(
                Guess("prefix", prefix, Confidence.SURE),
                Guess(
                    "clock",
                    "modified",
                    Confidence.LIKELY,
                    "does the retention period start when the object was written? A key that says it is better: "
                    "key_pattern: 'in/{account}/{date:%Y-%m-%d}/{name}', clock: {pattern: date}, "
                    "account: {pattern: account}",
                ),
                Guess("class", CONTENT, Confidence.POSSIBLE),
                *([Guess("keys", "write-once", Confidence.POSSIBLE, _ONCE)] if seen.overwrites else []),
            ),
        )


def _with_blobs(
    rows: Sequence[DraftDataset], objects: Sequence[DraftDataset], made: Sequence[_Tables]
) -> Iterator[DraftDataset]:
    """Yield all datasets, objects tied to the rows that seem to name them: only where there is no choice."""
    naming = [
        (dataset, column)
        for dataset in rows
        for each in made
        if dataset.title in each.tables and each.names[dataset.title] == dataset.name
        for column in [blobs_of(each.tables[dataset.title])]
        if column is not None
    ]
    if len(naming) != 1 or len(objects) != 1:
        yield from (*rows, *objects)
        return
    (leader, column), follower = naming[0], objects[0]
    question = f"does {column.name!r} hold the key of an object in {follower.title!r}?"
    blobs = Guess("blobs", {"column": column.name, "dataset": follower.name}, Confidence.LIKELY, question)
    follows = Guess("follows", leader.name, Confidence.LIKELY, f"see `blobs` of {leader.name!r}")
    kept = [each for each in follower.guesses if each.field != "class"]
    same = next(each for each in leader.guesses if each.field == "class")
    for dataset in rows:
        yield replace(dataset, guesses=(*dataset.guesses, blobs)) if dataset is leader else dataset
    yield replace(follower, guesses=(*kept, same, follows))
