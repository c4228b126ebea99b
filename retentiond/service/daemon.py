"""The daemon's life: APScheduler ticks, one thread works, signals are handled between two glances at them."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC
from types import FrameType
from typing import Any, Protocol

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.job import Job
from apscheduler.schedulers.background import BackgroundScheduler

from retentiond.clock import Clock
from retentiond.engine.context import Context, Reporter
from retentiond.engine.running import Session
from retentiond.engine.ticking import Ticked, tick
from retentiond.errors import Interrupted, LedgerBusy, LockLost, RetentiondError
from retentiond.ports.orders import OrderBook
from retentiond.service.desk import CarryOut, Desk, Ways
from retentiond.service.health import Health
from retentiond.service.http import serving
from retentiond.service.metrics import Metrics
from retentiond.service.notify import ServiceManager
from retentiond.telemetry import logger

TICK_SECONDS = 1
WORK_SECONDS = 30  # how often it looks for work at hand, and tries again what stood still
_LONGEST_PAUSE_SECONDS = 60
_GLANCE_SECONDS = 0.2
_LATE_SECONDS = 5 * TICK_SECONDS


class Prepared(Protocol):
    """A configuration that was read and is right, and can be opened."""

    @property
    def fingerprint(self) -> str:
        """A digest over the bytes of what operators write."""
        ...

    @property
    def listen(self) -> str:
        """Where the daemon answers, as `host:port`; empty for nowhere."""
        ...

    def open_orders(self) -> AbstractContextManager[OrderBook]:
        """Open where orders come from."""
        ...

    def open(
        self, reporter: Reporter, stop_requested: Callable[[], bool], config_changed: Callable[[], bool]
    ) -> AbstractContextManager[Context]:
        """Open the instance as it is configured there."""
        ...


@dataclass(slots=True)
class Instances:
    """The instance as it is configured now, and as it is to be configured next.

    Attributes:
        read: Reads the configuration; raises RetentiondError where it is wrong.
    """

    read: Callable[[], Prepared]
    present: Prepared
    next: Prepared | None = None

    def reload(self) -> bool:
        """Read the configuration again; a wrong one changes nothing. Tells whether it is another one."""
        found = self.read()
        if found.fingerprint == self.present.fingerprint:
            self.next = None
            return False
        self.next = found
        return True

    def changed(self) -> bool:
        """Tell whether another configuration waits to be taken up: a run stops before its next batch."""
        return self.next is not None


@dataclass(frozen=True, slots=True)
class _Room:
    """The instance as orders find it: each opens it for itself."""

    instances: Instances
    stop: threading.Event

    def open(self, reporter: Reporter) -> AbstractContextManager[Context]:
        return self.instances.present.open(reporter, self.stop.is_set, self.instances.changed)

    def orders(self) -> AbstractContextManager[OrderBook]:
        return self.instances.present.open_orders()


class Daemon:
    """Ticks until it is told to stop.

    Args:
        instances: Where it gets its instance from.
        manager: Whoever started it.
        carry_out: Carries out what people order.
    """

    def __init__(self, instances: Instances, clock: Clock, manager: ServiceManager, carry_out: CarryOut) -> None:
        self._instances = instances
        self._clock = clock
        self._manager = manager
        self._stop, self._reload = threading.Event(), threading.Event()
        self._health = Health(clock)
        self._metrics = Metrics(self._health)
        self._desk = Desk(Ways(_Room(instances, self._stop), clock, carry_out, self._health.beat), self._stop)
        self._taker = f"{socket.gethostname()}/{os.getpid()}"
        self._open: ExitStack | None = None
        self._ctx: Context | None = None
        self._not_before = 0.0
        self._failures = 0
        self._last_look = -1e9
        self._working = False

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; the batch in hand is finished."""
        scheduler = BackgroundScheduler(timezone=UTC, executors={"default": ThreadPoolExecutor(1)})
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # what a tick does is in its canonical line
        job = scheduler.add_job(self._tick, "interval", seconds=TICK_SECONDS, coalesce=True, max_instances=1)
        listen = self._instances.present.listen
        with self._signals(), serving(listen, self._health, self._metrics) as address:
            scheduler.start()
            self._desk.start()
            self._manager.ready()
            logger().info("daemon.started", taker=self._taker, listen=address)
            self._watch(job)
            self._manager.stopping()
            scheduler.shutdown(wait=True)
            self._desk.join()
        self._close()
        logger().info("daemon.stopped", taker=self._taker)

    def _watch(self, job: Job) -> None:
        """Until it is to stop: reload when it is asked to, and tell the watchdog that nothing is stuck."""
        told = -1e9
        while not self._stop.wait(_GLANCE_SECONDS):
            if self._reload.is_set():
                self._reload.clear()
                self._read_again()
            now = self._clock.monotonic()
            watchdog = self._manager.watchdog_seconds
            if watchdog and self._health.alive() and now - told >= watchdog / 3:
                self._manager.alive()
                told = now
            self._catch_up(job)

    def _catch_up(self, job: Job) -> None:
        """Tick now where no tick came for long: the scheduler goes by a clock that may have been set back."""
        if not self._working and self._health.silence() > _LATE_SECONDS:
            self._health.beat()
            job.modify(next_run_time=self._clock.now())

    def _read_again(self) -> None:
        self._manager.reloading(self._clock.monotonic())
        try:
            changed = self._instances.reload()
        except RetentiondError as error:
            self._refuse(error)
        else:
            self._health.configured(right=True)
            logger().info("config.read", changed=changed)
        self._manager.ready()

    def _refuse(self, error: RetentiondError) -> None:
        self._health.configured(right=False)
        logger().error("config.refused", what=error.what, where=error.where, remedy=error.remedy)

    def _tick(self) -> None:
        """Do what is due. Runs in the scheduler's one thread, which also owns the open instance."""
        self._working = True
        try:
            self._work()
        finally:
            self._working = False

    def _work(self) -> None:
        began = self._clock.monotonic()
        self._health.beat()
        if began < self._not_before or self._stop.is_set():
            return
        look = began - self._last_look >= WORK_SECONDS
        try:
            ticked = tick(self._instance(), self._taker, look_for_work=look)
        except LockLost as error:
            self._failed(error.what, remedy=error.remedy, where=error.where)
            return
        except LedgerBusy:
            self._health.ticked()  # another replica is at it
            return
        except Interrupted:
            return  # it was told to stop; the next one goes on
        except RetentiondError as error:
            self._failed(error.what, remedy=error.remedy, where=error.where)
            return
        except Exception as error:  # noqa: BLE001 - told with its traceback; a defect must not end the daemon
            logger().exception("tick.defect")
            self._failed(f"a defect of retentiond: {type(error).__name__}", remedy="report it", where="")
            self._close()
            return
        if look:
            self._last_look = began
        self._failures = 0
        self._health.ticked()
        self._tell(ticked, self._clock.monotonic() - began)

    def _tell(self, ticked: Ticked, seconds: float) -> None:
        if ticked.session is None and ticked.stopped is None:
            return
        words: dict[str, Any] = {
            "outcome": ticked.outcome,
            "slots": [f"{slot.policy}/{slot.schedule}@{slot.slot:%Y-%m-%dT%H:%M:%SZ}" for slot in ticked.slots],
            "seconds": round(seconds, 3),
        }
        stops: list[RetentiondError] = [ticked.stopped] if ticked.stopped else []
        if ticked.session is not None:
            self._metrics.count(ticked.session)
            words |= _of_session(ticked.session)
            stops += [*ticked.session.stops, *ticked.session.failures]
        if stops:
            words |= {"what": stops[0].what, "remedy": stops[0].remedy}
        logger().log(logging.WARNING if stops or "left_out" in words else logging.INFO, "tick", **words)
        self._manager.status(f"{ticked.outcome}; {words.get('overdue', 'an unknown number')} overdue")

    def _failed(self, what: str, *, remedy: str, where: str) -> None:
        self._failures += 1
        pause = min(_LONGEST_PAUSE_SECONDS, TICK_SECONDS * 2 ** min(self._failures, 10))
        self._not_before = self._clock.monotonic() + pause
        self._health.failed(what)
        logger().error("tick.failed", what=what, where=where, remedy=remedy, again_in_seconds=pause)

    def _instance(self) -> Context:
        """Return the open instance; a new configuration is taken up as a whole, once it could be opened."""
        upcoming = self._instances.next
        if self._ctx is not None and upcoming is None:
            return self._ctx
        prepared, stack = upcoming or self._instances.present, ExitStack()
        opened = prepared.open(_Silent(self._health), self._stop.is_set, self._instances.changed)
        try:
            ctx = stack.enter_context(opened)
        except RetentiondError as error:
            if self._ctx is None or upcoming is None:
                raise
            self._settle(upcoming)
            self._refuse(error)
            return self._ctx
        self._close()
        ctx = self._metrics.watched(ctx)
        self._open, self._ctx = stack, ctx
        if upcoming is not None:
            self._instances.present = upcoming
            self._settle(upcoming)
        self._metrics.watch(ctx)
        self._last_look = -1e9
        return ctx

    def _settle(self, upcoming: Prepared) -> None:
        """Nothing waits any more, unless yet another configuration was read meanwhile."""
        if self._instances.next is upcoming:
            self._instances.next = None

    def _close(self) -> None:
        self._metrics.watch(None)
        if self._open is not None:
            self._open.close()
        self._open, self._ctx = None, None

    @contextmanager
    def _signals(self) -> Iterator[None]:
        asked = {signal.SIGTERM: self._stop, signal.SIGINT: self._stop, signal.SIGHUP: self._reload}
        before: dict[signal.Signals, Any] = {}

        def heard(number: int, _frame: FrameType | None) -> None:
            asked[signal.Signals(number)].set()

        try:
            for number in asked:
                before[number] = signal.signal(number, heard)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _of_session(session: Session) -> dict[str, Any]:
    words: dict[str, Any] = {
        "runs": [{"run": each.run.id, "state": str(each.run.state)} for each in session.carried],
        "overdue": session.overdue,
    }
    if session.left_out:
        words["left_out"] = [{"dataset": dataset, "why": why} for dataset, why in session.left_out]
    return words


class _Silent:
    """Hears of progress, and lets it count as a sign of life."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def start(self, what: str, total: int | None) -> None:
        """Begin a stretch of work."""
        del what, total
        self._health.beat()

    def advance(self, records: int) -> None:
        """So many more records are done."""
        del records
        self._health.beat()

    def note(self, text: str) -> None:
        """Log what a person should see."""
        logger().warning("note", text=text)
