"""The table of guards: what sets each off, what it says, and what lets the run go on. In doubt nothing is removed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta

import pytest

from retentiond.domain import decision
from retentiond.domain.plan import RunState
from retentiond.engine import drafting, guards, pausing
from retentiond.engine.approvals import approve
from retentiond.engine.running import Session, apply_plan, run_all
from retentiond.errors import Exit, GuardStopped, LedgerBehindLog, PolicyError, RetentiondError
from retentiond.ports.stores import Acted, Connector, Order
from tests.engine.office import Office, Proxy, carry, plan


def due(office: Office) -> None:
    office.request("due", 3, account="acct-zero", payload="due")
    office.request("young", 1, account="acct-zero")


def untouched(office: Office) -> bool:
    return office.rows() == {"due", "young"} and office.blobs() == {"due"}


def planned_and_approved(office: Office) -> str:
    with office.open() as ctx:
        row = plan(ctx).plan
        assert row is not None
        approve(ctx, row.id, None)
    return row.id


def apply_it(office: Office, plan_id: str) -> Session:
    with office.open() as ctx:
        return apply_plan(ctx, plan_id)


def stopped(office: Office, plan_id: str) -> GuardStopped:
    """Apply a plan that a guard must stop; return what it said."""
    with pytest.raises(GuardStopped) as caught:
        apply_it(office, plan_id)
    assert untouched(office)
    assert caught.value.exit_code is Exit.STOPPED
    assert caught.value.remedy
    return caught.value


def test_without_any_reason_to_stop_the_plan_is_carried_out(office: Office) -> None:
    due(office)
    apply_it(office, planned_and_approved(office))
    assert office.rows() == {"young"}


def test_a_clock_that_ran_backwards(office: Office) -> None:
    office.clock.at += timedelta(hours=1)  # after the keys were made: before that they sign nothing
    due(office)
    plan_id = planned_and_approved(office)
    office.clock.at -= timedelta(minutes=6)
    assert stopped(office, plan_id).guard == "clock"
    with office.open() as ctx, pytest.raises(GuardStopped, match="was seen before"):
        plan(ctx)
    office.clock.at += timedelta(minutes=2)
    apply_it(office, plan_id)
    assert office.rows() == {"young"}


def test_the_stop_file(office: Office) -> None:
    due(office)
    plan_id = planned_and_approved(office)
    (office.root / "STOP").touch()
    assert stopped(office, plan_id).guard == "stop-file"
    (office.root / "STOP").unlink()
    apply_it(office, plan_id)
    assert office.rows() == {"young"}


def test_the_stop_file_that_appears_while_the_run_is_under_way(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "BATCH_RECORDS", 1)
    for number in range(3):
        office.request(f"due-{number}", 3, account="acct-zero")

    class Stopping(Proxy):
        def act(self, order: Order) -> Acted:
            acted = super().act(order)
            (office.root / "STOP").touch()
            return acted

    office.wraps["app"] = Stopping
    plan_id = planned_and_approved(office)
    with pytest.raises(GuardStopped) as caught:
        apply_it(office, plan_id)
    assert caught.value.guard == "stop-file"
    assert len(office.rows()) == 2
    (office.root / "STOP").unlink()
    office.wraps.clear()
    apply_it(office, plan_id)
    assert office.rows() == set()
    assert len(office.bundles()) == 1


def test_everything_is_paused(office: Office) -> None:
    due(office)
    plan_id = planned_and_approved(office)
    with office.open() as ctx:
        pausing.pause(ctx, "")
    assert stopped(office, plan_id).guard == "paused"
    with office.open() as ctx:
        pausing.resume(ctx, None)
    apply_it(office, plan_id)
    assert office.rows() == {"young"}


def test_an_instance_that_only_observes(office: Office) -> None:
    due(office)
    plan_id = planned_and_approved(office)
    office.edit("retentiond.yaml", "mode: enforce", "mode: observe")
    assert stopped(office, plan_id).guard == "observe"


def test_an_expired_plan(office: Office) -> None:
    due(office)
    plan_id = planned_and_approved(office)
    office.clock.at += timedelta(hours=24)
    with pytest.raises(RetentiondError, match=r"void|expired") as caught:
        apply_it(office, plan_id)
    assert untouched(office)
    assert caught.value.exit_code is Exit.STOPPED


def test_a_plan_that_nobody_approved(office: Office) -> None:
    due(office)
    with office.open() as ctx:
        row = plan(ctx).plan
    assert row is not None
    assert row.state is RunState.WAITING
    said = stopped(office, row.id)
    assert said.guard == "approval"
    assert said.remedy == f"retentiond approve {row.id}"


def test_a_plan_whose_approvals_are_not_in_the_ledger(office: Office) -> None:
    due(office)
    with office.open() as ctx:
        row = plan(ctx).plan
        assert row is not None
        with ctx.ledger.begin() as tx:
            tx.plans.set_state(row.id, RunState.PLANNED)
    assert stopped(office, row.id).guard == "approval"


@pytest.mark.parametrize(
    ("name", "old", "new", "guard"),
    [
        ("policies.yaml", "keep: 20 days", "keep: 21 days", "policy-changed"),
        ("policies.yaml", "[acct-zero]", "[acct-b]", "policy-changed"),
        ("datamap.yaml", "earliest: 2023-01-01", "earliest: 2022-01-01", "dataset-changed"),
    ],
    ids=["policy", "list", "dataset"],
)
def test_a_policy_list_or_dataset_that_changed_after_the_plan(
    office: Office, name: str, old: str, new: str, guard: str
) -> None:
    due(office)
    plan_id = planned_and_approved(office)
    office.edit(name, old, new)
    assert stopped(office, plan_id).guard == guard
    office.edit(name, new, old)
    apply_it(office, plan_id)
    assert office.rows() == {"young"}


def test_a_plan_of_a_version_that_reads_policies_otherwise(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases are counted: where another version has one more before it, a plan's would be one that keeps."""
    doubts = decision._doubts
    due(office)
    with monkeypatch.context() as earlier:
        earlier.setattr(decision, "_doubts", lambda *rest: doubts(*rest)[1:])
        plan_id = planned_and_approved(office)
    refusal = stopped(office, plan_id)
    assert (refusal.guard, "another version" in refusal.what) == ("policy-changed", True)
    apply_it(office, planned_and_approved(office))
    assert office.rows() == {"young"}


def test_a_policy_that_changes_while_the_run_is_under_way(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "BATCH_RECORDS", 1)
    for number in range(3):
        office.request(f"due-{number}", 3, account="acct-zero")

    class Changing(Proxy):
        def act(self, order: Order) -> Acted:
            acted = super().act(order)
            office.edit("policies.yaml", "keep: 2 days", "keep: 9 days")
            return acted

    def change(real: Connector) -> Proxy:
        return Changing(real)

    office.wraps["app"] = change
    plan_id = planned_and_approved(office)
    with pytest.raises(GuardStopped) as caught:
        apply_it(office, plan_id)
    assert caught.value.guard == "policy-changed"
    assert len(office.rows()) == 2
    office.wraps.clear()
    session = apply_it(office, plan_id)
    assert session.overdue == 2
    assert len(office.rows()) == 2


@pytest.mark.parametrize(
    "limits", ["max_records: 1000, max_percent: 10", "max_records: 1, max_percent: 100"], ids=["share", "number"]
)
def test_more_than_a_cap(office: Office, limits: str) -> None:
    office.edit("policies.yaml", "max_records: 1000, max_percent: 95", limits)
    carry_first(office)
    for number in range(3):
        office.request(f"due-{number}", 3, account="acct-zero")
    with office.open() as ctx:
        session = run_all(ctx)
    assert session.stopped is not None
    assert ("max_percent 10" if "1000" in limits else "max_records 1") in session.stopped.what
    assert office.rows() >= {"due-0", "due-1", "due-2"}


def carry_first(office: Office) -> None:
    """Have the policy approved on something small."""
    office.request("first", 3, account="acct-zero")
    carry(office)


def test_a_policy_below_the_floor_is_refused(office: Office) -> None:
    due(office)
    office.edit("policies.yaml", "floor: 1 hour", "floor: 3 days")
    with pytest.raises(PolicyError, match="floor"), office.open():
        pass
    assert untouched(office)


@pytest.fixture
def older_ledger(office: Office) -> Callable[[], None]:
    """Give a function that puts back the ledger as it was before the plan was made."""
    due(office)
    kept = office.root / "kept.db"
    with office.open() as ctx:
        ctx.ledger.backup(kept)

    def restore() -> None:
        for path in office.root.glob("ledger.db*"):
            path.unlink()
        shutil.copy(kept, office.root / "ledger.db")

    return restore


def test_a_ledger_older_than_its_log(office: Office, older_ledger: Callable[[], None]) -> None:
    planned_and_approved(office)
    older_ledger()
    with office.open() as ctx, pytest.raises(LedgerBehindLog) as caught:
        plan(ctx)
    assert caught.value.exit_code is Exit.STOPPED
    assert untouched(office)


def test_a_log_that_ran_ahead_while_a_plan_was_ready(office: Office) -> None:
    due(office)
    plan_id = planned_and_approved(office)
    kept = office.root / "kept.db"
    with office.open() as ctx:
        ctx.ledger.backup(kept)
        plan(ctx)
    for path in office.root.glob("ledger.db*"):
        path.unlink()
    shutil.copy(kept, office.root / "ledger.db")
    with pytest.raises(LedgerBehindLog):
        apply_it(office, plan_id)
    assert untouched(office)


def test_a_plan_that_expires_before_it_begins_but_not_one_that_began(office: Office) -> None:
    due(office)
    plan_id = planned_and_approved(office)
    office.clock.at += timedelta(hours=24)
    with office.open() as ctx:
        with ctx.ledger.begin() as tx:
            row = tx.plans.get(plan_id)
        assert row is not None
        guards.before_acting(ctx, row, begun=True)
        with pytest.raises(GuardStopped) as caught:
            guards.before_acting(ctx, row, begun=False)
    assert caught.value.guard == "plan-expired"
