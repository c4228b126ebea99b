"""A week as a daemon lives it, in simulated time: what /metrics says agrees with somebody who counts by themselves.

The application adds records every hour. For a day the stop file lies there, for a day the store refuses to delete, for
a day nobody ticks, and for a day a hold keeps an account; the rest of the week all is well.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest

from retentiond.engine import holds
from retentiond.engine.context import Context
from retentiond.engine.running import run_all
from retentiond.engine.scopes import Scope
from retentiond.engine.ticking import tick
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Acted, Order
from retentiond.service.health import Health
from retentiond.service.metrics import Metrics
from tests.engine.office import FakeClock, Office, Proxy, carry, make_office

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEEP = timedelta(days=30)
HELD = "acct-held"
MIDNIGHT = datetime(2026, 6, 2, tzinfo=UTC)  # after the keys were made


class Refusing(Proxy):
    """Cannot delete feedback."""

    def act(self, order: Order) -> Acted:
        if order.dataset.name == "feedback":
            raise ConnectorError("denied", remedy="grant it")
        return super().act(order)


@dataclass
class Provider:
    """The application, and its own books: what was added, when it is due, and whether it must go."""

    office: Office
    dice: random.Random
    due: dict[int, tuple[datetime, str]] = field(default_factory=dict)

    def add(self) -> None:
        """Add records, most of which come due within the week."""
        for _ in range(self.dice.randrange(1, 4)):
            number, days = len(self.due) + 1, self.dice.uniform(25, 30.5)
            account = self.dice.choice(("acct-a", "acct-b", HELD))
            self.office.feedback(number, days, account)
            created = (self.office.clock.at - timedelta(days=days)).replace(microsecond=0)
            self.due[number] = created + KEEP, account

    def overdue(self, *, held: bool) -> dict[int, datetime]:
        """Count what is due and still there, by a query of its own."""
        there = self.office.rows("feedback")
        return {
            number: due
            for number, (due, account) in self.due.items()
            if number in there and due <= self.office.clock.at and not (held and account == HELD)
        }


def read(metrics: Metrics) -> dict[str, float]:
    """Scrape as Prometheus does."""
    lines = generate_latest(metrics.registry).decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


@dataclass
class Watch:
    """What was seen at the end of an hour."""

    hour: int
    said: dict[str, float]
    overdue: dict[int, datetime]
    ticked: bool


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    office = make_office(tmp_path)
    office.clock = FakeClock(MIDNIGHT)
    made = Provider(office, random.Random(5))
    for _ in range(20):
        made.add()
    carry(office, "feedback")
    return made


def week(provider: Provider, metrics: Metrics) -> Iterator[Watch]:
    office = provider.office
    for hour in range(1, 7 * 24 + 1):
        office.clock.at += HOUR
        day = hour // 24
        if hour == 24:
            (office.root / "STOP").touch()
        elif hour == 48:
            (office.root / "STOP").unlink()
            office.wraps["app"] = Refusing
        elif hour == 72:
            office.wraps.clear()
        if hour % 6 == 0 or hour == 1:  # nothing is due at other hours
            with office.open() as ctx:
                metrics.watch(ctx)
                if hour == 5 * 24:
                    holds.add_hold(ctx, Scope("feedback", (HELD,)), "matter-1", "", None)
                elif hour == 6 * 24:
                    holds.release_hold(ctx, "matter-1", None)
                ticked = day != 4 and _tick(ctx, metrics)
                yield Watch(hour, read(metrics), provider.overdue(held=day == 5), ticked)
        provider.add()


def _tick(ctx: Context, metrics: Metrics) -> bool:
    found = tick(ctx, "daemon", look_for_work=False)
    if found.session is not None:
        metrics.count(found.session)
    return bool(found.slots)


OVERDUE = 'retentiond_overdue_records{policy="feedback"}'
OLDEST = 'retentiond_oldest_overdue_seconds{policy="feedback"}'
SUCCESS = 'retentiond_last_success_timestamp_seconds{policy="feedback"}'
PURGED = 'retentiond_records_total{disposition="purged",policy="feedback"}'


def test_a_week_of_metrics_agrees_with_an_independent_count(provider: Provider) -> None:
    office = provider.office
    metrics = Metrics(Health(office.clock))
    gone = len(provider.due) - len(office.rows("feedback"))
    slots, kinds, succeeded = 0, Counter[str](), office.clock.at
    for seen in week(provider, metrics):
        slots += seen.ticked
        if not seen.ticked:
            continue
        assert seen.said[OVERDUE] == len(seen.overdue), seen
        if seen.overdue:
            kinds["overdue"] += 1
            age = office.clock.at - min(seen.overdue.values()) + KEEP
            assert seen.said[OLDEST] == int(age.total_seconds()), seen
        else:
            assert seen.said[OLDEST] == 0
        succeeded = succeeded if seen.overdue else office.clock.at  # where nothing was left undone
        assert seen.said[SUCCESS] == succeeded.timestamp(), seen
        assert seen.said["retentiond_holds"] == (seen.hour // 24 == 5)
        assert seen.said["retentiond_stopped"] == (seen.hour // 24 == 1)
        assert seen.said.get(PURGED, 0) == len(provider.due) - len(office.rows("feedback")) - gone
    assert slots == 6 * 4 + 1  # four a day; the day on which nobody ticked is caught up once
    assert kinds["overdue"] >= 8
    with office.open() as ctx:
        run_all(ctx)
    assert provider.overdue(held=False) == {}
