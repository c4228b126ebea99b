"""Pause, resume, cancel: a pause counts at once, what lets go only once it is in the log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from retentiond.domain.hold import Scope
from retentiond.domain.plan import RunState, Trigger
from retentiond.engine import drafting, pausing
from retentiond.engine.approvals import approve
from retentiond.engine.closures import close_account
from retentiond.engine.overview import status
from retentiond.engine.purging import ask_purge
from retentiond.engine.recovery import recover, sign_list
from retentiond.engine.running import Session, apply_plan, run_all
from retentiond.errors import ApprovalError, Exit, GuardStopped, LogIntegrityError, NotFound
from retentiond.ports.rows import PlanRow
from retentiond.ports.stores import Acted, Order
from tests.engine.office import Office, Proxy, log_entries, make_office, outcomes, plan


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(drafting, "BATCH_RECORDS", 1)
    office = make_office(tmp_path, single_operator=False)
    office.name_approvers("alice", "bob")
    office.edit("policies.yaml", "max_percent: 95", "max_percent: 100")
    for number in range(4):
        office.request(f"due-{number}", 3, account="acct-zero")
    return office


def approved(office: Office) -> PlanRow:
    with office.open() as ctx:
        row = plan(ctx).plan
        assert row is not None
        approve(ctx, row.id, office.key("alice"))
    return row


def applied(office: Office, row: PlanRow) -> Session:
    with office.open() as ctx:
        return apply_plan(ctx, row.id)


def meanwhile(office: Office, act: Callable[[], object], after: int = 1) -> None:
    """Have something done by another process once so many batches were acted on."""
    done = []

    class Busy(Proxy):
        def act(self, order: Order) -> Acted:
            acted = super().act(order)
            done.append(order)
            if len(done) == after:
                act()
            return acted

    office.wraps["app"] = Busy


def pause(office: Office, reason: str = "incident 7") -> None:
    with office.open() as ctx:
        pausing.pause(ctx, reason)


def resume(office: Office, who: str = "bob") -> None:
    with office.open() as ctx:
        pausing.resume(ctx, office.key(who))


def cancel(office: Office, reference: str) -> pausing.Cancelled:
    with office.open() as ctx:
        return pausing.cancel(ctx, reference, office.key("bob"))


def test_a_pause_stops_a_run_that_is_under_way_and_resume_lets_it_go_on(office: Office) -> None:
    row = approved(office)
    meanwhile(office, lambda: pause(office))
    with pytest.raises(GuardStopped) as caught:
        applied(office, row)
    assert caught.value.guard == "paused"
    assert caught.value.exit_code is Exit.STOPPED
    assert len(office.rows()) == 3
    office.wraps.clear()
    with pytest.raises(GuardStopped, match="everything is paused"):
        applied(office, row)
    with office.open() as ctx, pytest.raises(GuardStopped, match="everything is paused"):
        run_all(ctx)
    assert len(office.rows()) == 3
    resume(office)
    applied(office, row)
    assert office.rows() == set()
    assert len(office.bundles()) == 1


def test_a_pause_between_claim_and_statement_is_seen_before_the_statement(office: Office) -> None:
    row = approved(office)

    class Late(Proxy):
        def act(self, order: Order) -> Acted:
            pause(office)
            return super().act(order)

    office.wraps["app"] = Late
    with pytest.raises(GuardStopped, match="everything is paused"):
        applied(office, row)
    assert len(office.rows()) == 4


def test_status_says_since_when_and_why_and_plans_can_be_made(office: Office) -> None:
    pause(office, "incident\u202e 7")
    with office.open() as ctx:
        found = status(ctx).paused
        assert found is not None
        assert (found.at, found.reason) == (office.clock.at, "incident\u202e 7")
        assert plan(ctx).plan is not None
    resume(office)
    with office.open() as ctx:
        assert status(ctx).paused is None


def test_a_resume_needs_the_signature_of_an_approver(office: Office) -> None:
    pause(office)
    with office.open() as ctx, pytest.raises(ApprovalError, match="belongs to nobody"):
        pausing.resume(ctx, office.key("mallory"))
    with office.open() as ctx:
        assert pausing.paused(ctx) is not None


def test_a_pause_counts_while_the_log_cannot_be_written_and_a_resume_waits_for_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = approved(office)

    def unwritable(*_: object) -> None:
        raise LogIntegrityError("the disk is full")

    with office.open() as ctx, monkeypatch.context() as patch:
        patch.setattr(type(ctx.log), "publish", unwritable)
        with pytest.raises(LogIntegrityError, match="in force, but not yet logged"):
            pausing.pause(ctx, "")
    with pytest.raises(GuardStopped):
        applied(office, row)
    with office.open() as ctx, monkeypatch.context() as patch:
        patch.setattr(type(ctx.log), "publish", unwritable)
        with pytest.raises(LogIntegrityError, match="end of the pause is pending"):
            pausing.resume(ctx, office.key("bob"))
        assert pausing.paused(ctx) is not None
    applied(office, row)  # publishes what waits, and goes on
    assert office.rows() == set()


def test_a_pause_after_a_resume_that_is_pending_stays_in_force(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    row = approved(office)
    pause(office)

    def unwritable(*_: object) -> None:
        raise LogIntegrityError("the disk is full")

    with office.open() as ctx, monkeypatch.context() as patch:
        patch.setattr(type(ctx.log), "publish", unwritable)
        with pytest.raises(LogIntegrityError):
            pausing.resume(ctx, office.key("bob"))
    pause(office, "again")
    with pytest.raises(GuardStopped):
        applied(office, row)
    with office.open() as ctx:
        found = pausing.paused(ctx)
        assert found is not None
        assert found.reason == "again"


def test_a_cancelled_run_that_stood_still_gets_a_receipt_for_what_was_done(office: Office) -> None:
    row = approved(office)
    meanwhile(office, (office.root / "STOP").touch)
    with pytest.raises(GuardStopped):
        applied(office, row)
    office.wraps.clear()
    pause(office)  # neither keeps a run from being ended
    ended = cancel(office, row.id)
    assert ended.begun
    assert ended.carried is not None
    assert ended.carried.run.state is RunState.PARTIAL
    assert ended.carried.outcomes()["requests"] == {"purged": 1, "carriedOver": 3}
    assert len(office.rows()) == 3
    with pytest.raises(ApprovalError, match="has ended"):
        cancel(office, ended.carried.run.id)


def test_a_cancelled_run_is_not_gone_on_with_after_the_ledger_went_back(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = approved(office)
    meanwhile(office, (office.root / "STOP").touch)
    with pytest.raises(GuardStopped):
        applied(office, row)
    office.wraps.clear()
    with office.open() as ctx:
        ctx.ledger.backup(tmp_path / "copy.db")
    with monkeypatch.context() as patch:
        patch.setattr(pausing, "_ended", lambda *_: None)  # as while another process is at it
        cancel(office, row.id)
    for path in office.root.glob("ledger.db*"):
        path.unlink()
    (tmp_path / "copy.db").rename(office.root / "ledger.db")
    (office.root / "STOP").unlink()
    with office.open() as ctx:
        sign_list(ctx, recover(ctx).reference, office.key("alice"))
        session = run_all(ctx)
    assert session.carried[0].plan.id == row.id
    assert session.carried[0].outcomes()["requests"] == {"purged": 1, "carriedOver": 3}
    with office.open() as ctx, ctx.ledger.begin() as tx:
        assert tx.pending.all() == []


def test_a_clock_that_went_back_signs_no_receipt_of_a_cancelled_run(office: Office) -> None:
    row = approved(office)
    meanwhile(office, (office.root / "STOP").touch)
    with pytest.raises(GuardStopped):
        applied(office, row)
    office.wraps.clear()
    office.clock.at -= timedelta(hours=2)
    with pytest.raises(GuardStopped, match="was seen before"):
        cancel(office, row.id)
    assert office.bundles() == []
    office.clock.at += timedelta(hours=2)
    applied(office, row)
    assert len(office.bundles()) == 1
    assert len(office.rows()) == 3


def test_a_run_that_another_process_is_at_ends_before_its_next_batch(office: Office) -> None:
    row = approved(office)
    seen: list[pausing.Cancelled] = []
    meanwhile(office, lambda: seen.append(cancel(office, row.id)), after=2)
    session = applied(office, row)
    assert seen[0].begun
    assert seen[0].carried is None
    assert outcomes(session)["requests"] == {"purged": 2, "carriedOver": 2}
    assert session.overdue == 2
    assert len(office.rows()) == 2
    assert len(office.bundles()) == 1
    with office.open() as ctx:  # what is due is due: the next plan takes it up
        run_all(ctx)
    assert office.rows() == set()


def test_a_plan_that_was_not_begun_is_void(office: Office) -> None:
    row = approved(office)
    ended = cancel(office, row.id)
    assert (ended.begun, ended.carried) == (False, None)
    assert " cancelled\n" in log_entries(office)
    with pytest.raises(ApprovalError, match="void"):
        applied(office, row)
    assert len(office.rows()) == 4


def test_what_follows_a_cancelled_plan_in_its_chain_is_void(office: Office) -> None:
    path = office.config / "policies.yaml"
    path.write_text(path.read_text("utf-8") + "limits: {chain_records: 2}\n", "utf-8")
    row = approved(office)
    seen: list[pausing.Cancelled] = []
    meanwhile(office, lambda: seen.append(cancel(office, row.id)))
    session = applied(office, row)
    assert len(session.carried) == 1
    assert len(office.rows()) == 3
    with office.open() as ctx, ctx.ledger.begin() as tx:
        assert not tx.plans.in_state(RunState.PLANNED, RunState.WAITING, RunState.RUNNING)


def test_a_purge_that_was_cancelled_is_not_taken_up_again(office: Office) -> None:
    office.request("young", 1)
    with office.open() as ctx:
        row = ask_purge(ctx, Scope("requests", keys=(b"young",)), "why", office.key("alice")).planned.plan
        assert row is not None
        approve(ctx, row.id, office.key("bob"))
    cancel(office, row.id)
    with office.open() as ctx:
        run_all(ctx)
    assert "young" in office.rows()


def test_a_closure_is_not_cancelled_by_its_runs(office: Office) -> None:
    office.edit("policies.yaml", "closure: {grace: none", "closure: {grace: 1 day")
    with office.open() as ctx:
        close_account(ctx, "acct-zero", "left", office.key("alice"))
    office.clock.at += timedelta(days=2)
    (office.root / "STOP").touch()
    with office.open() as ctx:
        run_all(ctx)
        with ctx.ledger.begin() as tx:
            rows = [row for row in tx.plans.in_state(*RunState) if row.trigger is Trigger.CLOSURE]
    assert len(rows) == 1
    with pytest.raises(ApprovalError, match="serves a closure"):
        cancel(office, rows[0].id)


def test_nothing_of_that_name(office: Office) -> None:
    with pytest.raises(NotFound):
        cancel(office, "nowhere")
    resume(office)  # nothing is paused
