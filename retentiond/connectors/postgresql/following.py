"""Rows that the database itself would take along with others, told by what it counts of a transaction.

Children go first, and a row of which one is left is not removed by the statement. A child that another program adds
while the statement waits for that row is not seen by it, and CASCADE or SET NULL would follow to it. PostgreSQL counts
the rows that a transaction removes and changes, table by table: where that grew for a child's table, all is undone.
A row of the same table that refers to another goes in one statement with it, or before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from retentiond.connectors.postgresql.catalog import Reference
from retentiond.connectors.postgresql.judging import Judge
from retentiond.connectors.postgresql.layout import Source
from retentiond.connectors.postgresql.names import quoted
from retentiond.connectors.postgresql.session import Transaction
from retentiond.domain.record import Key

FOLLOWED = frozenset("cnd")  # CASCADE, SET NULL, SET DEFAULT in pg_constraint.confdeltype
_TOUCHED = """
SELECT coalesce(sum(pg_stat_get_xact_tuples_deleted(oid) + pg_stat_get_xact_tuples_updated(oid)), 0)::int8
FROM unnest(%(tree)s::oid[]) AS oid
"""


class Spread(Exception):
    """A statement did not do to as many rows what it did to others; the transaction is undone."""


@contextmanager
def untouched(tx: Transaction, source: Source) -> Iterator[list[int]]:
    """Have a statement touch nothing but the rows that it was made for, where foreign keys would follow to others.

    Whoever runs it puts the number of these rows into the list that it is given.

    Raises:
        Spread: It did.
    """
    follows = any(each.on_delete in FOLLOWED for each in source.table.refers)
    own = set(source.table.tree if follows else ())
    children = {oid for each in source.relations.children for oid in each.live.tree} - set(source.table.tree)
    tree = {"tree": sorted(own | children)}
    before = tx.value(_TOUCHED, tree) if tree["tree"] else 0
    done: list[int] = []
    yield done
    further = tx.value(_TOUCHED, tree) - before - (sum(done) if own else 0) if tree["tree"] else 0
    if further:
        raise Spread(f"it would take {further} rows along that nobody planned")


def stuck(tx: Transaction, source: Source, keys: Sequence[Key]) -> set[int]:
    """Return the places of rows of a table that refers to itself, to which rows refer that are not among these keys."""
    judge = Judge(source, None)
    batch = judge.batch(keys)
    pairs = enumerate(source.key)
    among = " AND ".join(f"x.k{number}::text = c.{quoted(column.name)}::text" for number, column in pairs)
    left = " OR ".join(
        f"EXISTS (SELECT FROM {source.table.only} AS c WHERE {_refers(each)} AND NOT EXISTS (SELECT FROM b AS x"
        f" WHERE {among}))"
        for each in source.table.refers
    )
    rows = tx.rows(
        f"WITH b AS MATERIALIZED (SELECT * FROM {batch})"
        f" SELECT b.n::int8 FROM b JOIN {source.table.only} AS t ON {judge.matches()} WHERE {left}",
        judge.parameters.values,
    )
    return {place - 1 for (place,) in rows}


def lined_up(tx: Transaction, source: Source, keys: Sequence[Key]) -> list[int]:
    """Return the places of keys so that rows which refer to others of their table come before these."""
    judge = Judge(source, None)
    batch = judge.batch(keys)
    pairs = enumerate(source.key)
    same = " AND ".join(f"x.k{number}::text = c.{quoted(column.name)}::text" for number, column in pairs)
    answers: dict[int, list[int]] = {}
    for reference in source.table.refers:
        rows = tx.rows(
            f"WITH b AS MATERIALIZED (SELECT * FROM {batch})"
            f" SELECT b.n::int8, x.n::int8 FROM b JOIN {source.table.only} AS t ON {judge.matches()}"
            f" JOIN {source.table.only} AS c ON {_refers(reference)} JOIN b AS x ON {same}",
            judge.parameters.values,
        )
        for named, answer in rows:
            answers.setdefault(named - 1, []).append(answer - 1)
    return answers_first(range(len(keys)), answers)


def answers_first(places: Sequence[int], answers: Mapping[int, Sequence[int]]) -> list[int]:
    """Return places so that each comes after its answers; of a circle somebody has to be first."""
    done: dict[int, None] = {}
    seen: set[int] = set()
    for place in places:
        pending = [place]
        while pending:
            here = pending[-1]
            seen.add(here)
            more = [each for each in answers.get(here, ()) if each not in seen]
            if more:
                pending.extend(more[:1])
            else:
                done.setdefault(pending.pop())
    return list(done)


def _refers(reference: Reference) -> str:
    return " AND ".join(f"c.{quoted(mine)} = t.{quoted(theirs)}" for mine, theirs in reference.pairs)


def counts(tx: Transaction) -> bool:
    """Whether the server counts what transactions do."""
    return bool(tx.value("SELECT current_setting('track_counts') = 'on'"))
