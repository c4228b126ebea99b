"""Bringing hidden rows back: the tombstone is taken out of its column, or the row moves back out of the quarantine.

A row that stands under the key by now is never overwritten, and nothing that reacts to the change may exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retentiond.connectors.postgresql.acting import Acting, Said
from retentiond.connectors.postgresql.dangers import insertions
from retentiond.connectors.postgresql.judging import Judge
from retentiond.connectors.postgresql.layout import Layout, Source
from retentiond.connectors.postgresql.names import quoted
from retentiond.connectors.postgresql.session import LOCK_MILLISECONDS, Transaction
from retentiond.connectors.postgresql.statements import Statement, unused
from retentiond.connectors.returning import NOT_THAT, NOTHING_HIDES, TAKEN, is_visible
from retentiond.domain.plan import Outcome
from retentiond.domain.record import Key
from retentiond.ports.stores import Order

KEPT = "the database left it hidden although the statement succeeded: a trigger or a rule does that"


class Returning(Acting):
    """One order to bring rows back."""

    def _parts(self) -> None:
        everything = range(len(self._order.records))
        source = hiding(self._layout)
        if source is None:
            self._say(everything, Outcome.REFUSED, NOTHING_HIDES)
        else:
            self._all(source, everything, lock_ms=LOCK_MILLISECONDS)
            self._once_more(source)

    def _danger(self, tx: Transaction) -> str:
        found = super()._danger(tx)
        if found or self._layout.quarantine is None:
            return found
        return "; ".join(insertions(tx, self._layout))

    def _statement(self, judge: Judge, keys: Sequence[Key]) -> Statement:
        return statement(judge, self._layout, self._order, keys)

    def _others(
        self,
        tx: Transaction,
        source: Source,
        indexes: Sequence[int],
        keys: Sequence[Key],
        done: set[int],
    ) -> Said:
        """Say what became of the rows that the statement did not touch."""
        rest = [n for n in range(len(keys)) if n not in done]
        if not rest:
            return []
        some = [keys[n] for n in rest]
        moves = source is self._layout.quarantine
        hidden = Judge(source, self._order.cases).judge(tx, some)
        live = Judge(self._layout.live, self._order.cases).judge(tx, some) if moves else {}
        there = live.keys() - hidden.keys() if moves else {n for n, row in hidden.items() if is_visible(row)}
        due = {n for n, row in hidden.items() if row.hidden and row.case == self._order.case}
        gone = set(range(len(rest))) - hidden.keys() - live.keys()
        return [
            (Outcome.REFUSED, KEPT, [indexes[rest[n]] for n in due - live.keys()]),
            (Outcome.CHANGED, TAKEN, [indexes[rest[n]] for n in due & live.keys()]),
            (Outcome.ALREADY_THERE, "", [indexes[rest[n]] for n in there]),
            (Outcome.CHANGED, NOT_THAT, [indexes[rest[n]] for n in hidden.keys() - due - there]),
            (Outcome.ALREADY_GONE, "", [indexes[rest[n]] for n in gone]),
        ]


def statement(judge: Judge, layout: Layout, order: Order, keys: Sequence[Key]) -> Statement:
    """Return the statement that brings back the rows of exactly these keys."""
    source = judge.source
    located = judge.locate(keys)
    place = unused({column.name for column in source.table.columns})
    together = located.together(f"gone.{place}")
    where = f"{located.where} AND {judge.hidden} AND {judge.verdict} = {order.case}"
    returning = f"RETURNING {located.place} AS {place}"
    if source is layout.quarantine:
        using = f" USING {located.using}" if located.using else ""
        delete = f"DELETE FROM {source.table.only} AS t{using} WHERE {where} AND {_is_free(layout)} {returning}"
        sql = _move(layout, delete, together.aggregate)
    else:
        column = quoted(source.tombstone.name if source.tombstone else "")
        beside = f" FROM {located.using}" if located.using else ""
        update = f"UPDATE {source.table.only} AS t SET {column} = NULL{beside} WHERE {where} {returning}"
        sql = f"WITH gone AS ({update}) SELECT count(*), count(*), {together.aggregate} FROM gone"

    def places(raw: Any) -> set[int]:  # noqa: ANN401 -- what the aggregate gives
        return set(located.numbers(together.decode(raw)))

    return Statement(sql, judge.parameters.values, places)


def _is_free(layout: Layout) -> str:
    """Return the condition that no row of the dataset's own table has the key of a row `t` of its quarantine."""
    pairs = (f"l.{quoted(name)} = t.{quoted(name)}" for name in layout.dataset.key)
    return f"NOT EXISTS (SELECT FROM {layout.live.table.only} AS l WHERE {' AND '.join(pairs)})"


def _move(layout: Layout, delete: str, places: str) -> str:
    live = layout.live.table
    columns = [quoted(column.name) for column in live.stored]
    returning = ", ".join(f"t.{name}" for name in columns)
    taken = ", ".join(f"gone.{name}" for name in columns)
    return (
        f"WITH gone AS ({delete}, {returning}),"
        f" moved AS (INSERT INTO {live.sql} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE"
        f" SELECT {taken} FROM gone RETURNING 1)"
        f" SELECT count(*), (SELECT count(*) FROM moved), {places} FROM gone"
    )


def hiding(layout: Layout) -> Source | None:
    """Return the table in which hidden rows of a dataset stand; None where nothing hides them."""
    if layout.quarantine is not None:
        return layout.quarantine
    return layout.live if layout.live.tombstone else None
