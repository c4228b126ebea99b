"""Where a dataset's rows stand in a database: in its table, and where hiding moves them, in its quarantine too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfoNotFoundError

from retentiond.connectors.sqlite.database import Database, quoted
from retentiond.connectors.sqlite.schema import Table, has_index_on, is_unique, read_table, resolve, table_names
from retentiond.domain.dataset import Child, ClockFormat, Dataset
from retentiond.domain.instant import text_reader
from retentiond.domain.owner import OwnerSource, Via, columns_of
from retentiond.errors import DatasetRefused
from retentiond.ports.stores import Finding

TOMBSTONED_AT = "tombstoned_at"
_KINDS = {"view": "a view", "virtual": "a virtual table", "shadow": "part of a virtual table"}


@dataclass(frozen=True, slots=True)
class ChildTables:
    """The tables of rows that go before a dataset's own: where they stand, and where hiding moves them."""

    child: Child
    live: Table
    hidden: Table | None


@dataclass(frozen=True, slots=True)
class Relations:
    """Other tables that a dataset's rows are looked at together with.

    Attributes:
        partners: For each of its owners the tables on the way to it; none where the row itself knows it.
        children: Rows that go first.
        clock: The table in which its clock stands; None where the row itself has it, or none.
        users: As `partners`, of its users.
    """

    partners: tuple[tuple[Table, ...], ...] = ()
    children: tuple[ChildTables, ...] = ()
    clock: Table | None = None
    users: tuple[tuple[Table, ...], ...] = ()


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
    relations: Relations = Relations()


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
    table = _find(db, dataset, dataset.table, dataset.schema, problems)
    if table is None:
        return None, problems
    problems += _column_problems(db, dataset, table)
    relations = Relations(
        _partners(db, dataset, dataset.owners, "account", problems),
        _children(db, dataset, problems),
        _clock_table(db, dataset, problems),
        _partners(db, dataset, dataset.users, "user", problems),
    )
    live = Source(dataset, table, "", dataset.tombstone.column if dataset.tombstone else "", relations)
    quarantine = _quarantine(db, live, problems)
    return (None if problems else Layout(dataset, live, quarantine)), problems


def refusal(dataset: Dataset, what: str, remedy: str) -> Finding:
    """Return a finding that keeps a dataset from being planned."""
    return Finding(what, dataset.name, remedy, refuses=True)


def _clock_problems(dataset: Dataset) -> Iterator[Finding]:
    if dataset.clock.format is ClockFormat.NONE:
        return
    if not dataset.clock.column and dataset.clock.via is None:
        yield refusal(dataset, "the clock of a table stands in a column", "declare `clock: {column: NAME}`")
        return
    try:
        text_reader(dataset.clock)
    except (ZoneInfoNotFoundError, ValueError):
        what = f"its clock cannot be read: format {dataset.clock.format}, zone {dataset.clock.zone!r}"
        yield refusal(dataset, what, "declare a format of columns and an IANA zone such as Europe/Berlin")


def _find(db: Database, dataset: Dataset, written: str, schema: str, problems: list[Finding]) -> Table | None:
    kinds = dict(table_names(db))
    if schema not in ("", "main"):
        what = f"a SQLite file has no schema {schema!r}"
        problems.append(refusal(dataset, what, "leave the schema out, or write main"))
        return None
    name = written if schema and written in kinds else resolve(list(kinds), "" if schema else written)
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
        yield from _lacking(dataset, table, (name,), role)
    if not dataset.key:
        yield refusal(dataset, "it declares no key", "declare the columns that name a row: `key: [id]`")
    elif not is_unique(db, table, dataset.key):
        columns = ", ".join(dataset.key)
        what = f"nothing keeps the key ({columns}) of {table.name!r} unique"
        yield refusal(dataset, what, create_unique(table, dataset.key))


def _lacking(dataset: Dataset, table: Table, columns: Sequence[str], role: str) -> Iterator[Finding]:
    for name in columns:
        if table.column(name) is None:
            near = [column.name for column in table.columns if column.name.lower() == name.lower()]
            hint = f"write it as {near[0]!r}" if near else "correct the data map, or add the column"
            yield refusal(dataset, f"{table.name!r} has no column {name!r} for its {role}", hint)


def _unfound(db: Database, dataset: Dataset, table: Table, columns: Sequence[str]) -> Iterator[Finding]:
    if not has_index_on(db, table.name, columns):
        listed = ", ".join(quoted(name) for name in columns)
        create = f"CREATE INDEX {quoted('_'.join((table.name, *columns)))} ON {quoted(table.name)} ({listed})"
        yield refusal(dataset, f"no index finds rows of {table.name!r} by {', '.join(columns)}", create)


def _partners(
    db: Database, dataset: Dataset, owners: Sequence[OwnerSource], role: str, problems: list[Finding]
) -> tuple[tuple[Table, ...], ...]:
    """Find the tables on the way to owners, or users; each must find its rows by an index."""
    return tuple(_way(db, dataset, owner.via, role, problems) if owner.via else () for owner in owners)


def _way(db: Database, dataset: Dataset, via: Via, role: str, problems: list[Finding]) -> tuple[Table, ...]:
    found: list[Table] = []
    wanted = [[mine for mine, _ in step.on] for step in via.further]
    for step, looked_with in zip(via.steps, [*wanted, [via.take]], strict=True):
        table = _find(db, dataset, step.table, step.schema, problems)
        if table is None:
            return ()
        joined = [theirs for _, theirs in step.on]
        lacking = list(_lacking(dataset, table, [*joined, *looked_with], f"{role} (via {step.table})"))
        problems += lacking or _unfound(db, dataset, table, joined)
        found.append(table)
    return tuple(found)


def _clock_table(db: Database, dataset: Dataset, problems: list[Finding]) -> Table | None:
    """Find the table in which the clock stands, which must find its rows by an index."""
    via = dataset.clock.via
    table = _find(db, dataset, via.table, via.schema, problems) if via else None
    if via is None or table is None:
        return None
    joined = [theirs for _, theirs in via.on]
    lacking = list(_lacking(dataset, table, [*joined, via.take], f"clock (via {via.table})"))
    problems += lacking or _unfound(db, dataset, table, joined)
    return table


def _children(db: Database, dataset: Dataset, problems: list[Finding]) -> tuple[ChildTables, ...]:
    """Find the tables of rows that go first, each of which must find its rows by an index."""
    found: list[ChildTables] = []
    for child in dataset.children:
        live = _find(db, dataset, child.table, child.schema, problems)
        hidden = None
        if child.quarantine:
            hidden = _find(db, dataset, child.quarantine, child.quarantine_schema, problems)
        for table in (live, hidden):
            columns = [mine for mine, _ in child.on]
            asked = [*columns, *(only.column for only in child.where)]
            lacking = list(_lacking(dataset, table, asked, f"link to {dataset.name}")) if table else []
            problems += lacking or (_unfound(db, dataset, table, columns) if table else ())
        if live is not None:
            found.append(ChildTables(child, live, hidden))
    return tuple(found)


def _roles(dataset: Dataset) -> list[tuple[str, str]]:
    roles = [("key", name) for name in dataset.key]
    roles += [("clock", dataset.clock.column)] if dataset.clock.column else []
    roles += [("clock", mine) for mine, _ in dataset.clock.via.on] if dataset.clock.via else []
    roles += [("where", only.column) for only in dataset.where]
    roles += [("account", name) for name in columns_of(dataset.owners)]
    roles += [("user", name) for name in columns_of(dataset.users)]
    roles += [(f"link to {parent.dataset}", mine) for parent in dataset.parents for mine, _ in parent.on]
    roles += [(f"link from {child.dataset}", theirs) for child in dataset.children for _, theirs in child.on]
    roles += [(f"attribute {name!r}", column) for name, column in dataset.attributes.items()]
    if dataset.tombstone and dataset.tombstone.column:
        roles.append(("tombstone", dataset.tombstone.column))
    return [*roles, ("blobs", dataset.blobs.column)] if dataset.blobs else roles


def _quarantine(db: Database, live: Source, problems: list[Finding]) -> Source | None:
    dataset, table = live.dataset, live.table
    if dataset.tombstone is None or not dataset.tombstone.table:
        return None
    written = dataset.tombstone.table
    create = f"create it: {create_quarantine(table, written, dataset.key)}"
    if not dataset.tombstone.schema and resolve([name for name, _ in table_names(db)], written) is None:
        problems.append(refusal(dataset, f"the database has no quarantine table {written!r}", create))
        return None
    found = _find(db, dataset, written, dataset.tombstone.schema, problems)
    if found is None:
        return None
    expected = [*_shape(table), (TOMBSTONED_AT, "")]
    actual = [(name, "" if name == TOMBSTONED_AT else declared) for name, declared in _shape(found)]
    if sorted(actual) != sorted(expected):
        what = f"the quarantine table {written!r} has not the columns of {table.name!r} and {TOMBSTONED_AT!r}"
        problems.append(refusal(dataset, what, create))
    elif not is_unique(db, found, dataset.key):
        problems.append(refusal(dataset, f"nothing keeps the key of {written!r} unique", create))
    return Source(dataset, found, written, TOMBSTONED_AT, live.relations)


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
