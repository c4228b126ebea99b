"""Accounts that leave and of which something has to be kept: until its date, and not a run longer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.cli.dated import account_document, dated_line
from retentiond.domain.account import AccountState, KeptPart
from retentiond.domain.hold import Scope
from retentiond.domain.plan import RunState
from retentiond.engine.accounts import account_holdings, account_status
from retentiond.engine.approvals import approve
from retentiond.engine.closing import Pass, close_due, due_closures
from retentiond.engine.closures import cancel_closure, close_account
from retentiond.engine.context import Context
from retentiond.engine.holds import add_hold, release_hold
from retentiond.engine.overview import status
from retentiond.engine.running import close_now, run_all
from retentiond.errors import UsageError
from retentiond.ports.rows import ClosureRow
from retentiond.service.metrics import of_status
from tests.engine.leavers import ask, contents, fill, names, states
from tests.engine.office import NOW, Office, make_office

ME, OTHER = "acct-'me'\u202e", "acct-other"
LAW, BOOKS = "the law asks for flagged requests", "accounts are kept for twenty days"
FEEDBACK = {"keep": "20 days", "reason": BOOKS}
FLAGGED = [{"when": {"flagged": True}, "keep": "12 months", "reason": LAW}]


def closing(office: Office, classes: dict[str, Any], **more: Any) -> None:
    """Say how accounts leave; JSON is YAML."""
    terms = {"grace": "none", "deadline": "30 days", "limits": {"per_day": 500, "max_percent": 100}, **more}
    path = office.config / "policies.yaml"
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith(("closure:", "lists:"))]
    lists = more.pop("lists", {"zero": ["acct-zero"]})
    terms.pop("lists", None)
    said = [f"lists: {json.dumps(lists)}", f"closure: {json.dumps({**terms, 'classes': classes})}"]
    path.write_text("\n".join([*lines, *said]) + "\n", "utf-8")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = make_office(tmp_path)
    closing(made, {"content": FLAGGED, "feedback": FEEDBACK})
    made.request("plain", 1, account=ME, payload="plain")
    made.request("flagged", 1, account=ME, flagged=1, payload="flagged")
    made.request("theirs", 1, account=OTHER, flagged=1, payload="theirs")
    made.feedback(1, 1, ME)
    made.feedback(2, 30, ME)
    made.feedback(3, 1, OTHER)
    return made


def close(office: Office, account: str = ME, where: str = "") -> None:
    with office.open() as ctx:
        close_now(ctx, close_account(ctx, account, "left", None, where))


def waiting(ctx: Context) -> list[str]:
    with ctx.ledger.begin() as tx:
        return [plan.id for plan in tx.plans.in_state(RunState.WAITING)]


def approve_all(office: Office) -> None:
    with office.open() as ctx:
        for plan in waiting(ctx):
            approve(ctx, plan, None)


def advance(office: Office) -> Pass:
    with office.open() as ctx:
        return close_due(ctx, due_closures(ctx))


def closed_as_approved(office: Office, account: str = ME, where: str = "") -> None:
    """Close an account, and let people approve what is kept of whom, which nobody did yet."""
    close(office, account, where)
    approve_all(office)
    advance(office)


def row(office: Office, account: str = ME) -> ClosureRow:
    with office.open() as ctx:
        found = account_status(ctx, account).closure
    assert found is not None
    return found


def later(office: Office, days: float) -> None:
    office.clock.at = NOW + timedelta(days=days)


def left(office: Office) -> tuple[set[Any], set[Any], set[str]]:
    return office.rows(), office.rows("feedback"), office.blobs()


def test_a_clock_of_the_far_future_has_no_date_and_keeps_no_account_from_being_shown(office: Office) -> None:
    with office.db() as db:
        db.execute("INSERT INTO feedback VALUES (9, ?, '9999-12-31T23:00:00Z', 5)", (ME,))
    closed_as_approved(office)
    with office.open() as ctx:
        dated = [part for part in account_status(ctx, ME).dated if part.dataset == "feedback"]
    assert [(part.records, part.why) for part in dated if part.why == BOOKS] == [(1, BOOKS)]
    assert office.rows("feedback") >= {9}


def test_what_has_to_be_kept_stays_until_its_date_and_then_the_account_is_closed(office: Office) -> None:
    closed_as_approved(office)
    assert left(office) == ({"flagged", "theirs"}, {1, 3}, {"flagged", "theirs"})
    found = row(office)
    assert found.state is AccountState.CLOSING
    assert found.remainder is not None
    books, law = datetime(2026, 6, 20, 12, tzinfo=UTC), datetime(2027, 5, 31, 12, tzinfo=UTC)
    assert found.remainder.kept == (
        KeptPart("feedback", "feedback", BOOKS, 1, books, books),
        KeptPart("requests", "content", LAW, 1, law, law),
    )
    assert found.remainder.is_excused
    later(office, 18.9)
    advance(office)
    assert left(office)[1] == {1, 3}
    later(office, 19.1)
    advance(office)
    assert left(office)[1] == {3}
    later(office, 363.9)
    advance(office)
    assert left(office) == ({"flagged", "theirs"}, {3}, {"flagged", "theirs"})
    later(office, 364.1)
    advance(office)
    assert left(office) == ({"theirs"}, {3}, {"theirs"})
    assert row(office).state is AccountState.CLOSED


def test_the_receipt_comes_last_and_is_over_all_runs(office: Office) -> None:
    closed_as_approved(office)
    for days in (19.1, 100, 364.1):
        assert not kinds(office, "closure")
        later(office, days)
        with office.open() as ctx:
            run_all(ctx, ())
        approve_all(office)
        advance(office)
    (receipt,) = kinds(office, "closure")
    assert receipt["outcome"] == "complete"
    assert receipt["runs"]["count"] == 3
    assert {each["id"] for each in receipt["policies"]} == {"content", "feedback"}


def kinds(office: Office, kind: str) -> list[dict[str, Any]]:
    statements = [json.loads(base64.b64decode(each["dsseEnvelope"]["payload"])) for each in office.bundles()]
    return [each["predicate"] for each in statements if each["predicate"]["kind"] == kind]


def test_the_customer_is_told_what_is_there_why_and_until_when(office: Office) -> None:
    with office.open() as ctx:
        add_hold(ctx, Scope("requests", keys=(b"plain",)), "Secret-Matter-9", "asked for", None)
    close(office)
    with office.open() as ctx:
        said = account_document(account_status(ctx, ME))["dated"]
    assert [(each["dataset"], each["records"], each["why"], each["until"]) for each in said] == [
        ("feedback", 1, BOOKS, "2026-06-20T12:00:00Z"),
        ("feedback", 1, "it is going to be removed", "2026-07-01T12:00:00Z"),
        ("payloads", 1, LAW, "2027-05-31T12:00:00Z"),
        ("requests", 1, LAW, "2027-05-31T12:00:00Z"),
        ("payloads", 1, "the law forbids removing it for now", None),
        ("requests", 1, "the law forbids removing it for now", None),
    ]
    assert "Secret-Matter-9" not in json.dumps(said)
    with office.open() as ctx:
        found = account_status(ctx, ME)
        assert account_document(account_holdings(ctx, ME)[0])["dated"] == said
    assert dated_line(found.dated[0]) == f"feedback: 1 record, until 2026-06-20 at the latest: {BOOKS}"
    counts: dict[str, int] = {}
    for part in found.dated:
        counts[part.dataset] = counts.get(part.dataset, 0) + (part.records or 0)
    assert counts == {name: count for name, count in found.remaining if count}


def overdue(office: Office) -> tuple[int, int, float]:
    with office.open() as ctx:
        found = status(ctx)
        told = {each.name: each.samples[0].value for each in of_status(found, ctx.now(), 0) if each.samples}
    assert told["retentiond_closures_past_deadline"] == found.closures_past_deadline
    assert told["retentiond_closure_overdue_records"] == found.closure_records_overdue
    left = told["retentiond_closure_deadline_seconds"]
    return found.closures_past_deadline, found.closure_records_overdue, left


def test_what_is_kept_is_not_overdue_before_its_date_and_is_after(office: Office) -> None:
    closed_as_approved(office)
    later(office, 18)
    assert overdue(office) == (0, 0, 12 * 86_400), "its deadline is still to come"
    later(office, 31)
    assert overdue(office) == (1, 1, -86_400), "the feedback's date and the deadline are over"
    advance(office)
    assert overdue(office) == (0, 0, 333 * 86_400), "the deadline is over, but the law's date is to come"
    later(office, 365)
    assert overdue(office) == (1, 1, -86_400)
    advance(office)
    assert row(office).state is AccountState.CLOSED


def test_what_nobody_approved_to_be_kept_less_stays(office: Office) -> None:
    closed_as_approved(office)
    closing(office, {"content": FLAGGED})
    later(office, 2)
    office.feedback(9, 0, OTHER)
    done = advance(office)
    assert [each.guard for each in done.stops] == ["closure-cap"]
    assert "what closures keep of class feedback was not approved" in done.stops[0].what
    assert left(office)[1] >= {1, 3}
    closing(office, {"content": FLAGGED, "feedback": FEEDBACK})
    assert left(office)[1] >= {1, 3}
    closing(office, {"content": FLAGGED})
    approve_all(office)
    advance(office)
    assert left(office)[1] == {3, 9}, "people said so"


def test_a_plan_ends_where_what_is_kept_changes_after_it(office: Office) -> None:
    close(office)
    approve_all(office)
    closing(office, {"content": FLAGGED, "feedback": {"keep": "25 days", "reason": BOOKS}})
    done = advance(office)
    assert [each.guard for each in done.stops] == ["policy-changed"]
    assert left(office) == ({"plain", "flagged", "theirs"}, {1, 2, 3}, {"plain", "flagged", "theirs"})


def test_a_hold_that_comes_while_a_part_waits_outlasts_its_date(office: Office) -> None:
    closed_as_approved(office)
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=(ME,)), "M-1", "asked for", None)
    later(office, 365)
    advance(office)
    assert left(office)[0] == {"flagged", "theirs"}
    found = row(office).remainder
    assert found is not None
    assert (found.held, found.kept, found.overdue(office.clock.at)) == (2, (), 0)
    with office.open() as ctx:
        release_hold(ctx, "M-1", None)
    advance(office)
    assert row(office).state is AccountState.CLOSED
    assert left(office) == ({"theirs"}, {3}, {"theirs"})


def test_what_nobody_can_tell_the_date_of_stays_and_is_counted(office: Office) -> None:
    office.request("unsure", 1, account=ME, flagged=None)
    with office.db() as db:
        db.execute("UPDATE requests SET created = 'no time' WHERE id = 'flagged'")
    closed_as_approved(office)
    assert left(office)[0] == {"flagged", "unsure", "theirs"}
    found = row(office).remainder
    assert found is not None
    assert (found.undetermined, len(found.kept)) == (2, 1)


def test_what_is_kept_from_the_closure_on_goes_together(office: Office) -> None:
    closing(office, {"feedback": {"after_closure": "90 days", "reason": BOOKS}})
    office.clock.at = NOW + timedelta(days=2)
    closed_as_approved(office)
    assert left(office) == ({"theirs"}, {1, 2, 3}, {"theirs"})
    found = row(office).remainder
    assert found is not None
    date = NOW + timedelta(days=92)
    assert found.kept == (KeptPart("feedback", "feedback", BOOKS, 2, date, date),)
    for days, stays in ((91.9, {1, 2, 3}), (92.1, {3})):
        later(office, days)
        advance(office)
        assert left(office)[1] == stays
    assert row(office).state is AccountState.CLOSED


def test_a_closure_that_is_cancelled_keeps_and_removes_nothing(office: Office) -> None:
    closing(office, {"content": FLAGGED, "feedback": FEEDBACK}, grace="5 days")
    before = left(office)
    close(office)
    with office.open() as ctx:
        assert {part.why for part in account_status(ctx, ME).dated} == {LAW, BOOKS, "it is going to be removed"}
        cancel_closure(ctx, ME, None)
        assert account_status(ctx, ME).dated == ()
    later(office, 6)
    advance(office)
    assert left(office) == before


def test_an_account_that_comes_back_can_leave_again(office: Office) -> None:
    closed_as_approved(office)
    later(office, 365)
    advance(office)
    assert row(office).state is AccountState.CLOSED
    office.request("again", 0, account=ME, flagged=1)
    close(office)
    assert row(office).state is AccountState.CLOSING
    later(office, 365 + 367)
    advance(office)
    assert (row(office).state, office.rows() & {"again"}) == (AccountState.CLOSED, set())


def test_identifiers_of_others_go_while_a_part_waits_for_years(office: Office) -> None:
    closed_as_approved(office)
    office.request("old", 100, account=OTHER)
    with office.open() as ctx:
        run_all(ctx, ())
    approve_all(office)
    with office.open() as ctx:
        run_all(ctx, ())
    later(office, 9)
    with office.open() as ctx:
        run_all(ctx, ())
        with ctx.ledger.begin() as tx:
            plans = [plan for plan in tx.plans.in_state(RunState.DONE) if plan.created_at == NOW]
            triggers = {plan.id: plan.trigger for plan in plans}
            ended = tx.lookback.ended_since(NOW - timedelta(days=1))
    readable = {(triggers[each.batch.plan], each.readable) for each in ended if each.batch.plan in triggers}
    assert readable == {("closure", True), ("schedule", False)}


WHERE = {
    "de": {"grace": "none", "deadline": "20 days"},
    "us": {"grace": "10 days", "deadline": "45 days", "accounts": "americans"},
}


def bind(office: Office) -> None:
    kept = {"keep": "20 days", "reason": BOOKS, "jurisdictions": ["de"]}
    closing(office, {"feedback": kept}, jurisdictions=WHERE, lists={"zero": ["acct-zero"], "americans": [OTHER]})


def test_where_an_account_belongs_is_said_or_listed_and_never_guessed(office: Office) -> None:
    bind(office)
    with office.open() as ctx:
        for named, said in ((("", "name one of: de, us")), ("fr", "one of: de, us")):
            with pytest.raises(UsageError) as refused:
                close_account(ctx, ME, "left", None, named)
            assert (refused.value.remedy, refused.value.exit_code) == (said, 2)
        with pytest.raises(UsageError, match="a list says that the account belongs to us, not to de"):
            close_account(ctx, OTHER, "left", None, "de")
        close_account(ctx, OTHER, "left", None)
        american = account_status(ctx, OTHER)
    assert american.closure is not None
    assert (american.closure.jurisdiction, american.state) == ("us", "grace")
    assert american.closure.due_at - american.closure.requested_at == timedelta(days=10)
    assert american.closure.deadline_at - american.closure.requested_at == timedelta(days=45)
    assert not kinds(office, "run")


def test_each_jurisdiction_keeps_what_is_its_own(office: Office) -> None:
    bind(office)
    closed_as_approved(office, ME, "de")
    assert left(office)[1] == {1, 3}
    close(office, OTHER)
    later(office, 11)
    advance(office)
    assert left(office)[1] == {1}, "nothing binds it there"
    assert row(office, OTHER).state is AccountState.CLOSED
    later(office, 20)
    advance(office)
    assert left(office)[1] == set()


def test_without_jurisdictions_none_can_be_named(office: Office) -> None:
    with office.open() as ctx, pytest.raises(UsageError, match="no jurisdiction 'de'"):
        close_account(ctx, ME, "left", None, "de")


def test_many_leave_in_one_pass_whatever_is_kept_of_each(office: Office) -> None:
    accounts = names(300)
    with office.db() as db:
        db.execute("DELETE FROM feedback")
    fill(office, accounts)
    with office.db() as db:
        db.execute("UPDATE requests SET flagged = 1 WHERE id LIKE 'r-%0-1'")
    before = contents(office)
    closing(office, {"content": FLAGGED})
    leaving = accounts[:200]
    ids = ask(office, leaving)
    advance(office)
    approve_all(office)
    advance(office)
    flagged = {f"r-{number}-1" for number in range(0, 200, 10)}
    rows = {id_ for id_ in office.rows() if id_.startswith("r-") and int(id_.split("-")[1]) < 200}
    assert rows == flagged
    stand = states(office, ids)
    assert [state is AccountState.CLOSING for state in stand] == [number % 10 == 0 for number in range(200)]
    after = contents(office)
    assert {name: after[name] for name in accounts[200:]} == {name: before[name] for name in accounts[200:]}
    later(office, 365)
    advance(office)
    assert set(states(office, ids)) == {AccountState.CLOSED}


class Killed(BaseException):
    """The process is gone: nothing of it is caught."""


class Dying:
    """A ledger whose process dies right after a commit."""

    def __init__(self, real: Any, commits: int) -> None:
        self._real = real
        self._left = commits

    @contextmanager
    def begin(self, *, shared: bool = False) -> Iterator[Any]:
        with self._real.begin(shared=shared) as tx:
            yield tx
        self._left -= not shared
        if self._left == 0:
            raise Killed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def step(office: Office, commits: int) -> bool:
    """Advance closures until the process dies after so many commits; say whether it died."""
    try:
        with office.open() as ctx:
            dying = replace(ctx, ledger=Dying(ctx.ledger, commits))
            close_due(dying, due_closures(dying))
    except Killed:
        return True
    return False


@pytest.mark.parametrize("commits", [*range(1, 30, 4), 35, 50])
def test_whoever_dies_while_a_part_waits_goes_on(office: Office, commits: int) -> None:
    closed_as_approved(office)
    for days, requests, feedback in (
        (10, {"flagged", "theirs"}, {1, 3}),
        (19.1, {"flagged", "theirs"}, {3}),
        (364.1, {"theirs"}, {3}),
    ):
        later(office, days)
        step(office, commits)
        assert office.rows() >= requests
        assert office.rows("feedback") >= feedback
        advance(office)
        assert left(office) == (requests, feedback, requests)
    assert row(office).state is AccountState.CLOSED
    assert len(kinds(office, "closure")) == 1
    assert not [each for each in kinds(office, "run") if each["outcome"] != "complete"]
