"""Bringing hidden rows back: the tombstone is taken out of its column, or the row moves back out of the quarantine.

A row that stands under the key by now is never overwritten, and nothing that reacts to the change may exist.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from retentiond.connectors.returning import NOT_THAT, NOTHING_HIDES, TAKEN, is_visible
from retentiond.connectors.sqlite.acting import INSERT, UPDATE, Acting, Said
from retentiond.connectors.sqlite.database import Database, quoted
from retentiond.connectors.sqlite.judging import Judge, load_batch
from retentiond.connectors.sqlite.layout import Layout, Source
from retentiond.connectors.sqlite.survey import insertions
from retentiond.domain.plan import Outcome
from retentiond.ports.stores import Order


class Returning(Acting):
    """One order to bring rows back."""

    def __init__(self, db: Database, layout: Layout, order: Order, check: Callable[[], str]) -> None:
        super().__init__(db, layout, order, lambda: check() or _reaction(db, layout))

    def _parts(self) -> None:
        everything = range(len(self._order.records))
        source = hiding(self._layout)
        if source is None:
            self._say(everything, Outcome.REFUSED, NOTHING_HIDES)
        else:
            self._attempt(source, everything)

    def _change(self, source: Source, indexes: Sequence[int]) -> Said:
        """Bring back what is due, inside a transaction; return what is true of all once it is committed."""
        danger = self._check()
        if danger:
            return [(Outcome.REFUSED, danger, list(indexes))]
        load_batch(self._db, len(self._order.dataset.key), (self._keys[index] for index in indexes))
        moves = source is self._layout.quarantine
        live = Judge(self._db, self._layout.live, self._order.cases).judge_batch() if moves else {}
        judge = Judge(self._db, source, self._order.cases)
        hidden = judge.judge_batch()
        there = live.keys() - hidden.keys() if moves else {n for n, row in hidden.items() if is_visible(row)}
        due = {n for n, row in hidden.items() if row.hidden and row.case == self._order.case}
        taken = due & live.keys()
        judge.leave(taken)
        if due - taken:
            self._statements(source, judge)
        gone = set(range(len(indexes))) - hidden.keys() - live.keys()
        return [
            (Outcome.DONE, "", [indexes[n] for n in due - taken]),
            (Outcome.CHANGED, TAKEN, [indexes[n] for n in taken]),
            (Outcome.ALREADY_THERE, "", [indexes[n] for n in there]),
            (Outcome.CHANGED, NOT_THAT, [indexes[n] for n in hidden.keys() - due - there]),
            (Outcome.ALREADY_GONE, "", [indexes[n] for n in gone]),
        ]

    def _sql(self, source: Source, rows: str) -> list[str]:
        table = source.table.sql
        if source is not self._layout.quarantine:
            return [f"{UPDATE} {table} SET {quoted(source.tombstone)} = NULL WHERE {rows}"]
        live = self._layout.live.table
        columns = ", ".join(quoted(column.name) for column in live.stored)
        insert = f"{INSERT} {live.sql} ({columns}) SELECT {columns} FROM {table} WHERE {rows}"
        return [insert, f"DELETE FROM {table} WHERE {rows}"]


def hiding(layout: Layout) -> Source | None:
    """Return the table in which hidden rows of a dataset stand; None where nothing hides them."""
    if layout.quarantine is not None:
        return layout.quarantine
    return layout.live if layout.live.tombstone else None


def _reaction(db: Database, layout: Layout) -> str:
    """Return what would react to rows that come back into the dataset's own table; empty where nothing would."""
    return "; ".join(insertions(db, layout)) if layout.quarantine is not None else ""
