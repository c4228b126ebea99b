"""Drafts of plans: several may be made at the same time, and what a process left that died is removed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import product

import pytest

from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import Cases
from retentiond.domain.plan import Trigger
from retentiond.engine import drafting
from retentiond.engine.planning import Planned, Request, make_plan
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Connector, Window
from tests.engine.office import Office, Proxy

DUE = 3  # of each of two datasets
Moment = Callable[[], object]


class Disturbed(Proxy):
    """A store; something happens once in the scan of its second dataset, when batches of the first are drafted."""

    def __init__(self, real: Connector, moment: Moment) -> None:
        super().__init__(real)
        self._moment = moment
        self._scanned: list[str] = []

    def scan(self, dataset: Dataset, cases: Cases, wanted: frozenset[int]) -> Iterator[Window]:
        self._scanned.append(dataset.name)
        for window in self.real.scan(dataset, cases, wanted):
            yield window
            if len(self._scanned) == 2:
                self._scanned.append("disturbed")
                self._moment()


@pytest.fixture
def full(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(drafting, "BATCH_RECORDS", 1)
    for number in range(DUE):
        office.request(f"due-{number}", 3, account="acct-zero")
        office.feedback(number, 31)
    return office


def make(office: Office, *, acting: bool) -> Planned:
    with office.open() as ctx:
        return make_plan(ctx, Request(Trigger.SCHEDULE, acting=acting))


def drafts(office: Office) -> int:
    """Remove what became no plan, and say how many drafts that were."""
    with office.open() as ctx, ctx.ledger.begin() as tx:
        return tx.plans.discard_drafts([], office.clock.at)


def left_by_the_dead(office: Office, *, acting: bool) -> None:
    """Have a process die while it drafts."""
    child = os.fork()
    if child == 0:
        office.wraps["app"] = lambda real: Disturbed(real, lambda: os._exit(0))
        try:
            make(office, acting=acting)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("outer", "inner"),
    [each for each in product([False, True], repeat=2) if each != (True, True)],  # one process acts at a time
    ids=lambda acting: "acting" if acting else "by hand",
)
def test_two_plans_that_are_made_at_the_same_time_are_whole(full: Office, *, outer: bool, inner: bool) -> None:
    made: list[Planned] = []

    def meanwhile() -> None:
        full.wraps.clear()
        made.append(make(full, acting=inner))

    full.wraps["app"] = lambda real: Disturbed(real, meanwhile)
    made.append(make(full, acting=outer))
    for planned in made:
        assert planned.plan is not None
        assert planned.records == 2 * DUE
        with full.open() as ctx, ctx.ledger.begin() as tx:
            assert sum(batch.count for batch in tx.batches.of_plan(planned.plan.id)) == 2 * DUE
    assert len(made) == 2
    with full.open() as ctx:
        assert list(ctx.ledger.check()) == []
    assert drafts(full) == 0


def test_what_an_acting_process_left_is_removed_by_the_next_one(full: Office) -> None:
    left_by_the_dead(full, acting=True)
    make(full, acting=True)
    assert drafts(full) == 0


@pytest.mark.parametrize("acting", [False, True])
def test_what_somebody_left_is_removed_when_its_plan_would_have_expired(full: Office, *, acting: bool) -> None:
    left_by_the_dead(full, acting=False)
    full.clock.at += timedelta(hours=23)
    make(full, acting=True)
    left_by_the_dead(full, acting=False)
    full.clock.at += timedelta(hours=1)
    make(full, acting=acting)
    assert drafts(full) == 1


def test_a_plan_that_fails_leaves_no_draft(full: Office) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    full.wraps["app"] = lambda real: Disturbed(real, fail)
    with pytest.raises(KeyboardInterrupt):
        make(full, acting=False)
    assert drafts(full) == 0


def test_a_dataset_that_fails_after_others_leaves_no_draft(full: Office) -> None:
    def fail() -> None:
        raise ConnectorError("the listing broke off", where="app")

    full.wraps["app"] = lambda real: Disturbed(real, fail)
    planned = make(full, acting=False)
    assert planned.records == DUE
    assert len(planned.failures) == 1
    assert drafts(full) == 0
