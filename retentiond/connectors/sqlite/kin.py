"""Rows that go before others: what links a child to its parent, and how many children of a row are left.

Children are counted as the database itself compares (collations and affinities included), links byte for byte: where
the two differ, more rows wait than would have to, and none goes too soon.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retentiond.connectors.sqlite.database import quoted
from retentiond.connectors.sqlite.layout import ChildTables, Source
from retentiond.connectors.sqlite.parting import part_sql
from retentiond.connectors.sqlite.schema import Table
from retentiond.domain.record import Standing


def links_sql(source: Source) -> list[str]:
    """Return for each row that rows of a table go before an expression for what links them."""
    return [_values([mine for mine, _ in parent.on]) for parent in source.dataset.parents]


def links_of(source: Source, values: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the links that `links_sql` selected."""
    pairs = zip(source.dataset.parents, values, strict=True)
    return tuple((parent.dataset, _link(parent.on, value)) for parent, value in pairs)


def standing_sql(source: Source) -> list[str]:
    """Return for each child dataset three expressions: the link, and how many rows are left, live and hidden."""
    return [each for tables in source.relations.children for each in _standing(tables)]


def standing_of(source: Source, values: Sequence[str | int]) -> tuple[Standing, ...]:
    """Return what `standing_sql` selected."""
    found = zip(source.relations.children, values[::3], values[1::3], values[2::3], strict=True)
    return tuple(
        Standing(tables.child.dataset, _link(tables.child.on, str(link)), int(live), int(hidden))
        for tables, link, live, hidden in found
    )


def is_left_sql(source: Source, *, hides: bool) -> str:
    """Return the condition that a row `t` has a child left.

    Args:
        hides: Whether the row is only moved out of sight: children that were, too, do not keep it.
    """
    tables = [(each, table) for each in source.relations.children for table in (each.live, each.hidden) if table]
    wanted = [(each, table) for each, table in tables if not hides or table is each.live]
    return " OR ".join(f"EXISTS (SELECT 1 {_rows(each, table)})" for each, table in wanted) or "FALSE"


def _standing(tables: ChildTables) -> Iterator[str]:
    yield _values([theirs for _, theirs in tables.child.on])
    for table in (tables.live, tables.hidden):
        yield f"(SELECT COUNT(*) {_rows(tables, table)})" if table else "0"


def _rows(tables: ChildTables, table: Table) -> str:
    pairs = " AND ".join(f"c.{quoted(mine)} = +t.{quoted(theirs)}" for mine, theirs in tables.child.on)
    return f"FROM {table.sql} AS c WHERE {pairs} AND {part_sql(tables.child.where, 'c')}"


def _values(columns: Sequence[str]) -> str:
    parts = (f"typeof(t.{quoted(name)}) || ':' || hex(CAST(t.{quoted(name)} AS BLOB))" for name in columns)
    return " || ',' || ".join(parts)


def _link(on: Sequence[tuple[str, str]], values: str) -> str:
    return f"{on}{values}"
