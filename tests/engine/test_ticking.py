"""Ticks: what is due by slot runs once, what was missed is caught up once, what was begun or approved goes on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from retentiond.engine import running
from retentiond.engine.approvals import approve
from retentiond.engine.closures import close_account
from retentiond.engine.slots import due_slots, take_slots
from retentiond.engine.ticking import Ticked, tick
from retentiond.errors import ConnectorError, GuardStopped, LedgerBusy
from tests.engine.office import Office, Proxy, carry, make_office

SIX_HOURS = timedelta(hours=6)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """An instance whose policies were approved in a run that removed one record."""
    office = make_office(tmp_path)
    office.request("first", 40)
    office.hide("first", 30)
    office.request("young", 1)
    office.feedback(1, 1)
    office.feedback(2, 40)
    carry(office)
    return office


def ticked(office: Office, taker: str = "one", *, look: bool = False) -> Ticked:
    with office.open() as ctx:
        return tick(ctx, taker, look_for_work=look)


def old(office: Office, key: str) -> None:
    office.request(key, 40)
    office.hide(key, 30)


def test_each_slot_runs_once_whoever_asks(office: Office) -> None:
    old(office, "old")
    assert {slot.policy for slot in ticked(office).slots} == {"content", "feedback"}
    assert office.rows() == {"young"}
    assert ticked(office, "two") == Ticked()
    office.clock.at += timedelta(hours=5, minutes=59)
    assert ticked(office) == Ticked()
    old(office, "later")
    office.clock.at += timedelta(minutes=1)
    assert ticked(office, "two").outcome == "done"
    assert office.rows() == {"young"}


def test_a_slot_that_was_found_due_and_finished_by_another_meanwhile_is_not_to_be_had(office: Office) -> None:
    with office.open() as ctx:
        due = due_slots(ctx, ctx.now(), "one")
    assert len(due) == 2
    ticked(office, "two")
    with office.open() as ctx:
        assert take_slots(ctx, due) == []


def test_slots_that_were_missed_are_caught_up_by_one_run(office: Office) -> None:
    ticked(office)
    office.clock.at += 9 * SIX_HOURS
    old(office, "old")
    assert len(ticked(office).slots) == 2
    assert ticked(office) == Ticked()
    assert office.rows() == {"young"}


def test_a_slot_that_was_left_by_a_process_that_died_is_taken_up(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    old(office, "old")
    with monkeypatch.context() as patch:
        patch.setattr(running, "notice", _die)
        with pytest.raises(KeyboardInterrupt):
            ticked(office)
    assert "old" in office.rows()
    assert len(ticked(office, "two").slots) == 2
    assert office.rows() == {"young"}


def _die(_ctx: object) -> None:
    raise KeyboardInterrupt


def test_a_slot_ends_when_its_plan_waits_for_somebody_and_the_approved_plan_runs_at_once(office: Office) -> None:
    office.edit("policies.yaml", "keep: 30 days", "keep: 29 days")
    office.feedback(3, 29.5)
    waits = ticked(office)
    assert waits.outcome == "waiting"
    assert waits.session is not None
    assert waits.session.stopped_plan is not None
    assert ticked(office, look=True) == Ticked()
    with office.open() as ctx:
        approve(ctx, waits.session.stopped_plan.id, None)
    assert ticked(office) == Ticked()
    done = ticked(office, look=True)
    assert (done.slots, done.outcome) == ((), "done")
    assert office.rows("feedback") == {1}


def test_an_account_that_leaves_needs_no_slot(office: Office) -> None:
    office.request("theirs", 1, account="leaving")
    ticked(office)
    with office.open() as ctx:
        close_account(ctx, "leaving", "contract ended", None)
    assert ticked(office, look=True).outcome == "done"
    assert office.rows() == {"young"}


def test_an_instance_that_only_observes_keeps_its_slots_and_removes_nothing(office: Office) -> None:
    old(office, "old")
    office.edit("retentiond.yaml", "mode: enforce", "mode: observe")
    seen = ticked(office)
    assert (len(seen.slots), seen.outcome, seen.session) == (2, "stopped", None)  # nobody says that nought is overdue
    assert seen.stopped is not None
    assert seen.stopped.guard == "observe"
    assert ticked(office) == Ticked()
    assert office.rows() == {"young", "old"}


def test_who_does_not_act_takes_no_slot(office: Office) -> None:
    old(office, "old")
    with office.open() as ctx, ctx.ledger.acting(), pytest.raises(LedgerBusy):
        ticked(office, "two")
    assert len(ticked(office).slots) == 2


def test_a_clock_that_went_back_takes_no_slot(office: Office) -> None:
    old(office, "old")
    office.clock.at -= timedelta(hours=7)
    with pytest.raises(GuardStopped, match="the clock says"):
        ticked(office)
    office.clock.at += timedelta(hours=7)
    assert len(ticked(office).slots) == 2


def test_one_store_that_fails_ends_the_slot_in_part_and_the_next_one_tries_again(office: Office) -> None:
    old(office, "old")
    office.wraps["disk"] = Broken
    assert ticked(office).outcome == "partial"
    assert office.rows() == {"young", "old"}
    del office.wraps["disk"]
    office.clock.at += SIX_HOURS
    assert ticked(office).outcome == "done"
    assert office.rows() == {"young"}


class Broken(Proxy):
    """A store that cannot be read."""

    def scan(self, *_arguments: object) -> NoReturn:
        message = "the store does not answer"
        raise ConnectorError(message, where="disk", remedy="wait")
