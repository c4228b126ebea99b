"""Which rows of a table are a dataset's, as SQL: a condition that is true or false of each row, never NULL."""

from __future__ import annotations

from collections.abc import Sequence

from retentiond.connectors.sqlite.database import quoted
from retentiond.connectors.sqlite.schema import Table
from retentiond.domain.part import Only, Part, Word


def part_sql(where: Part, alias: str) -> str:
    """Return the condition that a row is in a part. Values are of one type and compare byte for byte."""
    return " AND ".join(_said(only, alias) for only in where) or "TRUE"


def leftover_sql(parts: Sequence[Part], table: Table) -> str:
    """Return a query that says whether a table has a row in none of these parts."""
    taken = " OR ".join(f"({part_sql(each, 't')})" for each in parts)
    return f"SELECT EXISTS (SELECT 1 FROM {table.sql} AS t WHERE NOT ({taken}))"


def _said(only: Only, alias: str) -> str:
    found = f"{alias}.{quoted(only.column)}"
    said = " OR ".join(_is(found, each) for each in only.values)
    return f"NOT ({said})" if only.others else f"({said})"


def _is(found: str, value: Word) -> str:
    if value is None:
        return f"{found} IS NULL"
    if isinstance(value, int):  # true and false stand as 1 and 0
        return f"(typeof({found}) = 'integer' AND {found} IS {int(value)})"
    escaped = value.replace("'", "''")
    return f"(typeof({found}) = 'text' AND {found} COLLATE BINARY IS '{escaped}')"
