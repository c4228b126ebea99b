"""The statements that change rows: each by exact key, and only where the predicate is still true.

Every statement gives one row: how many rows it changed, how many it moved, and the places of their keys in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from retentiond.connectors.postgresql.catalog import Column, Family
from retentiond.connectors.postgresql.judging import Judge
from retentiond.connectors.postgresql.kin import is_left_sql
from retentiond.connectors.postgresql.layout import TOMBSTONED_AT, Layout, Source
from retentiond.connectors.postgresql.names import quoted
from retentiond.domain.policy import Action
from retentiond.domain.record import Key, micros
from retentiond.ports.stores import Order


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that gives one row, and how the last value of that row tells the places of the rows it changed."""

    sql: str
    parameters: Mapping[str, object]
    places: Callable[[Any], set[int]]


def statement(judge: Judge, layout: Layout, order: Order, keys: Sequence[Key]) -> Statement:
    """Return the statement that does what is ordered to the rows of exactly these keys."""
    source = judge.source
    located = judge.locate(keys)
    place = unused({column.name for column in source.table.columns})
    free = f"NOT ({blocked_by(judge.source, layout, order)})"
    where = f"WHERE {located.where} AND {judge.verdict} = {order.case} AND {free} RETURNING {located.place} AS {place}"
    together = located.together(f"gone.{place}")
    counts = f"SELECT count(*), count(*), {together.aggregate} FROM gone"
    using = f" USING {located.using}" if located.using else ""
    delete = f"DELETE FROM {source.table.only} AS t{using} {where}"
    if order.action is Action.PURGE:
        sql = f"WITH gone AS ({delete}) {counts}"
    elif layout.quarantine is None:
        beside = f" FROM {located.using}" if located.using else ""
        sql = f"WITH gone AS (UPDATE {source.table.only} AS t SET {_hidden(judge, order)}{beside} {where}) {counts}"
    else:
        sql = _move(judge, layout.quarantine, order, delete, together.aggregate)

    def places(raw: Any) -> set[int]:  # noqa: ANN401 -- what the aggregate gives
        return set(located.numbers(together.decode(raw)))

    return Statement(sql, judge.parameters.values, places)


def blocked_by(source: Source, layout: Layout, order: Order) -> str:
    """Return the condition that children keep a row `t`; a row that is hidden in its place goes nowhere."""
    hides = order.action is Action.TOMBSTONE
    if hides and layout.quarantine is None:
        return "FALSE"
    return is_left_sql(source, hides=hides)


def _hidden(judge: Judge, order: Order) -> str:
    column = judge.source.tombstone
    return f"{quoted(column.name) if column else ''} = {_written_time(judge, order, column)}"


def _move(judge: Judge, quarantine: Source, order: Order, delete: str, places: str) -> str:
    columns = [quoted(column.name) for column in judge.source.table.stored]
    into = f"{quarantine.table.sql} ({', '.join((*columns, quoted(TOMBSTONED_AT)))})"
    taken = ", ".join(f"gone.{name}" for name in columns)
    returning = ", ".join(f"t.{name}" for name in columns)
    at = _written_time(judge, order, quarantine.table.column(TOMBSTONED_AT))
    return (
        f"WITH gone AS ({delete}, {returning}),"
        f" moved AS (INSERT INTO {into} OVERRIDING SYSTEM VALUE SELECT {taken}, {at} FROM gone RETURNING 1)"
        f" SELECT count(*), (SELECT count(*) FROM moved), {places} FROM gone"
    )


def unused(taken: AbstractSet[str]) -> str:
    """Return a name that none of a table's columns has."""
    name = "n"
    while name in taken:
        name += "n"
    return name


def _written_time(judge: Judge, order: Order, column: Column | None) -> str:
    """Return the tombstone's time as its column holds times; whole seconds are rounded up."""
    moment = order.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if column is None or column.family is Family.TIMESTAMPTZ:
        return f"{judge.parameters.bind(moment)}::timestamptz"
    if column.family is Family.INTEGER:
        return f"{judge.parameters.bind(-(-micros(order.at) // 1_000_000))}::int8"
    if column.family is Family.TIMESTAMP:
        return f"{judge.parameters.bind(moment)}::timestamp"
    return f"{judge.parameters.bind(moment)}::text"
