"""Approvals: only a named person's signature of exactly this plan, in time, lets it go ahead."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.domain.plan import RunState
from retentiond.engine import approvals, guards, sshsig
from retentiond.engine.approvals import approval_text, approve, reject
from retentiond.engine.closures import close_account
from retentiond.engine.running import apply_plan, close_now
from retentiond.errors import ApprovalError, Exit, GuardStopped, RetentiondError
from retentiond.ports.rows import PlanRow
from tests.engine.office import Office, log_entries, make_office, plan


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = make_office(tmp_path, single_operator=False)
    office.name_approvers("alice", "bob")
    office.request("due", 3, account="acct-zero")
    return office


def waiting(office: Office) -> PlanRow:
    with office.open() as ctx:
        row = plan(ctx).plan
    assert row is not None
    assert row.state is RunState.WAITING
    return row


def applied(office: Office, row: PlanRow) -> None:
    with office.open() as ctx:
        apply_plan(ctx, row.id)


def write(office: Office, row: PlanRow, **changes: str) -> None:
    """Change alice's approval in the ledger, as somebody would who can write there and has no key of hers."""
    with office.open() as ctx:
        approve(ctx, row.id, office.key("alice"))
        with ctx.ledger.begin() as tx:
            (known,) = tx.approvals.of_plan(row.sha256)
            tx.approvals.add(replace(known, **changes))  # type: ignore[arg-type]


def refused(office: Office, row: PlanRow) -> RetentiondError:
    with pytest.raises(RetentiondError) as caught:
        applied(office, row)
    assert caught.value.exit_code is Exit.STOPPED
    assert office.rows() == {"due"}
    return caught.value


def signature(
    office: Office, who: str, row: PlanRow, *, instance: str = "", sha256: str = "", verdict: str = ""
) -> str:
    with office.open() as ctx:
        not_after = (office.clock.at + timedelta(hours=24)).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = approval_text(
            instance or ctx.terms.instance, sha256 or row.sha256, verdict or "approve", "alice", not_after
        )
    return sshsig.sign(text, office.key(who))


def test_a_named_persons_signature_lets_the_plan_go_ahead(office: Office) -> None:
    row = waiting(office)
    with office.open() as ctx:
        assert approve(ctx, row.id, office.key("alice")) == 0
    applied(office, row)
    assert office.rows() == set()


def test_the_very_text_that_an_approval_signs_is_accepted_when_written_by_hand(office: Office) -> None:
    row = waiting(office)
    write(office, row, signature=signature(office, "alice", row))
    applied(office, row)
    assert office.rows() == set()


def test_a_key_that_nobody_named_cannot_approve(office: Office) -> None:
    row = waiting(office)
    with office.open() as ctx, pytest.raises(ApprovalError, match="belongs to nobody"):
        approve(ctx, row.id, office.key("mallory"))
    assert refused(office, row).what.startswith(f"plan {row.id} waits")


@pytest.mark.parametrize(
    "forgery",
    [
        {"who": "mallory"},
        {"who": "bob"},
        {"who": "alice", "instance": "retentiond-elsewhere"},
        {"who": "alice", "sha256": "0" * 64},
        {"who": "alice", "verdict": "reject"},
    ],
    ids=["unknown-key", "another-person", "foreign-instance", "another-plan", "a-rejection"],
)
def test_a_signature_of_something_else_does_not_count(office: Office, forgery: dict[str, str]) -> None:
    row = waiting(office)
    who = forgery.pop("who")
    write(office, row, signature=signature(office, who, row, **forgery))
    assert isinstance(refused(office, row), ApprovalError)


def test_an_approval_that_had_expired_when_it_was_given_does_not_count(office: Office) -> None:
    row = waiting(office)
    write(office, row, not_after="2026-05-31T12:00:00Z")
    assert "had expired" in refused(office, row).what


def test_an_unsigned_approval_does_not_count_where_people_are_named(office: Office) -> None:
    row = waiting(office)
    write(office, row, principal="single-operator", signature="")
    assert "single operator" in refused(office, row).what


def test_an_expired_plan_cannot_be_approved(office: Office) -> None:
    row = waiting(office)
    office.clock.at += timedelta(hours=24)
    with office.open() as ctx, pytest.raises(ApprovalError, match="expired"):
        approve(ctx, row.id, office.key("alice"))


def test_a_rejected_plan_is_never_carried_out(office: Office) -> None:
    row = waiting(office)
    with office.open() as ctx:
        reject(ctx, row.id, office.key("bob"))
        with pytest.raises(ApprovalError):
            approve(ctx, row.id, office.key("alice"))
    assert "void" in refused(office, row).what


def test_a_plan_that_is_rejected_right_before_it_begins_is_not_carried_out(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = waiting(office)
    with office.open() as ctx:
        approve(ctx, row.id, office.key("alice"))
    asked = guards.before_acting

    def and_then_somebody_rejects_it(*args: Any, **more: Any) -> None:
        asked(*args, **more)
        with office.open() as ctx:
            reject(ctx, row.id, office.key("alice"))

    monkeypatch.setattr(guards, "before_acting", and_then_somebody_rejects_it)
    assert isinstance(refused(office, row), ApprovalError)
    assert office.rows() == {"due"}
    assert state_of(office, row) == RunState.CANCELLED


def test_a_plan_that_began_while_somebody_signed_its_rejection_is_not_void(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = waiting(office)
    with office.open() as ctx:
        approve(ctx, row.id, office.key("alice"))
    signs = approvals._signed_verdict

    def as_it_begins(*args: Any, **more: Any) -> Any:
        applied(office, row)
        return signs(*args, **more)

    monkeypatch.setattr(approvals, "_signed_verdict", as_it_begins)
    with office.open() as ctx, pytest.raises(ApprovalError, match="can't be rejected"):
        reject(ctx, row.id, office.key("alice"))
    assert state_of(office, row) == RunState.DONE
    assert " void" not in log_entries(office)


def state_of(office: Office, row: PlanRow) -> RunState:
    with office.open() as ctx, ctx.ledger.begin() as tx:
        found = tx.plans.get(row.id)
    assert found is not None
    return found.state


def test_an_approvers_file_that_changed_is_not_believed(office: Office) -> None:
    row = waiting(office)
    with office.open() as ctx:
        approve(ctx, row.id, office.key("alice"))
    later = waiting_again(office)
    office.name_approvers("mallory")
    with office.open() as ctx, pytest.raises(GuardStopped) as caught:
        approve(ctx, later.id, office.key("mallory"))
    assert caught.value.guard == "approvers-changed"
    applied(office, row)  # what alice signed goes by the file that is in force
    assert office.rows() == set()


def waiting_again(office: Office) -> PlanRow:
    office.edit("policies.yaml", "keep: 2 days", "keep: 1 days")
    row = waiting(office)
    office.edit("policies.yaml", "keep: 1 days", "keep: 2 days")
    return row


def test_nobody_named_and_no_single_operator_approves_nothing(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    office = make_office(tmp_path / "other", single_operator=False)
    office.request("due", 3, account="acct-zero")
    row = waiting(office)
    with office.open() as ctx, pytest.raises(GuardStopped) as caught:
        approve(ctx, row.id, None)
    assert caught.value.guard == "approvers-empty"


def test_the_approval_of_a_closure_approves_no_policy(office: Office) -> None:
    office.edit("policies.yaml", "per_day: 500, max_percent: 95", "per_day: 500, max_percent: 1")
    with office.open() as ctx:
        close_now(ctx, close_account(ctx, "acct-zero", "contract ended", office.key("bob")))
        with ctx.ledger.begin() as tx:
            (row,) = tx.plans.in_state(RunState.WAITING)
        assert approve(ctx, row.id, office.key("alice")) == 0
        apply_plan(ctx, row.id)
    assert office.rows() == set()
    office.request("due", 3, account="acct-zero")
    assert "not approved in its present form" in waiting(office).reasons[0]
