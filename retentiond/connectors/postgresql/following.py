"""Rows that the database itself would take along with others, told by what it counts of a transaction.

Children go first, and a row of which one is left is not removed by the statement. A child that another program adds
while the statement waits for that row is not seen by it, and CASCADE or SET NULL would follow to it. PostgreSQL counts
the rows that a transaction removes and changes, table by table: where that grew for a child's table, all is undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from retentiond.connectors.postgresql.layout import Source
from retentiond.connectors.postgresql.session import Transaction

_TOUCHED = """
SELECT coalesce(sum(pg_stat_get_xact_tuples_deleted(oid) + pg_stat_get_xact_tuples_updated(oid)), 0)::int8
FROM unnest(%(tree)s::oid[]) AS oid
"""


class Spread(Exception):
    """A statement did not do to as many rows what it did to others; the transaction is undone."""


@contextmanager
def untouched(tx: Transaction, source: Source) -> Iterator[None]:
    """Have a statement touch nothing in the tables of rows that go before a table's own.

    Raises:
        Spread: It did.
    """
    children = source.relations.children
    tree = {"tree": sorted({oid for each in children for oid in each.live.tree if oid not in source.table.tree})}
    before = tx.value(_TOUCHED, tree) if children else 0
    yield
    after = tx.value(_TOUCHED, tree) if children else 0
    if after != before:
        raise Spread(f"it would take {after - before} rows along that were added to it meanwhile")


def counts(tx: Transaction) -> bool:
    """Whether the server counts what transactions do."""
    return bool(tx.value("SELECT current_setting('track_counts') = 'on'"))
