"""An instance with held records, and the moments of a run at which a hold is placed by somebody else.

The hold comes from another thread with a context of its own, so from another connection to the ledger, while the run
stands at that moment; the run goes on once the hold is in force, and the other thread waits for it as people would.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from retentiond.domain.hold import Scope
from retentiond.engine import batches, retrying
from retentiond.engine.approvals import approve
from retentiond.engine.holds import Placed, add_hold, list_holds, release_hold
from retentiond.engine.planning import Request, make_plan
from retentiond.engine.running import Session, apply_plan, run_all
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Acted, Connector, Order
from tests.engine.office import Office, Proxy
from tests.holds.stock import POLICIES, Look, Stock, sample

Moment = Callable[[], None]


class World:
    """The instance, its store, and what is known of the hold that is placed."""

    def __init__(self, office: Office, stock: Stock) -> None:
        self.office = office
        self.stock = stock
        (office.config / "policies.yaml").write_text(POLICIES, "utf-8")
        stock.declare(office)
        self.rows = sample(office.clock.at)
        stock.fill(self.rows)
        self.at_hold: Look = {}
        self.placed: list[Placed] = []
        self._threads: list[threading.Thread] = []

    def look(self) -> Look:
        return self.stock.look()

    def pass_time(self, days: float) -> None:
        self.office.clock.at += timedelta(days=days)

    def plan(self, *, approved: bool = True) -> str:
        """Plan, and approve; return the plan's id."""
        with self.office.open() as ctx:
            planned = make_plan(ctx, Request()).plan
        assert planned is not None
        if approved:
            self.approve(planned.id)
        return planned.id

    def approve(self, plan: str) -> None:
        with self.office.open() as ctx:
            approve(ctx, plan, None)

    def apply(self, plan: str) -> Session:
        with self.office.open() as ctx:
            return apply_plan(ctx, plan)

    def run(self) -> Session:
        """Run what is due; policies were approved with the first plan."""
        with self.office.open() as ctx:
            return run_all(ctx)

    def hold(self, scope: Scope, matter: str = "Case 1") -> None:
        """Place a hold now."""
        with self.office.open() as ctx:
            placed = add_hold(ctx, scope, matter, "", None)
        self.at_hold = self.look()
        self.placed.append(placed)

    def hold_from_elsewhere(self, scope: Scope, matter: str = "Case 1") -> None:
        """Have a hold placed by another thread; return once it is in force, while that thread still waits."""
        thread = threading.Thread(target=self._hold, args=(scope, matter))
        thread.start()
        self._threads.append(thread)
        deadline = time.monotonic() + 30
        with self.office.open() as ctx:
            while matter not in {hold.matter for hold in list_holds(ctx)}:
                assert time.monotonic() < deadline, "the hold did not come into force"
                time.sleep(0.01)
        self.at_hold = self.look()

    def _hold(self, scope: Scope, matter: str) -> None:
        with self.office.open() as ctx:
            self.placed.append(add_hold(ctx, scope, matter, "", None))

    def join(self) -> None:
        """Wait until everybody who placed a hold was told how it stands."""
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def release(self, matter: str = "Case 1") -> None:
        with self.office.open() as ctx:
            release_hold(ctx, matter, None)


class Staged(Proxy):
    """A real connector; something happens around its first act."""

    def __init__(self, real: Connector, before: Moment, after: Moment) -> None:
        super().__init__(real)
        self._before = before
        self._after = after

    def act(self, order: Order) -> Acted:
        first = not self.orders
        if first:
            self.orders.append(order)
            self._before()
        acted = self.real.act(order)
        if first:
            self._after()
        return acted


def nothing() -> None:
    """Let the moment pass."""


def lost() -> None:
    """Lose the reply."""
    raise ConnectorError("the connection was cut", where="app", transient=True)


@contextmanager
def once_claimed(moment: Moment) -> Iterator[None]:
    """Have something happen right after the first claim of a batch is committed."""
    claim = batches._claim
    happened: list[bool] = []

    def claimed(*arguments: Any, **more: Any) -> Any:
        result = claim(*arguments, **more)
        if not happened:
            happened.append(True)
            moment()
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "_claim", claimed)
        patch.setattr(retrying, "_PAUSE_SECONDS", 0.01)
        yield
