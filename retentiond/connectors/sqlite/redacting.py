"""Redacting: parts of rows become empty, a constant or a pseudonym, and nothing else of the row changes.

Before a row is changed all of it is read, in the same transaction: one that says elsewhere what is to go is refused,
since nobody would look at it again once its column is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from retentiond.connectors.redacting import NOTHING_ASKED, traces_of
from retentiond.connectors.sqlite.acting import CHANGED_SINCE, UPDATE, Acting, Said
from retentiond.connectors.sqlite.content import assignments
from retentiond.connectors.sqlite.database import Database
from retentiond.connectors.sqlite.judging import Judge, load_batch
from retentiond.connectors.sqlite.layout import Layout, Source
from retentiond.domain.content import Change
from retentiond.domain.plan import Outcome
from retentiond.ports.stores import Acted, Order


class Redacting(Acting):
    """One order to change parts of rows."""

    def __init__(self, db: Database, layout: Layout, order: Order, change: Change, check: Callable[[], str]) -> None:
        super().__init__(db, layout, order, check)
        self._what = change
        self._traces: dict[int, frozenset[str]] = {}

    def run(self) -> Acted:
        """Carry out the order; the texts that went are told in samples, for the look after it."""
        acted = super().run()
        return Acted(acted.outcomes, acted.reasons, traces=self._traces)

    def _part(self, place: str, indexes: Sequence[int]) -> None:
        source = self._layout.at(place)
        if source is None:
            self._say(indexes, Outcome.REFUSED, f"the data map declares no table {place!r} for it any more")
        else:
            self._attempt(source, indexes)

    def _change(self, source: Source, indexes: Sequence[int]) -> Said:
        """Change what is due, inside a transaction; return what is true of all once it is committed."""
        danger = self._check()
        if danger:
            return [(Outcome.REFUSED, danger, list(indexes))]
        load_batch(self._db, len(self._order.dataset.key), (self._order.records[index].key for index in indexes))
        there = self._judge_elsewhere(source)
        judge = Judge(self._db, source, self._order.cases, self._what)
        judged = judge.judge_batch()
        there |= judged.keys()
        due = {n for n, row in judged.items() if row.case == self._order.case}
        empty = {n for n, row in judged.items() if row.stands is False} - due
        traces, refused = self._look(source, judge)
        judge.leave(refused.keys())
        if due - refused.keys():
            self._db.pseudonyms = self._order.pseudonyms
            self._statements(source, judge)
        self._traces |= {indexes[n]: found for n, found in traces.items()}
        return [
            (Outcome.DONE, "", [indexes[n] for n in due - refused.keys()]),
            *((Outcome.REFUSED, reason, [indexes[n]]) for n, reason in refused.items()),
            (Outcome.CHANGED, CHANGED_SINCE, [indexes[n] for n in there - due - empty]),
            (Outcome.ALREADY_GONE, "", [indexes[n] for n in empty | (set(range(len(indexes))) - there)]),
        ]

    def _look(self, source: Source, judge: Judge) -> tuple[Mapping[int, frozenset[str]], Mapping[int, str]]:
        """Return samples of what goes from each row that is due, and why some cannot be changed."""
        columns = [column.name for column in source.table.stored]
        rows = judge.values(columns, f"j.c = {self._order.case}")
        return traces_of(self._what, columns, rows, self._order.pseudonyms)

    def _sql(self, source: Source, rows: str) -> list[str]:
        return [f"{UPDATE} {source.table.sql} SET {assignments(self._db, self._what)} WHERE {rows}"]


def act(db: Database, layout: Layout, order: Order, check: Callable[[], str]) -> Acted:
    """Carry out an order to redact; one that does not say what is refused."""
    if order.change is None:
        everything = range(len(order.records))
        return Acted(tuple(Outcome.REFUSED for _ in everything), dict.fromkeys(everything, NOTHING_ASKED))
    return Redacting(db, layout, order, order.change, check).run()
