"""Kind to production: before each batch, whether its store may be worked on now, or how long that has to wait.

Hours outside an off-peak window put a store's batches off, and so does a replica that stays too far behind; batches of
other stores go on. A rate makes the next batch of its store wait. Whatever waits hears a request to stop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from retentiond.engine import guards
from retentiond.engine.context import Context
from retentiond.errors import ConnectorError, Interrupted
from retentiond.evidence.canonical import rfc3339

PATIENCE = timedelta(minutes=10)
_STEP_SECONDS = 0.5
_POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Deferral:
    """Why a store is not worked on any more in this run: the guard's name, words, and when it may go on, if known."""

    guard: str
    what: str
    until: datetime | None = None


class Pacer:
    """Says of each batch whether it may go, and waits where waiting helps.

    A store that was put off stays so: a later batch never overtakes an earlier one of the same store.

    Args:
        plan: The plan's id, for words.
        patience: How long it waits for replicas before the store is put off.
    """

    def __init__(self, ctx: Context, plan: str, patience: timedelta | None = None) -> None:
        self._ctx = ctx
        self._plan = plan
        self._patience = PATIENCE if patience is None else patience
        self._ready: dict[str, float] = {}
        self.deferred: dict[str, Deferral] = {}

    def admit(self, store: str, others: Iterable[str], records: int, *, begun: bool) -> bool:
        """Wait until a batch may go; False where its store, or another one of its group, is put off.

        Args:
            store: The batch's own store, whose rate counts.
            others: The stores of its group: rows don't go without their objects, nor objects long before their rows.
            begun: Whether the group was begun; then it is finished, though the window has closed meanwhile.

        Raises:
            Interrupted: The operator asked to stop while it waited.
            GuardStopped: The stop file appeared while it waited.
        """
        stores = dict.fromkeys((store, *others))
        while True:
            if not begun:
                self._look_at_windows(stores)
            if any(each in self.deferred for each in stores):
                return False
            waits = [self._await_rate(store), *map(self._await_replicas, stores)]
            if not any(waits):
                break
        self._spend(store, records)
        return True

    def check_interrupted(self) -> None:
        """Raise Interrupted where the operator asked to stop."""
        if self._ctx.stop_requested():
            raise Interrupted(
                f"run of plan {self._plan} was interrupted; the batch in hand was finished",
                remedy=f"`retentiond apply {self._plan}` goes on",
            )

    def _look_at_windows(self, stores: Iterable[str]) -> None:
        now = self._ctx.now()
        for store in stores:
            window = self._ctx.datamap.stores[store].pace.off_peak
            if window is not None and store not in self.deferred and not window.is_open(now):
                until = window.opens(now)
                what = f"store {store} is worked on from {window}; that is again from {rfc3339(until)}"
                self.deferred[store] = Deferral(guard="off-peak", what=what, until=until)

    def _await_rate(self, store: str) -> bool:
        seconds = self._ready.get(store, 0.0) - self._ctx.clock.monotonic()
        if seconds <= 0:
            return False
        self._wait(seconds)
        return True

    def _spend(self, store: str, records: int) -> None:
        rate = self._ctx.datamap.stores[store].pace.per_second
        if rate is not None:
            now = self._ctx.clock.monotonic()
            self._ready[store] = max(now, self._ready.get(store, now)) + records / rate

    def _await_replicas(self, store: str) -> bool:
        """Wait until replicas are near enough; tell whether that took any time. Unknown is never near enough."""
        limit = self._ctx.datamap.stores[store].pace.replica_lag
        if limit is None or store in self.deferred:
            return False
        began = self._ctx.clock.monotonic()
        waited = False
        while (said := self._behind(store, limit)) is not None:
            if self._ctx.clock.monotonic() - began >= self._patience.total_seconds():
                self.deferred[store] = Deferral(guard="replica-lag", what=said)
                return True
            if not waited:
                self._ctx.reporter.note(f"{said}; waiting")
            waited = True
            self._wait(_POLL_SECONDS)
        return waited

    def _behind(self, store: str, limit: timedelta) -> str | None:
        """Return in words why a store's replicas are too far behind; None where they are not."""
        try:
            pressure = self._ctx.store(store).pressure()
        except ConnectorError as error:
            return f"how far the replicas of store {store} are behind is unknown ({error.what})"
        lag = pressure.replica_lag
        if lag is None:
            seen = f" ({pressure.looked_at})" if pressure.looked_at else ""
            return f"how far the replicas of store {store} are behind is unknown{seen}"
        if lag > limit:
            over = f"{lag.total_seconds():.0f} s behind, more than the {limit.total_seconds():.0f} s of `replica_lag`"
            return f"a replica of store {store} is {over}"
        return None

    def _wait(self, seconds: float) -> None:
        until = self._ctx.clock.monotonic() + seconds
        while (left := until - self._ctx.clock.monotonic()) > 0:
            self.check_interrupted()
            guards.check_stop(self._ctx)
            with self._ctx.ledger.begin() as tx:
                guards.check_paused(tx)
            self._ctx.clock.sleep(min(_STEP_SECONDS, left))
