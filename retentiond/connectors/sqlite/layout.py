"""Where a dataset's rows stand in a database: in its table, and where hiding moves them, in its quarantine too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfoNotFoundError

from retentiond.connectors.sqlite.database import Database, quoted
from retentiond.connectors.sqlite.schema import Table, is_unique, read_table, resolve, table_names
from retentiond.domain.dataset import Dataset
from retentiond.domain.instant import text_reader
from retentiond.errors import DatasetRefused
from retentiond.ports.stores import Finding

TOMBSTONED_AT = "tombstoned_at"
_KINDS = {"view": "a view", "virtual": "a virtual table", "shadow": "part of a virtual table"}


@dataclass(frozen=True, slots=True)
class Source:
    """One table that holds records of a dataset.

    Attributes:
        place: As records name it; empty for the dataset's own table.
        tombstone: The column that says when a record was hidden; empty where its table says nothing of it.
    """

    dataset: Dataset
    table: Table
    place: str
    tombstone: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables of a dataset."""

    dataset: Dataset
    live: Source
    quarantine: Source | None

    @property
    def sources(self) -> tuple[Source, ...]:
        """All of its tables, its own first."""
        return (self.live, self.quarantine) if self.quarantine else (self.live,)

    def at(self, place: str) -> Source | None:
        """Return the table that a record's place means; None for one that the dataset does not declare."""
        return next((source for source in self.sources if source.place == place), None)


def lay_out(db: Database, dataset: Dataset) -> Layout:
    """Find a dataset's tables.

    Raises:
        DatasetRefused: A table or a column is not there, or not of the kind that can be worked on.
    """
    layout, problems = inspect(db, dataset)
    if layout is None:
        first = problems[0]
        raise DatasetRefused(first.what, where=first.where, remedy=first.remedy)
    return layout


def inspect(db: Database, dataset: Dataset) -> tuple[Layout | None, list[Finding]]:
    """Find a dataset's tables, and all that keeps them from being what it declares; no layout where anything does."""
    problems = [*_clock_problems(dataset)]
    table = _find(db, dataset, dataset.table, problems)
    if table is None:
        return None, problems
    problems += _column_problems(db, dataset, table)
    live = Source(dataset, table, "", dataset.tombstone.column if dataset.tombstone else "")
    quarantine = _quarantine(db, dataset, table, problems)
    return (None if problems else Layout(dataset, live, quarantine)), problems


def refusal(dataset: Dataset, what: str, remedy: str) -> Finding:
    """Return a finding that keeps a dataset from being planned."""
    return Finding(what, dataset.name, remedy, refuses=True)


def _clock_problems(dataset: Dataset) -> Iterator[Finding]:
    if not dataset.clock.column:
        yield refusal(dataset, "the clock of a table stands in a column", "declare `clock: {column: NAME}`")
        return
    try:
        text_reader(dataset.clock)
    except (ZoneInfoNotFoundError, ValueError):
        what = f"its clock cannot be read: format {dataset.clock.format}, zone {dataset.clock.zone!r}"
        yield refusal(dataset, what, "declare a format of columns and an IANA zone such as Europe/Berlin")


def _find(db: Database, dataset: Dataset, written: str, problems: list[Finding]) -> Table | None:
    kinds = dict(table_names(db))
    name = resolve(list(kinds), written)
    if name is None:
        close = [each for each in kinds if each.lower() == written.removeprefix("main.").lower()]
        hint = f"write it as {close[0]!r}" if close else "correct the table's name in the data map, or create it"
        problems.append(refusal(dataset, f"the database has no table {written!r}", hint))
        return None
    if kinds[name] != "table":
        remedy = "declare the table that holds the rows"
        problems.append(refusal(dataset, f"{written!r} is {_KINDS.get(kinds[name], kinds[name])}", remedy))
        return None
    table = read_table(db, name)
    if not table.address:
        what = f"columns of {written!r} take all names of the row number (_rowid_, rowid, oid)"
        problems.append(refusal(dataset, what, "rename one of those columns"))
        return None
    return table


def _column_problems(db: Database, dataset: Dataset, table: Table) -> Iterator[Finding]:
    for role, name in _roles(dataset):
        if table.column(name) is None:
            near = [column.name for column in table.columns if column.name.lower() == name.lower()]
            hint = f"write it as {near[0]!r}" if near else "correct the data map, or add the column"
            yield refusal(dataset, f"{table.name!r} has no column {name!r} for its {role}", hint)
    if not dataset.key:
        yield refusal(dataset, "it declares no key", "declare the columns that name a row: `key: [id]`")
    elif not is_unique(db, table, dataset.key):
        columns = ", ".join(dataset.key)
        what = f"nothing keeps the key ({columns}) of {table.name!r} unique"
        yield refusal(dataset, what, create_unique(table, dataset.key))


def _roles(dataset: Dataset) -> list[tuple[str, str]]:
    roles = [("key", name) for name in dataset.key]
    roles += [("clock", dataset.clock.column)] if dataset.clock.column else []
    roles += [("account", dataset.plain_owner)] if dataset.plain_owner else []
    roles += [(f"attribute {name!r}", column) for name, column in dataset.attributes.items()]
    if dataset.tombstone and dataset.tombstone.column:
        roles.append(("tombstone", dataset.tombstone.column))
    return [*roles, ("blobs", dataset.blobs.column)] if dataset.blobs else roles


def _quarantine(db: Database, dataset: Dataset, table: Table, problems: list[Finding]) -> Source | None:
    if dataset.tombstone is None or not dataset.tombstone.table:
        return None
    written = dataset.tombstone.table
    create = f"create it: {create_quarantine(table, written, dataset.key)}"
    if resolve([name for name, _ in table_names(db)], written) is None:
        problems.append(refusal(dataset, f"the database has no quarantine table {written!r}", create))
        return None
    found = _find(db, dataset, written, problems)
    if found is None:
        return None
    expected = [*_shape(table), (TOMBSTONED_AT, "")]
    actual = [(name, "" if name == TOMBSTONED_AT else declared) for name, declared in _shape(found)]
    if sorted(actual) != sorted(expected):
        what = f"the quarantine table {written!r} has not the columns of {table.name!r} and {TOMBSTONED_AT!r}"
        problems.append(refusal(dataset, what, create))
    elif not is_unique(db, found, dataset.key):
        problems.append(refusal(dataset, f"nothing keeps the key of {written!r} unique", create))
    return Source(dataset, found, written, TOMBSTONED_AT)


def _shape(table: Table) -> list[tuple[str, str]]:
    return [(column.name, column.declared.upper()) for column in table.stored]


def create_unique(table: Table, key: Sequence[str]) -> str:
    """Return the statement that keeps a table's key unique."""
    columns = ", ".join(quoted(name) for name in key)
    return f"CREATE UNIQUE INDEX {quoted(f'{table.name}_key')} ON {quoted(table.name)} ({columns})"


def create_quarantine(table: Table, name: str, key: Sequence[str]) -> str:
    """Return the statement that creates a table's quarantine."""
    columns = [f"{quoted(column.name)} {column.declared}".rstrip() for column in table.stored]
    columns.append(f"{quoted(TOMBSTONED_AT)} TEXT NOT NULL")
    unique = ", ".join(quoted(column) for column in key)
    return f"CREATE TABLE {quoted(name.removeprefix('main.'))} ({', '.join(columns)}, UNIQUE ({unique}))"
