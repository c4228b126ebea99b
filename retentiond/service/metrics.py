"""Metrics in Prometheus' format: how the promise stands is read from the ledger when somebody asks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from prometheus_client import Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from retentiond.engine.context import Context
from retentiond.engine.overview import Status, status
from retentiond.engine.running import Session
from retentiond.errors import ConnectorError, DatasetRefused, RetentiondError
from retentiond.ports.stores import Connector
from retentiond.service.health import Health
from retentiond.service.watching import told, watch

_PREFIX = "retentiond"
_BUCKETS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)


class Metrics:
    """What monitoring gets to see; no label names an account or a key."""

    def __init__(self, health: Health) -> None:
        self.registry = CollectorRegistry()
        self._ledger = _FromLedger(health)
        self.registry.register(self._ledger)
        self._records = Counter(
            "records",
            "Records by policy and by what came of them, since the daemon started.",
            ["policy", "disposition"],
            namespace=_PREFIX,
            registry=self.registry,
        )
        self._runs = Counter(
            "runs", "Runs by state, since the daemon started.", ["state"], namespace=_PREFIX, registry=self.registry
        )
        self._bytes = Counter(
            "bytes",
            "Bytes of records that were removed or hidden, by policy, since the daemon started.",
            ["policy"],
            namespace=_PREFIX,
            registry=self.registry,
        )
        self._batches = Histogram(
            "batch_seconds",
            "From asking a store to change a batch's records until they were looked at again.",
            ["store"],
            namespace=_PREFIX,
            registry=self.registry,
            buckets=_BUCKETS_SECONDS,
        )
        self._errors = Counter(
            "store_errors",
            "What a store failed or refused to do, by store and kind, since the daemon started.",
            ["store", "kind"],
            namespace=_PREFIX,
            registry=self.registry,
        )

    def watched(self, ctx: Context) -> Context:
        """Return the same instance, its stores' errors and the time they take for batches counted."""
        known: dict[str, Connector] = {}

        def store(name: str) -> Connector:
            with told(lambda error: self._failed(name, error)):
                real = ctx.store(name)
            if name not in known:
                seconds = self._batches.labels(name).observe
                known[name] = watch(real, lambda error: self._failed(name, error), seconds, ctx.clock.monotonic)
            return known[name]

        return replace(ctx, store=store)

    def _failed(self, store: str, error: ConnectorError) -> None:
        refused = "refused" if isinstance(error, DatasetRefused) else ""
        self._errors.labels(store, refused or ("transient" if error.transient else "permanent")).inc()

    def watch(self, ctx: Context | None) -> None:
        """Read from this instance from now on; from none for None."""
        self._ledger.watch(ctx)

    def count(self, session: Session) -> None:
        """Count what was carried out."""
        for carried in session.carried:
            self._runs.labels(str(carried.run.state)).inc()
            for batch in carried.batches:
                for outcome, count in batch.outcomes.items():
                    self._records.labels(carried.parts[batch.part].policy, outcome).inc(count)
            for part in json.loads(carried.receipt.annex)["parts"]:
                self._bytes.labels(part["policy"]).inc(part["bytes"])


class _FromLedger(Collector):
    """Gauges that are read from the ledger at each scrape; where it cannot be read, they are absent."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._lock = threading.Lock()
        self._ctx: Context | None = None

    def watch(self, ctx: Context | None) -> None:
        with self._lock:
            self._ctx = ctx

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: what there is depends on the policies."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield what there is now."""
        yield from _of_daemon(self._health)
        with self._lock:
            found = self._read()
        yield _gauge("ledger_readable", "Whether the ledger could be read for this answer.", found is not None)
        if found is not None:
            yield from of_status(*found)

    def _read(self) -> tuple[Status, datetime, int] | None:
        if self._ctx is None:
            return None
        try:
            return status(self._ctx), self._ctx.now(), self._ctx.ledger.log_state.size()
        except RetentiondError:
            return None


def _of_daemon(health: Health) -> Iterator[Metric]:
    yield _gauge("config_right", "Whether the configuration that was read last was taken.", health.config_right)
    if health.last_tick_at is not None:
        name, text = "last_tick_timestamp_seconds", "When the daemon last looked for what is due: silence is an alarm."
        yield _gauge(name, text, health.last_tick_at.timestamp())


def of_status(found: Status, now: datetime, log_size: int) -> Iterator[Metric]:
    """Yield how things stand; what is not known is left out."""
    overdue = _family("overdue_records", "Records that are due and still there, as last counted.", "policy")
    oldest = _family("oldest_overdue_seconds", "Age of the oldest overdue record; 0 where there is none.", "policy")
    success = _family("last_success_timestamp_seconds", "When a policy was last carried out; 0: never.", "policy")
    for each in found.policies:
        if each.overdue is not None:
            overdue.add_metric([each.policy], each.overdue)
        age = 0 if each.overdue == 0 else each.oldest_overdue_seconds
        if age is not None:  # how old the oldest is may not be known
            oldest.add_metric([each.policy], age)
        success.add_metric([each.policy], each.last_success_at.timestamp() if each.last_success_at else 0)
    yield from (overdue, oldest, success)
    yield _gauge("holds", "Legal holds in force.", len(found.holds))
    late = "Legal holds that should have been reviewed by now; they are in force still."
    yield _gauge("holds_review_overdue", late, len(found.reviews_overdue))
    yield from _zero_retention(found)
    yield _gauge("closures_open", "Accounts that are leaving.", len(found.closures))
    late = "Accounts that are leaving and should be gone by now."
    yield _gauge("closures_past_deadline", late, found.closures_past_deadline)
    due = "Records of accounts that are leaving that are due and still there, as last counted."
    yield _gauge("closure_overdue_records", due, found.closure_records_overdue)
    if found.closures:
        left = min((each.next_deadline - now).total_seconds() for each in found.closures)
        yield _gauge("closure_deadline_seconds", "Time to the next deadline of a closure; negative once missed.", left)
    yield from _of_erasures(found, now)
    yield _gauge("plans_waiting", "Plans that wait for somebody's approval or for their run.", len(found.waiting))
    yield _gauge("pending_records", "Records of runs that were begun and go on with the next one.", found.pending)
    yield _gauge("stopped", "Whether the stop file is there.", found.stopped_by_file)
    yield _gauge("log_size", "Entries in the log.", log_size)


def _of_erasures(found: Status, now: datetime) -> Iterator[Metric]:
    yield _gauge("erasures_open", "Requests for erasure that are under way.", len(found.erasures))
    late = "Requests for erasure that should have ended by now."
    yield _gauge("erasures_past_deadline", late, found.erasures_past_deadline)
    near = "Requests for erasure nearer to their deadline than erasure.alert_before, or past it."
    yield _gauge("erasures_near_deadline", near, found.erasures_near_deadline)
    if found.erasures:
        left = min((each.next_deadline - now).total_seconds() for each in found.erasures)
        text = "Time to the next deadline of a request for erasure; negative once missed."
        yield _gauge("erasure_deadline_seconds", text, left)


def _zero_retention(found: Status) -> Iterator[Metric]:
    """Yield how zero retention was kept, by policy; nothing where no policy promises it."""
    policies = dict.fromkeys(each.policy for each in found.zero_retention)
    text = "Records that were found at a check and should have gone with an earlier one; each counts at each check."
    total = CounterMetricFamily(f"{_PREFIX}_zero_retention_violations", text, labels=["policy"])
    oldest = _family("zero_retention_oldest_seconds", "Age of the oldest of them at the last check; 0: none.", "policy")
    unsure = _family("zero_retention_undetermined", "Records that might be such, at the last check.", "policy")
    last = _family("zero_retention_last_check_timestamp_seconds", "When all was last checked; 0: never.", "policy")
    for policy in policies:
        watches = [each.watch for each in found.zero_retention if each.policy == policy]
        total.add_metric([policy], sum(watch.total for watch in watches))
        oldest.add_metric([policy], max(watch.worst_seconds for watch in watches))
        unsure.add_metric([policy], sum(watch.undetermined for watch in watches))
        times = [watch.checked_at.timestamp() if watch.checked_at else 0 for watch in watches]
        last.add_metric([policy], min(times))
    if policies:
        yield from (total, oldest, unsure, last)


def _gauge(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", text)
    family.add_metric([], float(value))
    return family


def _family(name: str, text: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", text, labels=[label])
