"""Carrying out an order: rows are looked at, judged and changed in one transaction, by their exact address.

A batch is one transaction. Where the database refuses it because of some row (another table refers to it, say), its
halves are tried, and so on, until only the rows in question are left out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import TypeAlias

from retentiond.connectors.sqlite.database import Database, failure, is_denied, quoted
from retentiond.connectors.sqlite.following import leave_stuck, remove
from retentiond.connectors.sqlite.judging import Judge, load_batch
from retentiond.connectors.sqlite.layout import TOMBSTONED_AT, Layout, Source
from retentiond.domain.plan import Outcome
from retentiond.domain.policy import Action
from retentiond.domain.record import micros
from retentiond.domain.records import by_place, keys_of
from retentiond.ports.stores import Acted, Order

Said: TypeAlias = list[tuple[Outcome, str, list[int]]]

CHILDREN_LEFT = "rows that go before it are still there"
CHANGED_SINCE = "the policy no longer says this of it"
# ON CONFLICT REPLACE of a constraint would remove the row that is in the way, and nothing counts it
UPDATE, INSERT = "UPDATE OR ABORT", "INSERT OR ABORT INTO"


class _Spread(Exception):
    """A statement changed more or fewer rows than those it was made for."""


class Acting:
    """One order being carried out.

    Args:
        check: Called inside each transaction; returns why the table may not be changed, or an empty text.
    """

    def __init__(self, db: Database, layout: Layout, order: Order, check: Callable[[], str]) -> None:
        self._db = db
        self._layout = layout
        self._order = order
        self._check = check
        self._keys = keys_of(order.records)
        self._outcomes = [Outcome.UNKNOWN] * len(self._keys)
        self._reasons: dict[int, str] = {}

    def run(self) -> Acted:
        """Carry out the order.

        Raises:
            ConnectorError: The database failed before anything could be said of any record.
        """
        try:
            self._parts()
        except sqlite3.Error as error:
            if Outcome.UNKNOWN not in self._outcomes:
                raise
            if all(outcome is Outcome.UNKNOWN for outcome in self._outcomes):
                raise failure(error, self._order.dataset.name) from error
            left = [n for n, outcome in enumerate(self._outcomes) if outcome is Outcome.UNKNOWN]
            self._say(left, Outcome.UNKNOWN, f"SQLite says: {error}")
        return Acted(tuple(self._outcomes), self._reasons)

    def _parts(self) -> None:
        for place, indexes in by_place(self._order.records):
            self._part(place, indexes)

    def _part(self, place: str, indexes: Sequence[int]) -> None:
        source = self._layout.at(place)
        if source is None:
            self._say(indexes, Outcome.REFUSED, f"the data map declares no table {place!r} for it any more")
        elif self._order.action not in (Action.PURGE, Action.TOMBSTONE):
            self._say(indexes, Outcome.REFUSED, f"no table is told to {self._order.action} yet")
        else:
            self._attempt(source, indexes)

    def _attempt(self, source: Source, indexes: Sequence[int]) -> None:
        try:
            with self._db.writing():
                said = self._change(source, indexes)
        except (sqlite3.IntegrityError, _Spread) as error:
            if len(indexes) == 1:
                self._say(indexes, Outcome.REFUSED, str(error))
                return
            middle = len(indexes) // 2
            self._attempt(source, indexes[:middle])
            self._attempt(source, indexes[middle:])
        except sqlite3.Error as error:
            if not is_denied(error):
                raise
            self._say(indexes, Outcome.REFUSED, str(error))
        else:
            for outcome, reason, some in said:
                self._say(some, outcome, reason)

    def _say(self, indexes: Sequence[int], outcome: Outcome, reason: str) -> None:
        for index in indexes:
            self._outcomes[index] = outcome
            if reason:
                self._reasons[index] = reason

    def _change(self, source: Source, indexes: Sequence[int]) -> Said:
        """Change what is due, inside a transaction; return what is true of all once it is committed."""
        danger = self._check()
        if danger:
            return [(Outcome.REFUSED, danger, list(indexes))]
        keys = (self._keys[index] for index in indexes)
        load_batch(self._db, len(self._order.dataset.key), keys)
        there = self._judge_elsewhere(source)
        judge = Judge(self._db, source, self._order.cases)
        judged = judge.judge_batch()
        there |= judged.keys()
        due = {n for n, row in judged.items() if row.case == self._order.case}
        blocked = self._leave_blocked(source, judge)
        if due - blocked:
            self._statements(source, judge)
        gone = set(range(len(indexes))) - there
        return [
            (Outcome.DONE, "", [indexes[n] for n in due - blocked]),
            (Outcome.BLOCKED, CHILDREN_LEFT, [indexes[n] for n in blocked]),
            (Outcome.CHANGED, CHANGED_SINCE, [indexes[n] for n in there - due]),
            (Outcome.ALREADY_GONE, "", [indexes[n] for n in gone]),
        ]

    def _leave_blocked(self, source: Source, judge: Judge) -> set[int]:
        """Leave rows of which children are left, unless they are hidden in their place and go nowhere."""
        hides = self._order.action is Action.TOMBSTONE
        if hides and self._layout.quarantine is None:
            return set()
        blocked = judge.leave_blocked(self._order.case, hides=hides)
        if self._order.action in (Action.PURGE, Action.TOMBSTONE):
            blocked |= leave_stuck(self._db, source, judge, self._order.case)
        return blocked

    def _judge_elsewhere(self, source: Source) -> set[int]:
        """Return the places in the batch of keys that stand in another table of the dataset."""
        found: set[int] = set()
        for other in self._layout.sources:
            if other is not source:
                found |= Judge(self._db, other, self._order.cases).judge_batch().keys()
        return found

    def _statements(self, source: Source, judge: Judge) -> None:
        expected = judge.count(self._order.case)
        for statement in self._sql(source, judge.addressed(self._order.case)):
            self._order.fence()
            if statement.startswith("DELETE"):
                changed = remove(self._db, source, judge, self._order.case)
            else:
                changed = self._db.run(statement, {"at": self._written_time(source)})
            if changed != expected:
                raise _Spread(f"the statement would change {changed} rows for {expected} records")

    def _sql(self, source: Source, rows: str) -> list[str]:
        delete = f"DELETE FROM {source.table.sql} WHERE {rows}"
        if self._order.action is Action.PURGE:
            return [delete]
        quarantine = self._layout.quarantine
        if quarantine is None:
            return [f"{UPDATE} {source.table.sql} SET {quoted(source.tombstone)} = :at WHERE {rows}"]
        columns = ", ".join(quoted(column.name) for column in source.table.stored)
        insert = (
            f"{INSERT} {quarantine.table.sql} ({columns}, {quoted(TOMBSTONED_AT)})"
            f" SELECT {columns}, :at FROM {source.table.sql} WHERE {rows}"
        )
        return [insert, delete]

    def _written_time(self, source: Source) -> int | str:
        """Return the tombstone's time as its column holds times: whole seconds, rounded up, or text."""
        hidden = self._layout.quarantine or source
        column = hidden.table.column(hidden.tombstone)
        if column is not None and column.is_integer:
            return -(-micros(self._order.at) // 1_000_000)
        return self._order.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
