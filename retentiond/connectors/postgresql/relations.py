"""The tables that a dataset's rows are looked at together with: partners that know owners or clocks, and children."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from retentiond.connectors.postgresql.catalog import (
    Column,
    Family,
    Table,
    find_tables,
    missing_indexes,
    near_tables,
    read_table,
)
from retentiond.connectors.postgresql.clocking import clock_here
from retentiond.connectors.postgresql.joining import joins
from retentiond.connectors.postgresql.jsons import READS_TEXT
from retentiond.connectors.postgresql.names import shown
from retentiond.connectors.postgresql.owning import families_of
from retentiond.connectors.postgresql.parting import part_problems
from retentiond.connectors.postgresql.session import Transaction
from retentiond.domain.dataset import Child, Dataset
from retentiond.domain.owner import OwnerSource
from retentiond.ports.stores import Finding

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
        children: Rows that go first.
        clock: The table in which its clock stands; None where the row itself has it, or none.
        cleared: Columns of other tables that the database empties when a row goes.
        users: As `partners`, of its users.
        written: Tables that triggers write into when a row goes, and whether they only add rows there.
    """

    partners: tuple[tuple[Table, ...], ...] = ()
    children: tuple[ChildTables, ...] = ()
    clock: Table | None = None
    cleared: tuple[tuple[Table, str], ...] = ()
    users: tuple[tuple[Table, ...], ...] = ()
    written: tuple[tuple[Table, bool], ...] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """All of them."""
        kin = [table for each in self.children for table in (each.live, each.hidden)]
        known = [*(table for way in (*self.partners, *self.users) for table in way), self.clock]
        return tuple(table for table in (*known, *kin) if table is not None)


def refusal(dataset: Dataset, what: str, remedy: str) -> Finding:
    """Return a finding that keeps a dataset from being planned."""
    return Finding(what, dataset.name, remedy, refuses=True)


def find(tx: Transaction, dataset: Dataset, named: tuple[str, str], problems: list[Finding]) -> Table | None:
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


def lacking_columns(dataset: Dataset, table: Table, columns: Sequence[str], role: str) -> Iterator[Finding]:
    """Yield the columns that a table does not have."""
    for name in columns:
        if table.column(name) is None:
            near = [column.name for column in table.columns if column.name.lower() == name.lower()]
            hint = f"write it as {near[0]!r}" if near else "correct the data map, or add the column"
            yield refusal(dataset, f"{table.title!r} has no column {name!r} for its {role}", hint)


def _joinable(
    tx: Transaction, dataset: Dataset, table: Table, other: Table, on: Sequence[tuple[str, str]]
) -> Iterator[Finding]:
    """Refuse a link of columns that cannot be compared, or that no index of the other table finds.

    Args:
        on: Pairs of a column of the table and a column of the other one.
    """
    families = {column.name: column.family for column in table.columns}
    for mine, theirs in on:
        column = other.column(theirs)
        if column is not None and mine in families and not joins(families[mine], column.family):
            what = f"{table.title}.{mine} and {other.title}.{theirs} have not one type"
            yield refusal(dataset, what, "link columns of one type, or text with integers or uuid")
    columns = [theirs for _, theirs in on]
    listed = ", ".join(map(shown, columns))
    for bare, remedy in missing_indexes(tx, other.oid, columns):
        yield refusal(dataset, f"no index finds rows of {bare} by {listed}", remedy)


def partners(
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
        partner = find(tx, dataset, (step.table, step.schema), problems)
        if partner is None:
            return ()
        columns = [*(theirs for _, theirs in step.on), *looked_with]
        lacking = list(lacking_columns(dataset, partner, columns, f"{role} (via {step.table})"))
        problems += lacking or _joinable(tx, dataset, found[-1] if found else table, partner, step.on)
        found.append(partner)
    problems += _taken_problems(dataset, owner, found[-1].column(take), found[-1].title)
    return tuple(found)


def _taken_problems(dataset: Dataset, owner: OwnerSource, taken: Column | None, title: str) -> Iterator[Finding]:
    if taken is not None and taken.family not in families_of(owner):
        what = f"an owner cannot stand in column {taken.name!r} of {title}, of type {taken.type}"
        json = "take a column of json, jsonb or text"
        yield refusal(dataset, what, json if owner.json or owner.array else "take a column of text, integers or uuid")


def json_text_problems(tx: Transaction, dataset: Dataset, table: Table, relations: Relations) -> Iterator[Finding]:
    """Refuse JSON in columns of text where the server cannot be asked whether a text is JSON."""
    clock = dataset.clock
    asked = [(relations.clock or table, clock.via.take if clock.via else clock.column)] if clock.json else []
    ways = (*zip(dataset.owners, relations.partners, strict=False), *zip(dataset.users, relations.users, strict=False))
    for owner, way in ways:
        if owner.json or owner.array:
            asked.append((way[-1], owner.via.take) if owner.via and way else (table, owner.column))
    found = [(where, column) for where, name in asked if (column := where.column(name))]
    texts = dict.fromkeys((where.title, column.name) for where, column in found if column.family is Family.TEXT)
    if texts and int(tx.value("SELECT current_setting('server_version_num')")) < READS_TEXT:
        for title, name in texts:
            what = f"column {name!r} of {title!r} is text, and only PostgreSQL 16 can tell whether it is JSON"
            yield refusal(dataset, what, "make it jsonb, or move to PostgreSQL 16")


def clock_table(tx: Transaction, dataset: Dataset, table: Table, problems: list[Finding]) -> Table | None:
    """Find the table in which the clock stands."""
    via = dataset.clock.via
    partner = find(tx, dataset, (via.table, via.schema), problems) if via else None
    if via is None or partner is None:
        return None
    columns = [*(theirs for _, theirs in via.on), via.take]
    lacking = list(lacking_columns(dataset, partner, columns, f"clock (via {via.table})"))
    problems += lacking or _joinable(tx, dataset, table, partner, via.on)
    taken = partner.column(via.take)
    if taken is not None and clock_here(dataset.clock, taken) is None:
        what = f"a clock of format {dataset.clock.format} cannot stand in column {via.take!r} of {partner.title}"
        problems.append(refusal(dataset, f"{what}, of type {taken.type}", format_remedy(taken)))
    return partner


def cleared_columns(tx: Transaction, dataset: Dataset, problems: list[Finding]) -> tuple[tuple[Table, str], ...]:
    """Find the columns that the data map lets the database empty."""
    found: list[tuple[Table, str]] = []
    for each in dataset.clears:
        table = find(tx, dataset, (each.table, each.schema), problems)
        if table is not None:
            problems += lacking_columns(dataset, table, (each.column,), "clears")
            found.append((table, each.column))
    return tuple(found)


def written_tables(tx: Transaction, dataset: Dataset, problems: list[Finding]) -> tuple[tuple[Table, bool], ...]:
    """Find the tables that the data map lets triggers write into."""
    asked = {(each.table, each.schema): each.mapped for trigger in dataset.triggers for each in trigger.writes}
    found = [(find(tx, dataset, named, problems), mapped) for named, mapped in asked.items()]
    return tuple((table, mapped) for table, mapped in found if table is not None)


def child_tables(tx: Transaction, dataset: Dataset, table: Table, problems: list[Finding]) -> tuple[ChildTables, ...]:
    """Find the tables of rows that go first."""
    found: list[ChildTables] = []
    for child in dataset.children:
        live = find(tx, dataset, (child.table, child.schema), problems)
        written = (child.quarantine, child.quarantine_schema)
        hidden = find(tx, dataset, written, problems) if child.quarantine else None
        reverse = [(theirs, mine) for mine, theirs in child.on]
        for each in (live, hidden):
            if each is not None:
                asked = [*(mine for mine, _ in child.on), *(only.column for only in child.where)]
                lacking = list(lacking_columns(dataset, each, asked, f"link to {dataset.name}"))
                lacking += [refusal(dataset, *problem) for problem in part_problems(child.where, each)]
                problems += lacking or _joinable(tx, dataset, table, each, reverse)
        if live is not None:
            found.append(ChildTables(child, live, hidden))
    return tuple(found)


def format_remedy(clock: Column) -> str:
    """Return how a clock can be read in a column."""
    if clock.family in (Family.TIMESTAMPTZ, Family.TIMESTAMP, Family.DATE):
        return "remove `format`; the column's type says it"
    if clock.family in (Family.INTEGER, Family.NUMERIC):
        return "declare `format: unix-seconds`, unix-milliseconds, unix-microseconds or unix-nanoseconds"
    return "declare a clock of timestamptz, timestamp, date, a number or text"
