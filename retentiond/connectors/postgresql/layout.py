"""Where a dataset's rows stand in a database: in its table, and where hiding moves them, in its quarantine too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from retentiond.connectors.postgresql.catalog import (
    Column,
    Family,
    Table,
    find_tables,
)
from retentiond.connectors.postgresql.clocking import clock_elsewhere, clock_here
from retentiond.connectors.postgresql.fields import NEVER, Field, account_field, attribute_field, clock_field
from retentiond.connectors.postgresql.names import shown, table_candidates
from retentiond.connectors.postgresql.owning import families_of, owner_fields, user_fields
from retentiond.connectors.postgresql.parting import part_problems, part_sql
from retentiond.connectors.postgresql.relations import (
    Relations,
    child_tables,
    cleared_columns,
    clock_table,
    find,
    format_remedy,
    json_text_problems,
    lacking_columns,
    partners,
    refusal,
    written_tables,
)
from retentiond.connectors.postgresql.session import Transaction
from retentiond.domain.condition import ACCOUNT, ATTRIBUTE, CLOCK, TOMBSTONED
from retentiond.domain.dataset import ClockFormat, ClockSource, Dataset
from retentiond.domain.owner import columns_of
from retentiond.errors import DatasetRefused
from retentiond.ports.stores import Finding

TOMBSTONED_AT = "tombstoned_at"
TOMBSTONE_CLOCK = ClockSource()
KEY_FAMILIES = frozenset(Family) - {Family.FLOAT, Family.JSON, Family.OTHER}


@dataclass(frozen=True, slots=True)
class Source:
    """One table that holds records of a dataset.

    Attributes:
        place: As records name it; empty for the dataset's own table.
        tombstone: The column that says when a record was hidden; None where its table says nothing of it.
        key: The columns of the key, in the dataset's order.
        order: Columns that name a row uniquely and have an index, in its order.
        fields: What conditions read, as expressions.
        part: The condition that a row `t` is one of the dataset's; empty where all of them are.
    """

    dataset: Dataset
    table: Table
    place: str
    tombstone: Column | None
    key: tuple[Column, ...]
    order: tuple[Column, ...]
    fields: Mapping[str, Field]
    relations: Relations
    part: str = ""

    @property
    def mine(self) -> str:
        """What stands behind a condition of the table's rows, so that only the dataset's own are looked at."""
        return f" AND {self.part}" if self.part else ""


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
    table = find(tx, dataset, (dataset.table, dataset.schema), problems)
    if table is None:
        return None, problems
    problems += _column_problems(dataset, table)
    if problems:
        return None, problems
    relations = Relations(
        partners(tx, dataset, table, "account", problems),
        child_tables(tx, dataset, table, problems),
        clock_table(tx, dataset, table, problems),
        cleared_columns(tx, dataset, problems),
        partners(tx, dataset, table, "user", problems),
        written_tables(tx, dataset, problems),
    )
    problems += _type_problems(dataset, table)
    problems += json_text_problems(tx, dataset, table, relations)
    if problems:
        return None, problems
    hidden = dataset.tombstone.column if dataset.tombstone else ""
    live = _source(dataset, table, "", table.column(hidden) if hidden else None, relations)
    quarantine = _quarantine(tx, live, problems)
    return (None if problems else Layout(dataset, live, quarantine)), problems


def _source(dataset: Dataset, table: Table, place: str, tombstone: Column | None, relations: Relations) -> Source:
    columns = {column.name: column for column in table.columns}
    order = table.key_order(dataset.key) or ()
    clock = _clock_of(dataset, table, relations)
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
        part_sql(dataset.where, table, "t") if dataset.where else "",
    )


def _owners(dataset: Dataset, table: Table, relations: Relations) -> Mapping[str, Field | None]:
    users = user_fields(dataset.users, table, relations.users) if dataset.users else {}
    if not dataset.owners:
        return users
    column = table.column(dataset.plain_owner)
    if column is not None:
        return {ACCOUNT: account_field(column), **users}
    return {**owner_fields(dataset.owners, table, relations.partners), **users}


def _clock_of(dataset: Dataset, table: Table, relations: Relations) -> Field | None:
    if dataset.clock.format is ClockFormat.NONE:
        return NEVER
    if dataset.clock.via is not None:
        return clock_elsewhere(dataset.clock, table, relations.clock) if relations.clock else None
    return clock_here(dataset.clock, next(each for each in table.columns if each.name == dataset.clock.column))


def _column_problems(dataset: Dataset, table: Table) -> Iterator[Finding]:
    for role, name in _roles(dataset):
        yield from lacking_columns(dataset, table, (name,), role)
    if not (dataset.clock.column or dataset.clock.via or dataset.clock.format is ClockFormat.NONE):
        yield refusal(dataset, "the clock of a table stands in a column", "declare `clock: {column: NAME}`")
    if not dataset.key:
        yield refusal(dataset, "it declares no key", "declare the columns that name a row: `key: [id]`")


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
    yield from (refusal(dataset, *each) for each in part_problems(dataset.where, table))


def _reading_problems(dataset: Dataset, columns: Mapping[str, Column]) -> Iterator[Finding]:
    clock = columns.get(dataset.clock.column)
    if clock is not None and clock_here(dataset.clock, clock) is None:
        what = f"a clock of format {dataset.clock.format} cannot stand in column {clock.name!r} of type {clock.type}"
        yield refusal(dataset, what, format_remedy(clock))
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
            remedy = (
                "declare a column of json, jsonb or text" if owner.json or owner.array else "declare a column of text, "
            )
            yield refusal(dataset, what, remedy if owner.json or owner.array else remedy + "integers or uuid")


_TOMBSTONES = (Family.TIMESTAMPTZ, Family.TIMESTAMP, Family.TEXT, Family.INTEGER)


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
    found = find(tx, dataset, named, problems)
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
