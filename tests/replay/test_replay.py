"""A restore brings back what had been removed; a replay removes exactly that again, and nothing else."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from retentiond.domain.hold import Scope
from retentiond.domain.plan import RunState, Trigger
from retentiond.engine import replaying
from retentiond.engine.approvals import approve
from retentiond.engine.bundles import list_receipts
from retentiond.engine.holds import add_hold
from retentiond.engine.purging import ask_purge
from retentiond.engine.replaying import Replayed, replay
from retentiond.engine.retracting import retract
from retentiond.engine.rewrapping import rotate_replay
from retentiond.engine.running import apply_plan, run_all
from retentiond.errors import Interrupted
from tests.engine.leavers import ask, fill, names
from tests.engine.office import Office, make_office, outcomes
from tests.replay.restoring import back_up, everything, restore

ACCOUNTS = names(12)
LEAVING = ACCOUNTS[:5]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Return an office of twelve accounts, with some records past their retention period."""
    made = make_office(tmp_path)
    made.edit("policies.yaml", "per_day: 500, max_percent: 95", "per_day: 500, max_percent: 100")
    fill(made, ACCOUNTS, requests=3)
    for number in range(4):
        made.request(f"old-{number}", 60 + number, account=ACCOUNTS[-1], payload=f"old-p-{number}")
        made.feedback(1_000 + number, 31 + number, account=ACCOUNTS[-2])
    made.request("nobody's", 1, account=None)
    settle(made)
    return made


def settle(office: Office) -> None:
    """Approve the policies as they are, by a first plan of them."""
    office.request("first", 30, account="acct-first", payload="p-first")
    office.feedback(999, 40, account="acct-first")
    with office.open() as ctx:
        session = run_all(ctx)
        assert session.stopped_plan is not None
        approve(ctx, session.stopped_plan.id, None)
        apply_plan(ctx, session.stopped_plan.id)


def leave(office: Office, accounts: list[str] | None = None) -> None:
    """Close accounts, and let a run remove what is theirs."""
    ask(office, LEAVING if accounts is None else accounts)
    with office.open() as ctx:
        session = run_all(ctx)
    assert (session.failures, session.stops) == ([], [])


def again(office: Office) -> Replayed:
    with office.open() as ctx:
        return replay(ctx)


def age(office: Office, **span: float) -> None:
    office.clock.at += timedelta(**span)


def test_what_was_removed_goes_again_and_nothing_else(office: Office) -> None:
    backup = back_up(office)
    leave(office)
    expected = everything(office)
    age(office, hours=2)
    restore(office, backup)
    assert everything(office) != expected

    done = again(office)
    assert (done.session.failures, done.session.stops, done.session.overdue) == ([], [], 0)
    assert everything(office) == expected
    assert (done.closed, done.back, done.since) == (5, 5, 0)
    (carried,) = done.session.carried
    assert (carried.plan.trigger, carried.run.state, carried.receipt.kind) == (Trigger.REPLAY, RunState.DONE, "run")
    assert outcomes(done.session) == {
        "requests": {"purged": 15}, "payloads": {"purged": 1}, "feedback": {"purged": 5}
    }  # fmt: skip
    annex = json.loads(carried.receipt.annex)
    assert annex["residue"] == {**annex["residue"], "result": "clean", "found": 0}
    assert office.bundles()[-1]["annex"] is not None

    twice = again(office)
    assert (twice.session.carried, twice.back, twice.session.stops) == ([], 0, [])
    assert everything(office) == expected


def test_an_account_that_came_back_loses_only_what_is_older_than_its_closure(office: Office) -> None:
    backup = back_up(office)
    leave(office)
    age(office, days=1)
    expected = everything(office)
    restore(office, backup)
    office.request("new", 0, account=LEAVING[0], payload="p-new")
    office.feedback(5_000, 0.1, account=LEAVING[0])

    done = again(office)
    assert done.session.stopped is not None
    assert "2 records of closed accounts were written since their closure" in done.session.stopped.what
    assert done.since == 2
    assert not any(name in done.session.stopped.what for name in ACCOUNTS)
    assert done.session.stopped_plan is not None
    with office.open() as ctx:
        assert replay(ctx).session.stopped_plan == done.session.stopped_plan  # waits, and no second one is made
        approve(ctx, done.session.stopped_plan.id, None)
    after = again(office)
    assert (after.session.stops, after.session.failures) == ([], [])
    left = everything(office)
    added = {name: left[name] - expected[name] for name in left}
    assert {row[0] for row in added["requests"] | added["feedback"]} == {"new", 5_000}
    assert added["files"] == {("p-new", b"payload p-new")}
    assert all(expected[name] <= left[name] for name in left)


def test_a_hold_that_came_since_keeps_what_came_back(office: Office) -> None:
    backup = back_up(office)
    leave(office)
    expected = everything(office)
    age(office, hours=1)
    restore(office, backup)
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=(LEAVING[1],)), "matter-1", "a reason", None)
    done = again(office)
    left = everything(office)
    kept = {row for row in left["requests"] if row[1] == LEAVING[1]}
    assert len(kept) == 3
    assert left["requests"] - kept == expected["requests"]
    assert (done.back, done.session.overdue) == (5, 0)
    assert done.found["requests", "content"].held == 3


def test_what_has_no_clock_or_a_nonsensical_one_stays_and_is_counted(office: Office) -> None:
    leave(office)
    expected = everything(office)
    age(office, hours=1)
    with office.db() as db:
        db.execute("INSERT INTO requests VALUES ('dark', ?, NULL, 0, NULL, NULL)", (LEAVING[0],))
    office.feedback(7_000, 10_000, account=LEAVING[0])
    office.edit("policies.yaml", "max_percent: 95", "max_percent: 96")
    done = again(office)
    left = everything(office)
    assert left["requests"] - expected["requests"] == {("dark", LEAVING[0], None, 0, None, None)}
    assert {row[0] for row in left["feedback"] - expected["feedback"]} == {7_000}
    assert dict(done.found["requests", "content"].doubts)["clock-unreadable"] == 1
    assert done.session.left_out[0][0] == "feedback"  # one of eight clocks is nonsense, which no plan passes over


def test_a_closure_whose_receipt_was_taken_back_closes_nobody(office: Office) -> None:
    backup = back_up(office)
    leave(office, [LEAVING[0]])
    with office.open() as ctx:
        (receipt,) = [row for row in list_receipts(ctx) if row.kind == "closure"]
        retract(ctx, receipt.id, "mistaken", None)
    age(office, hours=1)
    restore(office, backup)
    before = everything(office)
    done = again(office)
    assert (done.closed, done.back, done.session.carried) == (0, 0, [])
    assert everything(office) == before


def test_a_replay_that_was_interrupted_goes_on_with_its_plan(office: Office) -> None:
    backup = back_up(office)
    leave(office)
    expected = everything(office)
    age(office, hours=1)
    restore(office, backup)
    office.stop = lambda: True
    with pytest.raises(Interrupted):
        again(office)
    office.stop = lambda: False
    with office.open() as ctx:
        session = run_all(ctx)  # whoever comes next
    assert [each.plan.trigger for each in session.carried] == [Trigger.REPLAY]
    assert everything(office) == expected


def test_nobody_is_asked_of_policies_that_make_nothing_due(office: Office) -> None:
    backup = back_up(office)
    leave(office)
    expected = everything(office)
    age(office, hours=1)
    restore(office, backup)
    office.edit("policies.yaml", "keep: 30 days", "keep: 31 days")
    assert again(office).session.stops == []
    assert everything(office) == expected
    office.feedback(3_000, 32)
    stopped = again(office).session.stopped_plan
    assert stopped is not None
    assert stopped.reasons == ("policy feedback for dataset feedback was not approved in its present form",)
    with office.open() as ctx:
        approve(ctx, stopped.id, None)
    assert again(office).session.stops == []
    assert everything(office) == expected
    office.feedback(3_001, 32)
    with office.open() as ctx:
        assert run_all(ctx).stopped is not None  # a replay that was approved approves no policy


def purge(office: Office, scope: Scope) -> None:
    with office.open() as ctx:
        asked = ask_purge(ctx, scope, "ticket 7", None)
        assert asked.planned.plan is not None
        approve(ctx, asked.planned.plan.id, None)
        assert apply_plan(ctx, asked.planned.plan.id).stops == []


def test_a_manual_purge_is_done_again_exactly_as_long_as_its_names_are_known(office: Office) -> None:
    office.request("7", 2, account="acct-x", payload="p-7")
    office.request("8", 2, account="acct-x")
    backup = back_up(office)
    purge(office, Scope(dataset="requests", accounts=("acct-x",)))
    expected = everything(office)
    age(office, days=2)
    restore(office, backup)
    with office.db() as db:
        db.execute("UPDATE requests SET account = 'acct-y' WHERE id = '8'")  # by its key it is the same record
    office.request("9", 2.5, account="acct-x")  # older than the purge, and not what it removed
    done = again(office)
    assert (done.again, done.by_hand, done.session.stops) == (1, 0, [])
    assert [each.plan.trigger for each in done.session.carried] == [Trigger.REPLAY]
    left = everything(office)
    assert {row[0] for row in left["requests"] - expected["requests"]} == {"9"}
    assert left["files"] == expected["files"]
    with office.open() as ctx:
        assert run_all(ctx).stops == []

    restore(office, backup)
    with office.db() as db:
        db.execute("DELETE FROM requests WHERE id = '8'")
    age(office, hours=1)
    office.request("8", 0, account="acct-x")  # made under its key since
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=("acct-x",)), "matter-1", "a reason", None)
    held = again(office)
    assert (held.again, held.session.carried) == (1, [])
    age(office, days=8)
    again(office)
    assert (again(office).by_hand, again(office).again) == (1, 0)


def test_a_manual_purge_is_not_done_again_to_another_key_that_reads_the_same(office: Office) -> None:
    with office.db() as db:
        db.execute("ALTER TABLE requests RENAME TO typed")
        db.execute(
            "CREATE TABLE requests (id PRIMARY KEY, account TEXT, created TEXT, flagged INTEGER, payload TEXT,"
            " deleted TEXT)"
        )
        db.execute("INSERT INTO requests SELECT * FROM typed")
        db.execute("DROP TABLE typed")
    for key, account in ((7, "acct-x"), ("7", "acct-z")):
        office.request(key, 2, account=account)  # type: ignore[arg-type]
    backup = back_up(office)
    purge(office, Scope(dataset="requests", accounts=("acct-x",)))
    expected = everything(office)
    age(office, days=1)
    restore(office, backup)
    assert again(office).again == 1
    assert everything(office) == expected
    assert ("7", "acct-z") in {row[:2] for row in expected["requests"]}


def test_a_manual_purge_is_done_again_where_the_data_map_says_more_of_the_dataset_by_now(office: Office) -> None:
    office.feedback(2_000, 5)
    more = "    account: account\n    class: feedback"
    office.edit("datamap.yaml", more, "    class: feedback")
    backup = back_up(office)
    purge(office, Scope(dataset="feedback", keys=(b"2000",)))
    office.edit("datamap.yaml", "    class: feedback", more)
    expected = everything(office)
    restore(office, backup)
    assert (again(office).again, everything(office)) == (1, expected)


def test_a_manual_purge_whose_policy_is_gone_is_one_of_which_nobody_can_tell(office: Office) -> None:
    office.feedback(2_000, 5)
    purge(office, Scope(dataset="feedback", keys=(b"2000",)))
    office.edit("policies.yaml", "  feedback:\n    class", "  opinions:\n    class")
    assert (again(office).again, again(office).by_hand) == (0, 1)


def test_accounts_that_closed_at_many_times_are_asked_about_in_pieces(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "ENDS", 2)
    backup = back_up(office)
    for account in LEAVING:
        leave(office, [account])
        age(office, minutes=1)
    expected = everything(office)
    restore(office, backup)
    done = again(office)
    assert len(done.session.carried) == 3
    assert everything(office) == expected
    assert (done.back, done.session.stops, done.found["requests", "content"].due) == (5, [], 15)


def test_a_closure_that_is_taken_back_after_the_plan_keeps_what_was_planned(office: Office) -> None:
    backup = back_up(office)
    leave(office, [LEAVING[0]])
    age(office, hours=1)
    restore(office, backup)
    office.request("new", 0, account=LEAVING[0])
    before = everything(office)
    waits = again(office).session.stopped_plan
    assert waits is not None
    with office.open() as ctx:
        (receipt,) = [row for row in list_receipts(ctx) if row.kind == "closure"]
        retract(ctx, receipt.id, "mistaken", None)
        approve(ctx, waits.id, None)
    done = again(office)
    assert outcomes(done.session)["requests"] == {"changed": 2, "carriedOver": 1}  # one waits for its object
    assert everything(office) == before


def test_closures_under_an_older_replay_key_are_found(office: Office) -> None:
    backup = back_up(office)
    leave(office, LEAVING[:2])
    with office.open() as ctx:
        rotate_replay(ctx, None)
    leave(office, LEAVING[2:])
    expected = everything(office)
    age(office, hours=1)
    restore(office, backup)
    assert again(office).back == 5
    assert everything(office) == expected


@pytest.mark.parametrize("floor", ["1 day", "30 minutes"])
def test_a_manual_purge_is_done_again_with_the_floor_that_it_was_made_with(office: Office, floor: str) -> None:
    office.feedback(2_000, 0.5)
    backup = back_up(office)
    purge(office, Scope(dataset="feedback", keys=(b"2000",)))
    expected = everything(office)
    age(office, hours=1)
    restore(office, backup)
    office.edit("policies.yaml", "floor: 1 hour", f"floor: {floor}")
    done = again(office)
    if done.session.stopped_plan is not None:  # the policy is another one by now
        with office.open() as ctx:
            approve(ctx, done.session.stopped_plan.id, None)
        done = again(office)
    assert (done.by_hand, done.session.stops) == (0, [])
    assert everything(office) == expected
