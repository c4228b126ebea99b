"""A clock that is ahead would remove what is not due yet: what it is compared with, and how people let it go on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.domain.account import AccountState
from retentiond.engine.approvals import approve
from retentiond.engine.clocks import reset_clock
from retentiond.engine.closures import cancel_closure, close_account
from retentiond.engine.running import apply_plan, run_all
from retentiond.errors import ConnectorError, Exit, GuardStopped, UsageError
from tests.engine.office import NOW, Office, Proxy, log_entries, make_office, plan

BOUND = timedelta(hours=30)  # clock_ahead, and six hours from one run to the next
WEEKS = timedelta(weeks=5)


@pytest.fixture
def strict(office: Office) -> Office:
    """Give an office that takes no time from nowhere; it was used once, at NOW."""
    office.edit("retentiond.yaml", "clock_ahead: 1000 days", "clock_ahead: 1 day")
    office.request("due", 3, account="acct-zero")
    office.request("young", 1, account="acct-zero")
    with office.open() as ctx:
        plan(ctx)
    return office


def telling(time: Callable[[], datetime | None]) -> type[Proxy]:
    """Make a store that has a clock of its own."""

    class Telling(Proxy):
        def now(self) -> datetime | None:
            return time()

    return Telling


def stopped(office: Office) -> GuardStopped:
    with office.open() as ctx, pytest.raises(GuardStopped) as caught:
        plan(ctx)
    assert caught.value.guard == "clock-ahead"
    assert caught.value.exit_code is Exit.STOPPED
    assert office.rows() == {"due", "young"}
    return caught.value


def test_a_clock_far_ahead_of_the_last_time_that_was_seen(strict: Office) -> None:
    strict.clock.at = NOW + BOUND
    with strict.open() as ctx:
        row = plan(ctx).plan
        assert row is not None
        approve(ctx, row.id, None)
    strict.clock.at = NOW + 2 * BOUND + timedelta(seconds=1)
    said = stopped(strict)
    assert "the last time that was seen, and no store can tell the time" in said.what
    assert "retentiond clock reset" in said.remedy
    with strict.open() as ctx, pytest.raises(GuardStopped) as caught:
        apply_plan(ctx, row.id)
    assert caught.value.guard == "clock-ahead"
    assert strict.rows() == {"due", "young"}
    strict.clock.at = NOW + BOUND + timedelta(minutes=1)  # what was doubtful was not taken as seen
    with strict.open() as ctx:
        apply_plan(ctx, row.id)
    assert strict.rows() == set()


def test_a_doubtful_clock_ends_no_grace(strict: Office) -> None:
    strict.edit("policies.yaml", "closure: {grace: none", "closure: {grace: 14 days")
    with strict.open() as ctx:
        close_account(ctx, "acct-zero", "asked for it", None)
    strict.clock.at = NOW + WEEKS
    with strict.open() as ctx, pytest.raises(GuardStopped):
        run_all(ctx)
    strict.clock.at = NOW
    with strict.open() as ctx:
        assert cancel_closure(ctx, "acct-zero", None).state is AccountState.GRACE


def test_the_longest_schedule_counts(strict: Office) -> None:
    strict.edit("policies.yaml", 'schedule: "every 6 hours"', 'schedule: {cron: "0 3 * * 0"}')
    strict.clock.at = NOW + timedelta(days=8)
    with strict.open() as ctx:
        assert plan(ctx).plan is not None
    strict.clock.at += timedelta(days=8, seconds=1)
    stopped(strict)


def test_a_machine_that_was_off_for_weeks_goes_on_when_a_store_confirms_the_time(strict: Office) -> None:
    strict.wraps["app"] = telling(lambda: strict.clock.at - timedelta(minutes=4))
    strict.clock.at = NOW + WEEKS
    with strict.open() as ctx:
        assert plan(ctx).plan is not None


@pytest.mark.parametrize("ahead", [timedelta(minutes=6), WEEKS], ids=["minutes", "weeks"])
def test_a_clock_ahead_of_a_stores_own(strict: Office, ahead: timedelta) -> None:
    strict.wraps["app"] = telling(lambda: NOW)
    strict.clock.at = NOW + ahead
    said = stopped(strict)
    assert said.where == "app"
    assert "store app says 2026-06-01T12:00:00Z" in said.what
    strict.clock.at = NOW + timedelta(minutes=5)
    with strict.open() as ctx:
        assert plan(ctx).plan is not None


def test_a_clock_behind_a_stores_own_removes_late_and_not_early(strict: Office) -> None:
    strict.wraps["app"] = telling(lambda: NOW + WEEKS)
    with strict.open() as ctx:
        assert plan(ctx).plan is not None


def test_a_store_that_cannot_be_reached_confirms_nothing(strict: Office) -> None:
    def fails() -> datetime:
        raise ConnectorError("no route to the store")

    strict.wraps["app"] = telling(fails)
    with strict.open() as ctx:
        assert plan(ctx).plan is not None
    strict.clock.at = NOW + WEEKS
    stopped(strict)


def reset(office: Office, key: Path | None = None, said: datetime | None = None) -> Any:
    with office.open() as ctx:
        return reset_clock(ctx, said or office.clock.at, key)


def test_a_single_operator_says_what_time_it_is(strict: Office) -> None:
    strict.clock.at = NOW + WEEKS
    stopped(strict)
    before = log_entries(strict).count("state")
    assert reset(strict).missing == 0
    assert log_entries(strict).count("state") == before + 1
    with strict.open() as ctx:
        assert plan(ctx).plan is not None


def test_after_a_clock_that_ran_ahead_people_say_what_time_it_is(strict: Office) -> None:
    strict.clock.at = NOW + BOUND
    with strict.open() as ctx:
        plan(ctx)
    strict.clock.at = NOW
    with strict.open() as ctx, pytest.raises(GuardStopped, match="was seen before") as caught:
        plan(ctx)
    assert "retentiond clock reset" in caught.value.remedy
    reset(strict)
    with strict.open() as ctx:
        assert plan(ctx).plan is not None


@pytest.fixture
def two(tmp_path: Path) -> Office:
    """Give an office of alice and bob whose clock has gone on by weeks."""
    office = make_office(tmp_path, single_operator=False)
    office.edit("retentiond.yaml", "clock_ahead: 1000 days", "clock_ahead: 1 day")
    office.name_approvers("alice", "bob")
    office.request("due", 3, account="acct-zero")
    office.request("young", 1, account="acct-zero")
    with office.open() as ctx:
        plan(ctx)
    office.clock.at = NOW + WEEKS
    return office


def test_two_people_say_what_time_it_is(two: Office) -> None:
    assert reset(two, two.key("alice")).missing == 1
    stopped(two)
    assert reset(two, two.key("alice")).missing == 1
    stopped(two)
    two.clock.at += timedelta(minutes=50)
    assert reset(two, two.key("bob")).missing == 0
    with two.open() as ctx:
        assert plan(ctx).plan is not None


def test_the_second_person_has_an_hour(two: Office) -> None:
    assert reset(two, two.key("alice")).missing == 1
    two.clock.at += timedelta(minutes=61)
    assert reset(two, two.key("bob")).missing == 1
    stopped(two)


def test_one_person_is_enough_where_one_is_named(tmp_path: Path) -> None:
    office = make_office(tmp_path, single_operator=False)
    office.name_approvers("alice")
    assert reset(office, office.key("alice")).missing == 0


def test_people_read_the_time_from_somewhere_else(strict: Office) -> None:
    strict.clock.at = NOW + WEEKS
    with pytest.raises(UsageError, match="the machine's clock says") as caught:
        reset(strict, said=NOW)
    assert "set the machine's clock right" in caught.value.remedy
    stopped(strict)


def test_people_do_not_outvote_a_store(strict: Office) -> None:
    strict.wraps["app"] = telling(lambda: NOW)
    strict.clock.at = NOW + WEEKS
    with pytest.raises(GuardStopped, match="store app says"):
        reset(strict)
    stopped(strict)
