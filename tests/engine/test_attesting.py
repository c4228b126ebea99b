"""Attestations and hold notices: a fresh look at everything, and nothing said of what is overdue or unknown."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.domain.hold import Scope
from retentiond.domain.plan import RunState
from retentiond.engine import attesting
from retentiond.engine.attesting import Question, attest
from retentiond.engine.bundles import export_one
from retentiond.engine.closures import close_account
from retentiond.engine.holds import add_hold
from retentiond.engine.noticing import hold_notice
from retentiond.engine.running import close_now, run_all
from retentiond.errors import ConnectorError, Exit, NotAttested, UsageError
from tests.engine.handed_out import annex_over_runs, leaf, read, verdict
from tests.engine.office import NOW, Office, Proxy, carry, log_entries

HOURS = timedelta(hours=1)
MINE, OTHER = "acct-'mine'\u202e", "acct-other"
MATTER = "Doe v. Example"


def period(office: Office, account: str | None = None, *policies: str) -> Question:
    """Return the question about all of the time until now."""
    return Question(NOW, office.clock.at, account, policies)


def refusal(office: Office, question: Question | None = None) -> str:
    """Ask, and return why nothing was attested; no more is logged then, and nothing is written."""
    office_log, bundles = log_entries(office), len(office.bundles())
    with office.open() as ctx, pytest.raises(NotAttested) as caught:
        attest(ctx, question or period(office))
    assert caught.value.exit_code is Exit.FINDINGS
    assert (log_entries(office), len(office.bundles())) == (office_log, bundles)
    return caught.value.what


def test_a_period_in_which_all_that_was_due_went_is_attested(office: Office, tmp_path: Path) -> None:
    office.request("due", 22, account=MINE, payload="p-1")
    office.feedback(1, 31, OTHER)
    office.request("young", 3, account=OTHER, payload="p-2")
    office.feedback(2, 4, OTHER)
    run = carry(office).carried[0].receipt
    office.clock.at += HOURS
    with office.open() as ctx:
        attested = attest(ctx, period(office))
        own = attest(ctx, period(office, MINE))
        customers = export_one(ctx, own.receipt.id, tmp_path / "mine.json", MINE)
    annex = annex_over_runs(attested.receipt.file)
    bundle, predicate = read(attested.receipt.file)
    assert annex["runs"] == [[run.log_index, run.entry_sha256]]
    assert predicate["period"] == {"from": "2026-06-01T12:00:00Z", "to": "2026-06-01T13:00:00Z"}
    assert [each["id"] for each in predicate["policies"]] == ["content", "feedback"]
    seen = {each["dataset"]: each for each in annex["datasets"]}
    assert {name: (each["examined"], each["remaining"], each["overdue"]) for name, each in seen.items()} == {
        "requests": (2, 2, 0),
        "payloads": (2, 2, 0),
        "feedback": (1, 1, 0),
    }
    assert seen["requests"]["oldest"] == "2026-05-10T12:00:00Z"
    assert {each["method"] for each in seen.values()} == {"full-scan"}
    assert seen["feedback"]["oldest"] == "2026-05-28T12:00:00Z"
    for path in (attested.receipt.file, own.receipt.file, customers):
        found = verdict(office, path)
        assert (found.reason, found.outcome) == (None, "complete")
    mine, about = read(customers)
    assert (mine["annex"], mine["account"]["id"], leaf(mine)["records"], leaf(mine)["retained"]) == (None, MINE, 0, 0)
    assert set(about) - set(predicate) == set()
    assert OTHER not in json.dumps(mine) + json.dumps(about)
    assert bundle["account"] is None


def test_a_period_in_which_nothing_had_to_go_is_attested(office: Office) -> None:
    office.feedback(1, 3)
    office.clock.at += HOURS
    with office.open() as ctx:
        found = attest(ctx, period(office)).receipt
    assert annex_over_runs(found.file)["runs"] == []
    assert verdict(office, found.file).reason is None
    assert (office.root / "log" / "policies").is_dir()


def test_what_became_due_after_the_period_is_not_overdue_in_it(office: Office) -> None:
    office.feedback(1, 29.9)
    office.clock.at += HOURS
    question = period(office)
    office.clock.at += 12 * HOURS
    office.feedback(2, 0.25)  # made after the period's end
    with office.open() as ctx:
        assert verdict(office, attest(ctx, question).receipt.file).valid
    assert "1 records of dataset feedback are overdue" in refusal(office)


def _forget_owner(office: Office) -> None:
    office.feedback(1, 1, None)


def _leave(office: Office) -> None:
    office.feedback(1, 1, MINE)
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=(MINE,)), MATTER, "", None)
        close_now(ctx, close_account(ctx, MINE, "left", None))


def _stop(office: Office) -> None:
    office.feedback(1, 31)
    session = carry(office)
    with office.open() as ctx, ctx.ledger.begin() as tx:
        tx.plans.set_state(session.carried[0].plan.id, RunState.STOPPED)


def _lose_a_receipt(office: Office) -> None:
    with office.open() as ctx:
        with ctx.ledger.begin() as tx:
            tx.entries.stage(b"retentiond/log-entry/v1\nreceipt 0\nsha256:%s\n" % (b"ab" * 32))
        ctx.log.publish()


def _change_a_policy(office: Office) -> None:
    office.feedback(1, 31)
    carry(office)
    office.edit("policies.yaml", "keep: 30 days", "keep: 31 days")


def _add_a_table(office: Office) -> None:
    with office.db() as db:
        db.execute("CREATE TABLE strange (id INTEGER)")
        db.execute("INSERT INTO strange VALUES (1)")


class _Dead(Proxy):
    def scan(self, *_: Any) -> Any:
        raise ConnectorError("it is down")


def _break_a_store(office: Office) -> None:
    office.wraps["disk"] = _Dead


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda office: office.feedback(1, 31), "1 records of dataset feedback are overdue"),
        (_forget_owner, "1 records of dataset feedback are undetermined (owner-unreadable 1)"),
        (_add_a_table, "store app: 'strange' holds data that no dataset names"),
        (_break_a_store, "dataset requests could not be looked at: it is down"),
        (_leave, "1 accounts whose grace is over are not closed"),
        (_stop, "has not ended"),
        (_lose_a_receipt, "the receipt of entry 1 is lost"),
        (_change_a_policy, "policy feedback for dataset feedback was not approved in its present form"),
    ],
)
def test_in_doubt_nothing_is_attested(office: Office, spoil: Callable[[Office], None], why: str) -> None:
    spoil(office)
    office.clock.at += HOURS
    assert why in refusal(office)


def test_a_time_that_is_not_known_is_not_attested(office: Office) -> None:
    office.clock.at += HOURS
    assert "only since 2026-06-01T12:00:00Z" in refusal(office, Question(NOW - HOURS, NOW))
    with office.open() as ctx:
        for start, end in ((NOW, NOW), (NOW + HOURS, NOW), (NOW, NOW + 2 * HOURS)):
            with pytest.raises(UsageError):
                attest(ctx, Question(start, end))
        with pytest.raises(UsageError, match="no policy 'none'"):
            attest(ctx, Question(NOW, NOW + HOURS, None, ("none",)))


def test_for_an_account_only_what_may_be_its_own_counts(office: Office) -> None:
    office.feedback(1, 31, OTHER)
    office.feedback(2, 3, MINE)
    office.clock.at += HOURS
    assert "overdue" in refusal(office)
    assert "overdue" in refusal(office, period(office, OTHER))
    with office.open() as ctx:
        found = attest(ctx, period(office, MINE))
    (line,) = [each for each in annex_over_runs(found.receipt.file)["datasets"] if each["dataset"] == "feedback"]
    assert (line["examined"], line["remaining"], line["oldest"]) == (2, 1, "2026-05-29T12:00:00Z")
    office.feedback(3, 1, None)
    assert "owner-unreadable" in refusal(office, period(office, MINE))


def test_a_run_that_ends_while_it_is_looked_at_is_not_left_out(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.clock.at += HOURS
    looked = attesting.look_at_all

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr(attesting, "look_at_all", looked)
        found = looked(*arguments)
        with office.open() as other:
            add_hold(other, Scope(accounts=(MINE,)), MATTER, "", None)
        return found

    monkeypatch.setattr(attesting, "look_at_all", meanwhile)
    with office.open() as ctx, pytest.raises(NotAttested, match="nothing is attested: a run ended, or holds changed"):
        attest(ctx, period(office))
    monkeypatch.undo()


def test_held_records_are_said_to_be_retained_and_the_matter_is_not(office: Office, tmp_path: Path) -> None:
    for number, (days, account) in enumerate(((31, MINE), (32, MINE), (2, MINE), (31, OTHER))):
        office.feedback(number, days, account)
    office.request("held", 22, account=MINE, payload="p")
    with office.open() as ctx:
        with pytest.raises(NotAttested, match="no record of that account is retained") as caught:
            hold_notice(ctx, MINE)
        assert caught.value.exit_code is Exit.FINDINGS
        add_hold(ctx, Scope(accounts=(MINE,)), MATTER, "why", None)
        receipt, retained = hold_notice(ctx, MINE)
        path = export_one(ctx, receipt.id, tmp_path / "mine.json", MINE)
    assert retained == 3
    assert annex_over_runs(receipt.file)["runs"] == []
    bundle, predicate = read(path)
    assert (leaf(bundle)["retained"], leaf(bundle)["records"]) == (3, 0)
    found = verdict(office, path)
    assert found.reason is None
    assert "retained under a legal obligation, records of this account: 3" in found.notes
    text = json.dumps(bundle) + json.dumps(predicate) + json.dumps(leaf(bundle))
    assert not [each for each in (MATTER, OTHER, "why", "period", "2026-04", "2026-05") if each in text]


def test_all_of_an_account_that_leaves_is_retained_and_an_attestation_says_so(office: Office, tmp_path: Path) -> None:
    office.feedback(1, 31, OTHER)
    office.feedback(2, 1, MINE)
    office.feedback(3, 2, MINE)
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=(OTHER,)), MATTER, "", None)
        add_hold(ctx, Scope("feedback", keys=(b"2", b"3")), MATTER, "", None)
        with pytest.raises(NotAttested):
            hold_notice(ctx, MINE)  # policy would keep these
        close_now(ctx, close_account(ctx, MINE, "left", None))
        assert hold_notice(ctx, MINE)[1] == 2
        office.clock.at += HOURS
        run_all(ctx)
        own = attest(ctx, period(office, OTHER))
        assert leaf(read(export_one(ctx, own.receipt.id, tmp_path / "o.json", OTHER))[0])["retained"] == 1
    office.wraps["app"] = _Dead
    with office.open() as ctx, pytest.raises(NotAttested, match="could be looked at"):
        hold_notice(ctx, MINE)
