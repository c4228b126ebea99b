"""What status says of a policy: when it last went well, and when its next run is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from retentiond.domain.dataset import Dataset
from retentiond.domain.plan import Outcome, Trigger
from retentiond.engine.overview import PolicyStatus, status
from retentiond.engine.planning import Request, make_plan
from retentiond.engine.running import Session, _idle, run_all
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Acted, Order, Survey
from tests.engine.office import Office, Proxy, carry

SIX_HOURS = timedelta(hours=6)


class Refusing(Proxy):
    """Removes no feedback."""

    def act(self, order: Order) -> Acted:
        if order.dataset.name != "feedback":
            return super().act(order)
        return Acted((Outcome.REFUSED,) * len(order.records), dict.fromkeys(range(len(order.records)), "denied"))


class Gone(Proxy):
    """Cannot look at anything."""

    def survey(self, dataset: Dataset) -> Survey:
        raise ConnectorError("away", where=dataset.name)


class Away(Proxy):
    """Cannot look at feedback."""

    def survey(self, dataset: Dataset) -> Survey:
        if dataset.name == "feedback":
            raise ConnectorError("away", where=dataset.name)
        found: Survey = self.real.survey(dataset)
        return found


@pytest.fixture
def office(office: Office) -> Office:
    """An instance whose policies were approved and carried out once, a day ago."""
    office.request("first", 3, account="acct-zero")
    office.feedback(1, 40)
    for number in range(10, 20):
        office.feedback(number, 1)
        office.request(f"young {number}", 0)
    carry(office)
    office.clock.at += timedelta(days=1)
    return office


def told(office: Office) -> dict[str, PolicyStatus]:
    with office.open() as ctx:
        return {each.policy: each for each in status(ctx).policies}


def went_well(office: Office) -> dict[str, datetime | None]:
    return {name: each.last_success_at for name, each in told(office).items()}


def run(office: Office) -> Session:
    with office.open() as ctx:
        return run_all(ctx)


def test_a_run_that_left_something_is_no_success_of_its_policy_and_of_another_it_is(office: Office) -> None:
    before = went_well(office)["feedback"]
    office.request("due", 3, account="acct-zero")
    office.feedback(2, 40)
    office.wraps["app"] = Refusing
    run(office)
    assert "due" not in office.rows()
    assert 2 in office.rows("feedback")
    assert went_well(office) == {"content": office.clock.at, "feedback": before}
    assert told(office)["feedback"].overdue == 1
    assert told(office)["feedback"].next_run_at == office.clock.at + SIX_HOURS
    del office.wraps["app"]
    office.clock.at += SIX_HOURS
    run(office)
    assert went_well(office)["feedback"] == office.clock.at


def test_a_run_that_finds_nothing_due_is_a_success(office: Office) -> None:
    run(office)
    assert went_well(office) == {"content": office.clock.at, "feedback": office.clock.at}
    assert told(office)["content"].next_run_at == office.clock.at + SIX_HOURS


@pytest.mark.parametrize("due", [True, False])
def test_a_dataset_that_could_not_be_looked_at_is_no_success_of_its_policy(office: Office, *, due: bool) -> None:
    before = went_well(office)["feedback"]
    if due:
        office.request("due", 3, account="acct-zero")
    office.wraps["app"] = Away
    assert [name for name, _ in run(office).left_out] == ["feedback"]
    assert went_well(office) == {"content": office.clock.at, "feedback": before}


def test_what_could_not_be_looked_at_is_not_zero_and_what_was_known_of_it_stays(office: Office) -> None:
    office.feedback(2, 40)
    office.wraps["app"] = Refusing
    run(office)
    office.wraps["app"] = Gone
    with pytest.raises(ConnectorError):
        run(office)
    assert {name: each.overdue for name, each in told(office).items()} == {"content": None, "feedback": 1}
    del office.wraps["app"]
    office.clock.at += SIX_HOURS
    run(office)
    assert {name: each.overdue for name, each in told(office).items()} == {"content": 0, "feedback": 0}


def test_what_waits_for_approval_is_no_success(office: Office) -> None:
    before = went_well(office)["feedback"]
    for number in range(10, 20):
        office.feedback(100 + number, 40)
    office.edit("policies.yaml", "rules: [{keep: 30 days}]", "rules: [{keep: 29 days}]")
    assert run(office).stopped is not None
    assert went_well(office) == {"content": office.clock.at, "feedback": before}


def test_a_policy_of_which_a_dataset_was_left_to_an_unended_run_is_not_called_idle(office: Office) -> None:
    with office.open() as ctx:
        planned = make_plan(ctx, Request())
        assert _idle(ctx, planned) == {"content", "feedback"}
        assert _idle(ctx, replace(planned, left=("requests",))) == {"feedback"}


def test_a_closure_is_of_somebody_and_nothing_else_is() -> None:
    """With nobody who leaves, policy would decide what goes."""
    for wrong in ({"trigger": Trigger.CLOSURE}, {"leaving": {"acct-a": "closure-1"}}):
        with pytest.raises(ValueError, match="accounts that leave"):
            Request(**wrong)
