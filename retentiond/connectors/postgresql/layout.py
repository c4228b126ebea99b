"""Where a dataset's rows stand in a database: in its table, and where hiding moves them, in its quarantine too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from retentiond.connectors.postgresql.catalog import (
    Column,
    Family,
    Table,
    find_tables,
    lacking_index,
    near_tables,
    read_table,
)
from retentiond.connectors.postgresql.fields import Field, account_field, attribute_field, clock_field
from retentiond.connectors.postgresql.jsons import clock_in_json
from retentiond.connectors.postgresql.names import shown, table_candidates
from retentiond.connectors.postgresql.owning import families_of, owner_fields, user_fields
from retentiond.connectors.postgresql.session import Transaction
from retentiond.domain.condition import ACCOUNT, ATTRIBUTE, CLOCK, TOMBSTONED
from retentiond.domain.dataset import Child, ClockSource, Dataset
from retentiond.domain.owner import OwnerSource, columns_of
from retentiond.errors import DatasetRefused
from retentiond.ports.stores import Finding

TOMBSTONED_AT = "tombstoned_at"
TOMBSTONE_CLOCK = ClockSource()
KEY_FAMILIES = frozenset(Family) - {Family.FLOAT, Family.JSON, Family.OTHER}
_TABLES = ("r", "p")
_KINDS = {"v": "a view", "m": "a materialised view", "f": "a foreign table", "S": "a sequence"}


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
        users: The same of its users.
        children: Rows that go first.
    """

    partners: tuple[tuple[Table, ...], ...] = ()
    children: tuple[ChildTables, ...] = ()
    users: tuple[tuple[Table, ...], ...] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """All of them."""
        known = [table for way in (*self.partners, *self.users) for table in way]
        return (*known, *(table for each in self.children for table in (each.live, each.hidden) if table is not None))


@dataclass(frozen=True, slots=True)
class Source:
    """One table that holds records of a dataset.

    Attributes:
        place: As records name it; empty for the dataset's own table.
        tombstone: The column that says when a record was hidden; None where its table says nothing of it.
        key: The columns of the key, in the dataset's order.
        order: Columns that name a row uniquely and have an index, in its order.
        fields: What conditions read, as expressions.
    """

    dataset: Dataset
    table: Table
    place: str
    tombstone: Column | None
    key: tuple[Column, ...]
    order: tuple[Column, ...]
    fields: Mapping[str, Field]
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


def lay_out(tx: Transaction, dataset: Dataset) -> Layout:
    """Find a dataset's tables.

    Raises:
        DatasetRefused: A table or a column is not there, or not of the kind that can be worked on.
    """
    layout, problems = inspect(tx, dataset)
    if layout is None:
        first = problems[0]
        raise DatasetRefused(first.what, where=first.where, remedy=first.remedy)
    return layout


def inspect(tx: Transaction, dataset: Dataset) -> tuple[Layout | None, list[Finding]]:
    """Find a dataset's tables, and all that keeps them from being what it declares; no layout where anything does."""
    problems: list[Finding] = []
    table = _find(tx, dataset, (dataset.table, dataset.schema), problems)
    if table is None:
        return None, problems
    problems += _column_problems(dataset, table)
    if problems:
        return None, problems
    owners, users = (_partners(tx, dataset, table, role, problems) for role in ("account", "user"))
    relations = Relations(owners, _children(tx, dataset, table, problems), users)
    problems += _type_problems(dataset, table)
    if problems:
        return None, problems
    hidden = dataset.tombstone.column if dataset.tombstone else ""
    live = _source(dataset, table, "", table.column(hidden) if hidden else None, relations)
    quarantine = _quarantine(tx, live, problems)
    return (None if problems else Layout(dataset, live, quarantine)), problems


def refusal(dataset: Dataset, what: str, remedy: str) -> Finding:
    """Return a finding that keeps a dataset from being planned."""
    return Finding(what, dataset.name, remedy, refuses=True)


def _source(dataset: Dataset, table: Table, place: str, tombstone: Column | None, relations: Relations) -> Source:
    columns = {column.name: column for column in table.columns}
    order = table.key_order(dataset.key) or ()
    clock = _clock_of(dataset, columns[dataset.clock.column])
    hidden = clock_field(tombstone, TOMBSTONE_CLOCK) if tombstone else None
    fields = {CLOCK: clock, TOMBSTONED: hidden, **_owners(dataset, table, relations)}
    fields |= {ATTRIBUTE + name: attribute_field(columns[column]) for name, column in dataset.attributes.items()}
    return Source(
        dataset,
        table,
        place,
        tombstone,
        tuple(columns[name] for name in dataset.key),
        tuple(columns[name] for name in order),
        {name: field for name, field in fields.items() if field is not None},
        relations,
    )


def _owners(dataset: Dataset, table: Table, relations: Relations) -> Mapping[str, Field | None]:
    users = user_fields(dataset.users, table, relations.users) if dataset.users else {}
    if (column := table.column(dataset.plain_owner)) is not None:
        return {ACCOUNT: account_field(column), **users}
    return {**owner_fields(dataset.owners, table, relations.partners), **users} if dataset.owners else users


def _clock_of(dataset: Dataset, column: Column) -> Field | None:
    if dataset.clock.json is None:
        return clock_field(column, dataset.clock)
    return clock_in_json(column, dataset.clock) if column.family is Family.JSON else None


def _find(tx: Transaction, dataset: Dataset, named: tuple[str, str], problems: list[Finding]) -> Table | None:
    """Find a table by its name as written and its schema, which may be empty."""
    written = named[0]
    found = find_tables(tx, *named)
    if not found:
        near = ", ".join(near_tables(tx, written))
        hint = f"write it as it is called: {near}" if near else "correct the table's name in the data map, or create it"
        problems.append(refusal(dataset, f"the database has no table {written!r}", hint))
        return None
    if len(found) > 1:
        written_out = " or ".join(f"'{shown(schema)}.{shown(name)}'" for _, schema, name, _ in found)
        problems.append(refusal(dataset, f"{written!r} may mean several tables", f"write {written_out}"))
        return None
    ((_, _, _, kind),) = found
    if kind not in _TABLES:
        remedy = "declare the table that holds the rows"
        problems.append(refusal(dataset, f"{written!r} is {_KINDS.get(kind, 'no table')}", remedy))
        return None
    return read_table(tx, found[0])


def _column_problems(dataset: Dataset, table: Table) -> Iterator[Finding]:
    for role, name in _roles(dataset):
        yield from _lacking(dataset, table, (name,), role)
    if not dataset.clock.column:
        yield refusal(dataset, "the clock of a table stands in a column", "declare `clock: {column: NAME}`")
    if not dataset.key:
        yield refusal(dataset, "it declares no key", "declare the columns that name a row: `key: [id]`")


def _roles(dataset: Dataset) -> list[tuple[str, str]]:
    roles = [("key", name) for name in dataset.key]
    roles += [("clock", dataset.clock.column)] if dataset.clock.column else []
    roles += [("account", name) for name in columns_of(dataset.owners)]
    roles += [("user", name) for name in columns_of(dataset.users)]
    roles += [(f"link to {parent.dataset}", mine) for parent in dataset.parents for mine, _ in parent.on]
    roles += [(f"link from {child.dataset}", theirs) for child in dataset.children for _, theirs in child.on]
    roles += [(f"attribute {name!r}", column) for name, column in dataset.attributes.items()]
    if dataset.tombstone and dataset.tombstone.column:
        roles.append(("tombstone", dataset.tombstone.column))
    return [*roles, ("blobs", dataset.blobs.column)] if dataset.blobs else roles


def _type_problems(dataset: Dataset, table: Table) -> Iterator[Finding]:
    columns = {column.name: column for column in table.columns}
    for name in dataset.key:
        if columns[name].family not in KEY_FAMILIES:
            what = f"no receipt can name a key of type {columns[name].type} ({name!r})"
            yield refusal(dataset, what, "declare a key of integers, text, uuid, bytea, dates or times")
        elif not columns[name].not_null:
            remedy = f"ALTER TABLE {table.shown} ALTER COLUMN {shown(name)} SET NOT NULL"
            yield refusal(dataset, f"column {name!r} of the key may be NULL", remedy)
    yield from _unique_problems(dataset, table)
    yield from _reading_problems(dataset, columns)


def _reading_problems(dataset: Dataset, columns: Mapping[str, Column]) -> Iterator[Finding]:
    clock = columns[dataset.clock.column]
    if _clock_of(dataset, clock) is None:
        what = f"a clock of format {dataset.clock.format} cannot stand in column {clock.name!r} of type {clock.type}"
        yield refusal(dataset, what, _format_remedy(clock))
    yield from _owner_problems(dataset, columns)
    for name, column in dataset.attributes.items():
        if attribute_field(columns[column]) is None:
            what = f"attribute {name!r} cannot stand in column {column!r} of type {columns[column].type}"
            yield refusal(dataset, what, "declare a column of text, integers, uuid or boolean")
    if dataset.blobs and columns[dataset.blobs.column].family is not Family.TEXT:
        what = f"the name of an object cannot stand in column {dataset.blobs.column!r}"
        yield refusal(dataset, what, "declare a column of text")
    hidden = columns.get(dataset.tombstone.column) if dataset.tombstone else None
    if hidden is not None and (not hidden.stored or hidden.family not in _TOMBSTONES or hidden.not_null):
        what = f"a tombstone cannot stand in column {hidden.name!r} of type {hidden.type}"
        yield refusal(dataset, what, "declare a column of timestamptz that may be NULL and is not computed")


def _owner_problems(dataset: Dataset, columns: Mapping[str, Column]) -> Iterator[Finding]:
    for owner in (*dataset.owners, *dataset.users):
        if owner.via is not None:
            continue
        column = columns[owner.column]
        if column.family not in families_of(owner):
            what = f"an owner cannot stand in column {owner.column!r} of type {column.type}"
            remedy = "declare a column of json or jsonb" if owner.json or owner.array else "declare a column of text, "
            yield refusal(dataset, what, remedy if owner.json or owner.array else remedy + "integers or uuid")


def _lacking(dataset: Dataset, table: Table, columns: Sequence[str], role: str) -> Iterator[Finding]:
    for name in columns:
        if table.column(name) is None:
            near = [column.name for column in table.columns if column.name.lower() == name.lower()]
            hint = f"write it as {near[0]!r}" if near else "correct the data map, or add the column"
            yield refusal(dataset, f"{table.title!r} has no column {name!r} for its {role}", hint)


def _joinable(
    tx: Transaction, dataset: Dataset, table: Table, other: Table, on: Sequence[tuple[str, str]]
) -> Iterator[Finding]:
    """Refuse a link of columns that have not one type, or that no index of the other table finds.

    Args:
        on: Pairs of a column of the table and a column of the other one.
    """
    families = {column.name: column.family for column in table.columns}
    for mine, theirs in on:
        column = other.column(theirs)
        if column is not None and column.family is not families.get(mine):
            what = f"{table.title}.{mine} and {other.title}.{theirs} have not one type"
            yield refusal(dataset, what, "link columns of one type")
    columns = [theirs for _, theirs in on]
    listed = ", ".join(map(shown, columns))
    for bare in lacking_index(tx, other.oid, columns):
        what = f"no index finds rows of {bare} by {listed}"
        yield refusal(dataset, what, f"CREATE INDEX CONCURRENTLY ON {bare} ({listed})")


def _partners(
    tx: Transaction, dataset: Dataset, table: Table, role: str, problems: list[Finding]
) -> tuple[tuple[Table, ...], ...]:
    """Find the tables on the way to owners (`account`) or users (`user`)."""
    places = dataset.owners if role == "account" else dataset.users
    return tuple(_way(tx, dataset, table, each, role, problems) if each.via else () for each in places)


def _way(
    tx: Transaction, dataset: Dataset, table: Table, owner: OwnerSource, role: str, problems: list[Finding]
) -> tuple[Table, ...]:
    found: list[Table] = []
    steps, take = (owner.via.steps, owner.via.take) if owner.via else ((), "")
    wanted = [[mine for mine, _ in step.on] for step in steps[1:]]
    for step, looked_with in zip(steps, [*wanted, [take]], strict=True):
        partner = _find(tx, dataset, (step.table, step.schema), problems)
        if partner is None:
            return ()
        columns = [*(theirs for _, theirs in step.on), *looked_with]
        lacking = list(_lacking(dataset, partner, columns, f"{role} (via {step.table})"))
        problems += lacking or _joinable(tx, dataset, found[-1] if found else table, partner, step.on)
        found.append(partner)
    problems += _taken_problems(dataset, owner, found[-1].column(take), found[-1].title)
    return tuple(found)


def _taken_problems(dataset: Dataset, owner: OwnerSource, taken: Column | None, title: str) -> Iterator[Finding]:
    if taken is not None and taken.family not in families_of(owner):
        what = f"an owner cannot stand in column {taken.name!r} of {title}, of type {taken.type}"
        right = "json or jsonb" if owner.json or owner.array else "text, integers or uuid"
        yield refusal(dataset, what, f"take a column of {right}")


def _children(tx: Transaction, dataset: Dataset, table: Table, problems: list[Finding]) -> tuple[ChildTables, ...]:
    """Find the tables of rows that go first."""
    found: list[ChildTables] = []
    for child in dataset.children:
        live = _find(tx, dataset, (child.table, child.schema), problems)
        written = (child.quarantine, child.quarantine_schema)
        hidden = _find(tx, dataset, written, problems) if child.quarantine else None
        reverse = [(theirs, mine) for mine, theirs in child.on]
        for each in (live, hidden):
            if each is not None:
                lacking = list(_lacking(dataset, each, [mine for mine, _ in child.on], f"link to {dataset.name}"))
                problems += lacking or _joinable(tx, dataset, table, each, reverse)
        if live is not None:
            found.append(ChildTables(child, live, hidden))
    return tuple(found)


_TOMBSTONES = (Family.TIMESTAMPTZ, Family.TIMESTAMP, Family.TEXT, Family.INTEGER)


def _format_remedy(clock: Column) -> str:
    if clock.family in (Family.TIMESTAMPTZ, Family.TIMESTAMP, Family.DATE):
        return "remove `format`; the column's type says it"
    if clock.family in (Family.INTEGER, Family.NUMERIC):
        return "declare `format: unix-seconds`, unix-milliseconds, unix-microseconds or unix-nanoseconds"
    return "declare a clock of timestamptz, timestamp, date, a number or text"


def _unique_problems(dataset: Dataset, table: Table) -> Iterator[Finding]:
    if table.key_order(dataset.key) is not None:
        return
    columns = ", ".join(dataset.key)
    wider = next((names for names in table.unique if set(dataset.key) < set(names)), None)
    remedy = f"declare `key: [{', '.join(wider)}]`" if wider else create_unique(table, dataset.key)
    yield refusal(dataset, f"nothing keeps the key ({columns}) of {table.title!r} unique", remedy)


def create_unique(table: Table, key: Sequence[str]) -> str:
    """Return the statement that keeps a table's key unique."""
    how = "" if table.kind == "p" else "CONCURRENTLY "
    return f"CREATE UNIQUE INDEX {how}ON {table.shown} ({', '.join(map(shown, key))})"


def _quarantine(tx: Transaction, live: Source, problems: list[Finding]) -> Source | None:
    dataset, table = live.dataset, live.table
    if dataset.tombstone is None or not dataset.tombstone.table:
        return None
    written = dataset.tombstone.table
    named = (written, dataset.tombstone.schema)
    create = f"create it: {create_quarantine(table, named, dataset.key)}"
    if not find_tables(tx, *named):
        problems.append(refusal(dataset, f"the database has no quarantine table {written!r}", create))
        return None
    found = _find(tx, dataset, named, problems)
    if found is None:
        return None
    moved = found.column(TOMBSTONED_AT)
    here = {(column.name, column.type) for column in found.columns if column.stored and column is not moved}
    if moved is None or moved.family not in _TOMBSTONES or here != {(each.name, each.type) for each in table.stored}:
        what = f"the quarantine table {written!r} has not the columns of {table.title!r} and {TOMBSTONED_AT!r}"
        problems.append(refusal(dataset, what, create))
        return None
    if found.key_order(dataset.key) is None:
        problems.append(refusal(dataset, f"nothing keeps the key of {written!r} unique", create))
        return None
    lacking = [name for _, name in _roles(dataset) if found.column(name) is None]
    if lacking:
        problems.append(refusal(dataset, f"the quarantine table {written!r} lacks {', '.join(lacking)}", create))
        return None
    return _source(dataset, found, written, moved, live.relations)


def create_quarantine(table: Table, named: tuple[str, str], key: Sequence[str]) -> str:
    """Return the statement that creates a table's quarantine, of a name as written and a schema that may be empty."""
    written, declared = named
    schema, name = (declared, written) if declared else table_candidates(written)[-1]
    columns = f"LIKE {table.shown} INCLUDING GENERATED, {shown(TOMBSTONED_AT)} timestamptz NOT NULL"
    return f"CREATE TABLE {shown(schema)}.{shown(name)} ({columns}, PRIMARY KEY ({', '.join(map(shown, key))}))"
