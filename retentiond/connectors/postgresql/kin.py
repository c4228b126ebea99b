"""Rows that go before others: what links a child to its parent, and how many children of a row are left.

Links are texts of the values that both have. Children are counted as the database itself compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retentiond.connectors.postgresql import bulk
from retentiond.connectors.postgresql.bulk import Bulk
from retentiond.connectors.postgresql.catalog import Table
from retentiond.connectors.postgresql.joining import equal_sql
from retentiond.connectors.postgresql.layout import Source
from retentiond.connectors.postgresql.names import quoted
from retentiond.connectors.postgresql.parting import part_sql
from retentiond.connectors.postgresql.relations import ChildTables
from retentiond.domain.record import Standing

On = Sequence[tuple[str, str]]


def linked(source: Source) -> Iterator[tuple[str, str]]:
    """Yield name and expression of what a row `t` is linked by: to its parents, and to its children."""
    for number, parent in enumerate(source.dataset.parents):
        yield f"up{number}", _values("t", [mine for mine, _ in parent.on])
    for number, tables in enumerate(source.relations.children):
        yield f"down{number}", _values("t", [theirs for _, theirs in tables.child.on])
        for place, (_, theirs) in enumerate(tables.child.on):
            yield f"down{number}_{place}", f"t.{quoted(theirs)}"


def bulks(source: Source) -> Iterator[tuple[str, Bulk]]:
    """Yield how these come back; children are counted only for rows that are handed out."""
    for number, _ in enumerate(source.dataset.parents):
        yield f"up{number}", bulk.values(f"g.up{number}")
    for number, tables in enumerate(source.relations.children):
        yield f"down{number}", bulk.values(f"g.down{number}")
        for what, table in (("live", tables.live), ("hidden", tables.hidden)):
            yield f"{what}{number}", bulk.integers(_count(source, tables, table, number))


def _count(source: Source, tables: ChildTables, table: Table | None, number: int) -> str:
    if table is None:
        return "0::int8"
    values = [f"g.down{number}_{place}" for place, _ in enumerate(tables.child.on)]
    return f"(SELECT count(*) FROM {_rows(source, tables, table, values)})"


def links(source: Source, lists: Mapping[str, Sequence[Any]], row: int) -> tuple[tuple[str, str], ...]:
    """Return the links of one row to its parents."""
    return tuple(
        (parent.dataset, _link(parent.on, lists[f"up{number}"][row]))
        for number, parent in enumerate(source.dataset.parents)
    )


def standing(source: Source, lists: Mapping[str, Sequence[Any]], row: int) -> tuple[Standing, ...]:
    """Return how many children of one row are left."""
    return tuple(
        Standing(
            tables.child.dataset,
            _link(tables.child.on, lists[f"down{number}"][row]),
            lists[f"live{number}"][row],
            lists[f"hidden{number}"][row],
        )
        for number, tables in enumerate(source.relations.children)
    )


def is_left_sql(source: Source, *, hides: bool) -> str:
    """Return the condition that a row `t` has a child left.

    Args:
        hides: Whether the row is only moved out of sight: children that were, too, do not keep it.
    """
    tables = [(each, table) for each in source.relations.children for table in (each.live, each.hidden) if table]
    wanted = [(each, table) for each, table in tables if not hides or table is each.live]
    here = [(each, table, [f"t.{quoted(theirs)}" for _, theirs in each.child.on]) for each, table in wanted]
    return " OR ".join(f"EXISTS (SELECT FROM {_rows(source, *each)})" for each in here) or "FALSE"


def _rows(source: Source, tables: ChildTables, table: Table, values: Sequence[str]) -> str:
    """Return the children in a table of which the link has these values, as they stand in SQL."""
    pairs = (
        _equal(table, mine, source.table, theirs, value)
        for (mine, theirs), value in zip(tables.child.on, values, strict=True)
    )
    return f"{table.only} AS c WHERE {' AND '.join(pairs)}{_part(tables, table)}"


def _equal(table: Table, mine: str, parent: Table, theirs: str, value: str) -> str:
    one, other = table.column(mine), parent.column(theirs)
    if one is not None and other is not None and one.family is not other.family:
        return equal_sql(one, f"c.{quoted(mine)}", other, value)
    return f"c.{quoted(mine)} = {value}"


def _part(tables: ChildTables, table: Table) -> str:
    return f" AND {part_sql(tables.child.where, table, 'c')}" if tables.child.where else ""


def _values(alias: str, columns: Sequence[str]) -> str:
    return f"array_to_json(ARRAY[{', '.join(f'{alias}.{quoted(name)}::text' for name in columns)}])::text"


def _link(on: On, values: str) -> str:
    return f"{tuple(on)}{values}"
