"""`check` says that a store went back in time, by what is there again, and says it of nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from retentiond.domain.hold import Scope
from retentiond.engine import restored
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


OBJECTS = """
stores:
  app: {kind: sqlite, path: ../app.db, backups: none}
  disk: {kind: files, root: ../payloads, backups: none}
datasets:
  feedback:
    store: app
    table: feedback
    key: [id]
    clock: {column: created, earliest: 2023-01-01}
    account: account
    class: feedback
  objects: {store: disk, prefix: "", class: feedback, clock: modified, key_pattern: "{account}/{name}",
            account: {pattern: account}}
"""
OF_OBJECTS = """
policies:
  feedback:
    class: feedback
    promise: {live: 40 days}
    rules: [{keep: 30 days}]
    schedule: "every 6 hours"
    limits: {max_records: 1000, max_percent: 100}
closure: {grace: none, deadline: 30 days, limits: {per_day: 500, max_percent: 100}}
floor: 1 hour
"""


def test_new_objects_of_a_closed_account_are_a_sign_unless_it_is_known_to_have_come_back(tmp_path: Path) -> None:
    office = make_office(tmp_path)
    (office.config / "datamap.yaml").write_text(OBJECTS, "utf-8")
    (office.config / "policies.yaml").write_text(OF_OBJECTS, "utf-8")
    office.feedback(1, 1, account="acct-1")
    leave(office, ["acct-1"])
    age(office, days=1)
    office.blob("acct-1/one")
    assert looked(office) == [
        "it was restored, or written late: records of objects are of closed accounts: written since, or restored"
    ]
    office.feedback(2, 0, account="acct-1")
    assert looked(office) == []


def test_a_look_is_bounded_and_says_so(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restored, "OWNER_WINDOWS", 2)
    monkeypatch.setattr(restored, "LOOK_WINDOWS", 2)

    def in_small_steps(connector: Any) -> Any:
        connector._window_rows = 5
        return connector

    office.wraps["app"] = in_small_steps
    backup = back_up(office)
    leave(office)
    restore(office, backup)
    with office.open() as ctx:
        report = check(ctx)
    assert any("retentiond replay" in each.remedy for each in report.findings)
    partly = [note for note in report.notes if "compared with closed accounts" in note]
    assert [note.partition(":")[0] for note in partly] == ["requests", "feedback"]


def test_many_ends_of_closures_are_looked_at_until_one_is_a_sign(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restored, "ENDS", 1)
    backup = back_up(office)
    for account in LEAVING[:3]:
        leave(office, [account])
        age(office, minutes=1)
    restore(office, backup)
    with office.db() as db:
        db.execute("DELETE FROM requests WHERE account = ?", (LEAVING[0],))
        db.execute("DELETE FROM feedback WHERE account = ?", (LEAVING[0],))
    office.request("since", 0, account=LEAVING[0])
    said = "; ".join(looked(office))
    assert "3 records of requests are of closed accounts" in said
