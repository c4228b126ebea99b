"""Carrying out an order: rows are removed or hidden by exact key, the predicate repeated, a chunk to a transaction.

A chunk takes about 50 ms, so that nobody waits longer for it. A chunk that the database refuses because of some row
(locked, referred to) is halved until only those rows are left out; they are tried again once the others are gone. In
each transaction the table is locked against changes of its shape, and looked at again, before anything is removed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import psycopg

from retentiond.connectors.postgresql import failures
from retentiond.connectors.postgresql.failures import Trouble
from retentiond.connectors.postgresql.firing import Reaching, watched
from retentiond.connectors.postgresql.following import Spread, lined_up, stuck, untouched
from retentiond.connectors.postgresql.judging import Judge
from retentiond.connectors.postgresql.layout import Layout, Source
from retentiond.connectors.postgresql.session import LOCK_MILLISECONDS, Session, Transaction
from retentiond.connectors.postgresql.statements import Statement, blocked_by, statement
from retentiond.connectors.postgresql.vetting import RESHAPED, Vetting
from retentiond.domain.plan import Outcome
from retentiond.domain.policy import Action
from retentiond.domain.record import Key
from retentiond.domain.records import by_place, keys_of
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Acted, Order

CHILDREN_LEFT = "rows that go before it are still there"
REFERRED_TO = "rows of the same table that refer to it are still there"
CHANGED_SINCE = "the policy no longer says this of it"
KEPT = "the database kept it although the statement succeeded: a trigger or a rule does that"
REPLY_LOST = "the connection was lost before the answer to the commit"
TARGET_SECONDS = 0.05
FEWEST, MOST = 50, 20_000
RECONNECTS = 2
NO_WAIT_MILLISECONDS = 1
MOST_HALVINGS = 400

Said: TypeAlias = list[tuple[Outcome, str, list[int]]]


@dataclass(slots=True)
class Pace:
    """How many rows a statement takes, so that it lasts about 50 ms."""

    rows: int = 1_000

    def learn(self, rows: int, seconds: float) -> None:
        """Take in how long a full chunk took; at most double or halve."""
        if rows < self.rows:
            return
        factor = min(2.0, max(0.5, TARGET_SECONDS / max(seconds, 1e-6)))
        self.rows = min(MOST, max(FEWEST, int(self.rows * factor)))


@dataclass(slots=True)
class _State:
    outcomes: list[Outcome]
    reasons: dict[int, str] = field(default_factory=dict)
    again: list[int] = field(default_factory=list)
    doubtful: set[int] = field(default_factory=set)
    reconnects: int = 0
    halvings: int = 0
    committing: bool = False


class Acting:
    """One order being carried out."""

    def __init__(self, session: Session, layout: Layout, order: Order, vetting: Vetting, pace: Pace) -> None:
        self._session = session
        self._layout = layout
        self._order = order
        self._vetting = vetting
        self._pace = pace
        self._keys = keys_of(order.records)
        self._state = _State([Outcome.UNKNOWN] * len(self._keys))

    def run(self) -> Acted:
        """Carry out the order.

        Raises:
            ConnectorError: The database failed; what was done before may be asked for again.
        """
        self._parts()
        return Acted(tuple(self._state.outcomes), self._state.reasons)

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
            self._all(source, self._lined_up(source, indexes), lock_ms=LOCK_MILLISECONDS)
            self._once_more(source)

    def _lined_up(self, source: Source, indexes: Sequence[int]) -> Sequence[int]:
        """Return rows in an order in which those come first that refer to others of their table."""
        if not (self._leaves and source.table.refers):
            return indexes
        with self._session.reading() as tx:
            places = lined_up(tx, source, [self._keys[index] for index in indexes])
        return [indexes[place] for place in places]

    def _all(self, source: Source, indexes: Sequence[int], lock_ms: int) -> None:
        start = 0
        while start < len(indexes):
            chunk = indexes[start : start + self._pace.rows]
            begun = time.perf_counter()
            self._attempt(source, chunk, lock_ms)
            self._pace.learn(len(chunk), time.perf_counter() - begun)
            start += len(chunk)

    def _once_more(self, source: Source) -> None:
        """Try rows again that were in the way of each other, or locked, as long as that helps."""
        while self._state.again:
            left, self._state.again = self._state.again, []
            self._state.halvings = 0
            self._all(source, left, lock_ms=LOCK_MILLISECONDS)
            if len(self._state.again) >= len(left):
                self._state.again = []

    def _say(self, indexes: Sequence[int], outcome: Outcome, reason: str) -> None:
        for index in indexes:
            self._state.outcomes[index] = outcome
        if reason or self._state.reasons:
            for index in indexes:
                self._state.reasons.pop(index, None)
                if reason:
                    self._state.reasons[index] = reason

    def _attempt(self, source: Source, indexes: Sequence[int], lock_ms: int) -> None:
        self._state.committing = False
        try:
            said = self._chunk(source, indexes, lock_ms)
        except Reaching as reaching:
            self._say(indexes, Outcome.REFUSED, str(reaching))
        except Spread as spread:
            self._halve(source, indexes, str(spread))
        except psycopg.Error as error:
            self._failed(source, indexes, error)
        else:
            for outcome, reason, some in said:
                self._say(some, outcome, reason)

    def _failed(self, source: Source, indexes: Sequence[int], error: psycopg.Error) -> None:
        trouble, reason = failures.meaning(error).trouble, failures.reason(error)
        if self._session.is_lost or trouble is Trouble.LOST:
            self._reconnect(source, indexes, error)
        elif trouble in (Trouble.LOCKED, Trouble.ROW) or (trouble is Trouble.SLOW and len(indexes) > FEWEST):
            self._halve(source, indexes, reason)
        elif trouble in (Trouble.DENIED, Trouble.SLOW):
            self._say(indexes, Outcome.REFUSED, reason)
        else:
            raise failures.failure(error, self._order.dataset.name) from None

    def _reconnect(self, source: Source, indexes: Sequence[int], error: psycopg.Error) -> None:
        """Try a chunk again on a new connection; nobody can tell whether a commit took effect whose answer was lost."""
        if self._state.committing:
            self._state.doubtful.update(indexes)
            self._say(indexes, Outcome.UNKNOWN, REPLY_LOST)
        self._state.reconnects += 1
        self._session.close()
        if self._state.reconnects > RECONNECTS:
            raise failures.failure(error, self._order.dataset.name) from None
        self._attempt(source, indexes, LOCK_MILLISECONDS)

    def _halve(self, source: Source, indexes: Sequence[int], reason: str) -> None:
        """Leave out only the rows in question; others are not waited for while they are looked for."""
        self._state.halvings += 1
        if len(indexes) == 1 or self._state.halvings > MOST_HALVINGS:
            self._state.again.extend(indexes)
            self._say(indexes, Outcome.REFUSED, reason)
            return
        middle = len(indexes) // 2
        self._attempt(source, indexes[:middle], NO_WAIT_MILLISECONDS)
        self._attempt(source, indexes[middle:], NO_WAIT_MILLISECONDS)

    def _chunk(self, source: Source, indexes: Sequence[int], lock_ms: int) -> Said:
        """Change what is due, in one transaction; return what is true of all once it is committed."""
        with self._session.transaction(lock_ms=lock_ms) as tx:
            if tx.standby:
                raise ConnectorError(
                    "the server is a standby",
                    where=self._order.dataset.store,
                    remedy="name the primary in the connection string, or add target_session_attrs=read-write",
                )
            danger = self._danger(tx)
            if danger:
                return [(Outcome.REFUSED, danger, list(indexes))]
            held = self._held_back(tx, source, indexes)
            free = [index for index in indexes if index not in held]
            keys = [self._keys[index] for index in free]
            self._order.fence()
            done = self._change(tx, source, keys)
            said = [(Outcome.DONE, "", [free[n] for n in done]), *self._others(tx, source, free, keys, done)]
            said.append((Outcome.BLOCKED, REFERRED_TO, sorted(held)))
            self._state.committing = True
        return said

    def _held_back(self, tx: Transaction, source: Source, indexes: Sequence[int]) -> set[int]:
        """Return which of the rows that leave a table are referred to by rows of it that stay, or go later."""
        held: set[int] = set()
        while self._leaves and source.table.refers:
            free = [index for index in indexes if index not in held]
            more = stuck(tx, source, [self._keys[index] for index in free])
            if not more:
                break
            held |= {free[n] for n in more}
        return held

    @property
    def _leaves(self) -> bool:
        """Whether rows leave their table."""
        moves = self._order.action is Action.TOMBSTONE and self._layout.quarantine is not None
        return moves or self._order.action is Action.PURGE

    def _danger(self, tx: Transaction) -> str:
        """Return why the tables may not be changed; empty when they may."""
        return self._vetting.danger(tx, self._layout)

    def _statement(self, judge: Judge, keys: Sequence[Key]) -> Statement:
        return statement(judge, self._layout, self._order, keys)

    def _change(self, tx: Transaction, source: Source, keys: Sequence[Key]) -> set[int]:
        change = self._statement(Judge(source, self._order.cases), keys)
        beside = self._layout.quarantine is not None and self._order.action is not Action.PURGE
        with watched(tx, self._layout, source, beside) as all_of, untouched(tx, source) as own:
            changed, moved, places = tx.row(change.sql, change.parameters)
            own.append(changed)
            all_of.append(changed)
        if (self._layout.dataset.triggers or self._layout.dataset.clears) and not self._vetting.still(tx, self._layout):
            raise Reaching(RESHAPED)
        done = change.places(places)
        if not changed == moved == len(done):
            raise Spread(f"the statement changed {changed} rows and moved {moved} for {len(done)} records")
        return done

    def _others(
        self,
        tx: Transaction,
        source: Source,
        indexes: Sequence[int],
        keys: Sequence[Key],
        done: set[int],
    ) -> Said:
        """Say what became of the rows that the statement did not touch."""
        if len(done) == len(keys):
            return []
        rest = [n for n in range(len(keys)) if n not in done]
        some = [keys[n] for n in rest]
        blocked_by_children = blocked_by(source, self._layout, self._order)
        here = Judge(source, self._order.cases).judge(tx, some, blocked_by_children)
        elsewhere = {
            n
            for other in self._layout.sources
            if other is not source
            for n in Judge(other, self._order.cases).judge(tx, some)
        }
        due = {n for n, judged in here.items() if judged.case == self._order.case}
        blocked = {n for n in due if here[n].blocked}
        changed = (here.keys() | elsewhere) - due
        gone = [indexes[rest[n]] for n in range(len(rest)) if n not in due and n not in changed]
        return [
            (Outcome.REFUSED, KEPT, [indexes[rest[n]] for n in due - blocked]),
            (Outcome.BLOCKED, CHILDREN_LEFT, [indexes[rest[n]] for n in blocked]),
            (Outcome.CHANGED, CHANGED_SINCE, [indexes[rest[n]] for n in changed]),
            (Outcome.ALREADY_GONE, "", [index for index in gone if index not in self._state.doubtful]),
            (Outcome.UNKNOWN, REPLY_LOST, [index for index in gone if index in self._state.doubtful]),
        ]
