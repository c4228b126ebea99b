"""`check` says that a store went back in time, by what is there again, and says it of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from retentiond.domain.hold import Scope
from retentiond.engine.checking import Report, check
from retentiond.engine.holds import add_hold, release_hold
from retentiond.engine.replaying import replay
from retentiond.engine.running import run_all
from retentiond.engine.undoing import Wanted, undo
from tests.engine.leavers import ask, fill, names
from tests.engine.office import Office, make_office
from tests.replay.restoring import back_up, restore
from tests.replay.test_replay import LEAVING, age, leave, settle

ACCOUNTS = names(12)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = make_office(tmp_path)
    made.edit("policies.yaml", "max_percent: 95", "max_percent: 100")
    fill(made, ACCOUNTS, requests=3)
    settle(made)
    return made


def looked(office: Office) -> list[str]:
    """Return what `check` says of stores that went back."""
    with office.open() as ctx:
        report: Report = check(ctx)
    return [each.what for each in report.findings if "retentiond replay" in each.remedy]


def run(office: Office) -> None:
    with office.open() as ctx:
        session = run_all(ctx)
    assert (session.failures, session.stops) == ([], [])


def test_nothing_is_said_of_a_store_that_went_on(office: Office) -> None:
    assert looked(office) == []
    leave(office)
    office.request("again", 0, account=LEAVING[0])  # an account that came back
    age(office, days=1)
    office.request("newer", 0, account="acct-new")
    assert looked(office) == []
    age(office, days=25)
    assert looked(office) == []  # much is due by now, and nothing of it was removed yet
    run(office)
    age(office, hours=5)
    assert looked(office) == []


def test_closed_accounts_are_found_when_every_name_was_forgotten(office: Office) -> None:
    backup = back_up(office)
    leave(office)
    age(office, days=3)
    run(office)
    age(office, days=8)
    run(office)  # what was removed eleven days ago has no names in the ledger any more
    restore(office, backup)
    said = "; ".join(looked(office))
    assert "15 records of requests are of closed accounts, and older than the closure" in said
    assert "5 records of feedback are of closed accounts" in said
    assert not any(account in said for account in ACCOUNTS)
    with office.open() as ctx:
        replay(ctx)
    assert looked(office) == []


def test_records_that_went_by_policy_are_found_by_key_and_by_age(office: Office) -> None:
    for number in range(7):
        office.feedback(2_000 + number, 29.9)
    backup = back_up(office)
    age(office, days=1)
    run(office)
    age(office, hours=1)
    assert looked(office) == []
    restore(office, backup)
    (said,) = looked(office)
    assert "records of feedback that were removed in the last days are there again, 7 of " in said
    assert "7 records of feedback were past their retention period at " in said
    with office.open() as ctx:
        assert replay(ctx).session.stops == []
    assert looked(office) == []


def test_a_key_that_was_used_again_is_no_sign(office: Office) -> None:
    office.feedback(2_000, 29.9)
    age(office, days=1)
    run(office)
    assert 2_000 not in office.rows("feedback")
    age(office, hours=1)
    office.feedback(2_000, 0)
    assert looked(office) == []


def test_what_a_released_hold_had_kept_is_no_sign(office: Office) -> None:
    office.feedback(2_000, 29.9, account="acct-held")
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=("acct-held",)), "matter-1", "a reason", None)
    age(office, days=1)
    office.feedback(2_001, 31)
    run(office)
    assert 2_000 in office.rows("feedback")
    assert looked(office) == []
    with office.open() as ctx:
        release_hold(ctx, "matter-1", None)
    assert looked(office) == []


def test_what_an_undo_brought_back_is_no_sign(office: Office) -> None:
    office.request("hidden", 20.1)
    run(office)
    assert "hidden" in office.hidden()
    assert looked(office) == []
    with office.open() as ctx:
        undo(ctx, Wanted(scope=Scope(dataset="requests", keys=(b"hidden",))), "a mistake", None)
    assert "hidden" not in office.hidden()
    assert looked(office) == []


def test_another_file_in_its_place_without_what_was_removed_is_no_sign(office: Office) -> None:
    ask(office, LEAVING)
    run(office)
    backup = back_up(office)
    age(office, hours=1)
    restore(office, backup)
    assert looked(office) == []
