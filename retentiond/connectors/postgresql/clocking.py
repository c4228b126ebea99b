"""Clocks of rows in SQL: in a column, inside its JSON, or in another table of the database."""

from __future__ import annotations

from retentiond.connectors.postgresql.catalog import Column, Table
from retentiond.connectors.postgresql.fields import Field, clock_field
from retentiond.connectors.postgresql.jsons import clock_in_json, may_hold_json
from retentiond.connectors.postgresql.owning import same
from retentiond.domain.dataset import ClockSource


def clock_here(clock: ClockSource, column: Column) -> Field | None:
    """Return a column of row `t` read as a clock; None where its type does not fit the format."""
    if clock.json is None:
        return clock_field(column, clock)
    return clock_in_json(column, clock) if may_hold_json(column) else None


def clock_elsewhere(clock: ClockSource, table: Table, partner: Table) -> Field | None:
    """Return the clock that stands in another table; NULL where no row is there, and where rows disagree.

    Inside, the partner is the row `t`, so that it is read as the record's own row would be.
    """
    via = clock.via
    read = clock_here(clock, _column(partner, via.take)) if via else None
    if via is None or read is None:
        return None
    joined = " AND ".join(same(_column(partner, theirs), "p", _column(table, mine), "t") for mine, theirs in via.on)
    sql = (
        f"(SELECT CASE WHEN count(q.x) = count(*) AND min(q.x) = max(q.x) THEN min(q.x) END FROM"
        f" (SELECT {read.sql} AS x FROM (SELECT p.* FROM {partner.only} AS p WHERE {joined} OFFSET 0) AS t) AS q)"
    )
    return Field(read.kind, sql, costly=True)


def _column(table: Table, name: str) -> Column:
    return next(column for column in table.columns if column.name == name)
