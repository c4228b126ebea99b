"""Accounts that leave: everything of theirs goes, nobody else's, and the ledger forgets who they were."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from retentiond.cli import cli
from retentiond.cli.views import session_exit
from retentiond.domain.account import AccountState
from retentiond.domain.hold import Scope
from retentiond.domain.plan import Outcome
from retentiond.engine import closures
from retentiond.engine.accounts import account_status
from retentiond.engine.closing import close_due, due_closures
from retentiond.engine.closures import cancel_closure, close_account
from retentiond.engine.holds import add_hold, release_hold
from retentiond.engine.running import close_now, run_all
from retentiond.errors import AccountStateError, Exit, UsageError
from retentiond.ports.stores import Acted, Order
from tests.engine.office import Office, Proxy

LEAVING = "acct-leaving'--\u202e\U0001f5d1"


def fill(office: Office) -> None:
    office.request("mine", 1, account=LEAVING, payload="mine")
    office.request("flagged", 1, account=LEAVING, flagged=1)
    office.request("doubtful", 1, account=LEAVING, flagged=None)
    office.request("other", 1, account="acct-other", payload="other")
    office.feedback(1, 1, LEAVING)
    office.feedback(2, 1, "acct-other")


def close(office: Office, account: str = LEAVING) -> None:
    with office.open() as ctx:
        close_now(ctx, close_account(ctx, account, "contract ended", None))


def state(office: Office) -> AccountState:
    with office.open() as ctx:
        return account_status(ctx, LEAVING).state


def closure_receipts(office: Office) -> int:
    statements = [json.loads(base64.b64decode(each["dsseEnvelope"]["payload"])) for each in office.bundles()]
    return sum(each["predicate"]["kind"] == "closure" for each in statements)


def test_without_grace_everything_of_the_account_goes_at_once_and_nothing_else(office: Office) -> None:
    fill(office)
    close(office)
    assert office.rows() == {"other"}
    assert office.rows("feedback") == {2}
    assert office.blobs() == {"other"}
    assert state(office) is AccountState.CLOSED
    assert closure_receipts(office) == 1


def test_two_people_who_ask_at_the_same_time_make_one_closure(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(office)
    asked = closures.request

    def another_is_faster(*arguments: Any) -> Any:
        monkeypatch.setattr(closures, "request", asked)
        close(office)
        return asked(*arguments)

    monkeypatch.setattr(closures, "request", another_is_faster)
    with pytest.raises(AccountStateError, match="at the same time"):
        close(office)
    assert state(office) is AccountState.CLOSED
    assert closure_receipts(office) == 1


def test_whoever_asked_finds_it_closed_where_another_run_was_faster(office: Office) -> None:
    fill(office)
    with office.open() as ctx:
        asked = close_account(ctx, LEAVING, "contract ended", None)
        with office.open() as other:
            run_all(other)
        session = close_now(ctx, asked)
    assert not session.carried
    assert state(office) is AccountState.CLOSED
    assert closure_receipts(office) == 1


def test_a_closed_account_stands_nowhere_in_the_ledger(office: Office) -> None:
    fill(office)
    close(office)
    for path in (*office.root.glob("ledger.db*"), *(office.root / "journal").rglob("*")):
        if path.is_file():
            assert LEAVING.encode() not in path.read_bytes()
            assert json.dumps(LEAVING).encode() not in path.read_bytes()


def test_nothing_goes_during_the_grace_and_everything_after_it(office: Office) -> None:
    office.edit("policies.yaml", "grace: none", "grace: 14 days")
    fill(office)
    close(office)
    office.clock.at += timedelta(days=13)
    with office.open() as ctx:
        run_all(ctx)
    assert "mine" in office.rows()
    assert state(office) is AccountState.GRACE
    office.clock.at += timedelta(days=1)
    with office.open() as ctx:
        run_all(ctx)
    assert state(office) is AccountState.CLOSED
    assert not office.rows() & {"mine", "flagged", "doubtful"}
    assert "other" in office.rows()


def test_a_closure_cancelled_in_its_grace_removes_nothing(office: Office) -> None:
    office.edit("policies.yaml", "grace: none", "grace: 14 days")
    fill(office)
    close(office)
    with office.open() as ctx:
        cancel_closure(ctx, LEAVING, None)
        office.clock.at += timedelta(days=15)
        run_all(ctx)
    assert state(office) is AccountState.OPEN
    assert {"mine", "flagged"} <= office.rows()


def test_a_cancellation_wins_over_a_run_that_saw_the_closure_before_it(office: Office) -> None:
    office.edit("policies.yaml", "grace: none", "grace: 14 days")
    fill(office)
    close(office)
    office.clock.at += timedelta(days=15)
    with office.open() as ctx:
        seen = due_closures(ctx)
        assert len(seen) == 1
        cancel_closure(ctx, LEAVING, None)
        close_due(ctx, seen)
    assert {"mine", "flagged"} <= office.rows()
    assert state(office) is AccountState.OPEN


def test_a_closure_that_has_begun_cannot_be_cancelled(office: Office) -> None:
    fill(office)
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=(LEAVING,)), "Case-1", "", None)
    close(office)
    with office.open() as ctx, pytest.raises(AccountStateError):
        cancel_closure(ctx, LEAVING, None)


def test_a_held_account_is_not_closed_before_its_release(office: Office) -> None:
    fill(office)
    with office.open() as ctx:
        add_hold(ctx, Scope(dataset="feedback", keys=(b"1",)), "Case-1", "", None)
    close(office)
    assert (office.rows(), office.rows("feedback")) == ({"other"}, {1, 2})
    assert state(office) is AccountState.CLOSING
    assert closure_receipts(office) == 0
    with office.open() as ctx:
        release_hold(ctx, "Case-1", None)
        run_all(ctx)
    assert office.rows("feedback") == {2}
    assert state(office) is AccountState.CLOSED
    assert closure_receipts(office) == 1


def test_an_account_that_leaves_again_is_a_new_closure(office: Office) -> None:
    fill(office)
    close(office)
    office.request("again", 0, account=LEAVING)
    close(office)
    assert office.rows() == {"other"}
    assert closure_receipts(office) == 2


def test_a_record_that_a_late_writer_adds_goes_too(office: Office) -> None:
    fill(office)
    with office.open() as ctx:
        add_hold(ctx, Scope(dataset="feedback", keys=(b"1",)), "Case-1", "", None)
    close(office)
    office.request("late", 0, account=LEAVING, payload="late")
    with office.open() as ctx:
        release_hold(ctx, "Case-1", None)
        run_all(ctx)
    assert (office.rows(), office.blobs()) == ({"other"}, {"other"})
    assert state(office) is AccountState.CLOSED


def test_a_second_request_while_the_account_is_leaving_is_refused(office: Office) -> None:
    office.edit("policies.yaml", "grace: none", "grace: 14 days")
    close(office)
    with office.open() as ctx, pytest.raises(AccountStateError):
        close_account(ctx, LEAVING, "again", None)


def test_an_account_without_any_record_is_closed_with_a_receipt(office: Office) -> None:
    close(office)
    assert state(office) is AccountState.CLOSED
    assert closure_receipts(office) == 1


def test_a_closure_whose_share_is_over_its_cap_waits_for_a_person(office: Office) -> None:
    office.edit("policies.yaml", "per_day: 500, max_percent: 95", "per_day: 500, max_percent: 1")
    fill(office)
    with office.open() as ctx:
        session = close_now(ctx, close_account(ctx, LEAVING, "contract ended", None))
    assert session.stopped is not None
    assert session.stopped.guard == "closure-cap"
    assert {"mine", "flagged"} <= office.rows()


class _Liar(Proxy):
    def act(self, order: Order) -> Acted:
        return Acted([Outcome.DONE] * len(order.records))


def test_what_a_closure_could_not_remove_counts_as_overdue(office: Office) -> None:
    office.edit("policies.yaml", "grace: none", "grace: 14 days")
    fill(office)
    close(office)
    office.clock.at += timedelta(days=14)
    office.wraps["app"] = _Liar
    with office.open() as ctx:
        session = run_all(ctx)
    assert "mine" in office.rows()
    assert session.overdue > 0
    assert session_exit(session) is Exit.PARTLY
    assert state(office) is AccountState.CLOSING


def test_a_name_that_is_no_text_is_said_to_be_none(office: Office) -> None:
    asked = (("close", "acct", "--reason", "\udcff"), ("close", "\udcff", "--reason", "r"), ("status", "\udcff"))
    for words in (*asked, ("show", "\udcff")):
        result = CliRunner().invoke(cli, ["--config", str(office.config), "account", *words])
        assert isinstance(result.exception, UsageError)
        assert result.exception.what == "a text is not valid Unicode"
