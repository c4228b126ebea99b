"""A changed approvers file counts once people of the one before have signed it; until then that one is in force."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.domain.hold import Scope
from retentiond.engine import approvers, consenting
from retentiond.engine.approvals import approve
from retentiond.engine.holds import add_hold
from retentiond.engine.overview import status
from retentiond.engine.running import apply_plan, run_all
from retentiond.errors import ApprovalError, Exit, GuardStopped, Interrupted, LogIntegrityError, RetentiondError
from tests.engine.office import Office, log_entries, make_office, plan


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = make_office(tmp_path, single_operator=False)
    office.name_approvers("alice", "bob", "carol")
    hold(office, "alice")  # whoever needs a person first takes the file as it stands
    return office


def hold(office: Office, who: str) -> None:
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=("acct-held",)), f"Case of {who}", "", office.key(who))


def sign(office: Office, who: str) -> int:
    with office.open() as ctx:
        return consenting.approve(ctx, ctx.approvers.sha256, office.key(who)).missing


def test_two_people_of_the_file_before_put_a_changed_one_in_force(office: Office) -> None:
    office.name_approvers("alice", "dora")
    with office.open() as ctx:
        assert status(ctx).approvers == (ctx.approvers.sha256, 2)
    hold(office, "bob")  # in force until the other one is
    with pytest.raises(GuardStopped) as caught:
        hold(office, "dora")
    assert caught.value.guard == "approvers-changed"
    assert sign(office, "bob") == 1
    with pytest.raises(GuardStopped):
        hold(office, "dora")
    assert sign(office, "carol") == 0
    hold(office, "dora")
    with pytest.raises(ApprovalError, match="belongs to nobody"):
        hold(office, "bob")
    with office.open() as ctx:
        assert status(ctx).approvers is None


def test_one_person_signing_twice_is_one_person(office: Office) -> None:
    office.name_approvers("alice", "dora")
    assert sign(office, "bob") == 1
    assert sign(office, "bob") == 1
    with pytest.raises(GuardStopped):
        sign(office, "dora")
    with pytest.raises(ApprovalError):
        sign(office, "mallory")
    hold(office, "carol")


def test_two_keys_of_one_person_are_one_person(tmp_path: Path) -> None:
    office = make_office(tmp_path, single_operator=False)
    office.name_approvers("alice", "bob")
    path = office.config / "approvers"
    second = office.key("alice-2").with_suffix(".pub").read_text("ascii").rsplit(" ", 1)[0]
    path.write_text(path.read_text("ascii") + f"alice {second}\n", "ascii")
    hold(office, "alice")
    office.name_approvers("alice")
    assert sign(office, "alice") == 1
    assert sign(office, "alice-2") == 1
    assert sign(office, "bob") == 0


def test_one_signature_is_enough_where_one_person_is_named(tmp_path: Path) -> None:
    office = make_office(tmp_path, single_operator=False)
    office.name_approvers("alice")
    hold(office, "alice")
    office.name_approvers("alice", "bob")
    assert sign(office, "alice") == 0
    hold(office, "bob")


def test_signatures_of_one_file_do_not_count_for_another(office: Office) -> None:
    office.name_approvers("alice", "dora")
    assert sign(office, "bob") == 1
    office.name_approvers("alice", "mallory")
    assert sign(office, "carol") == 1
    with pytest.raises(GuardStopped):
        hold(office, "mallory")


def test_a_rejection_and_a_day_end_what_was_signed(office: Office) -> None:
    office.name_approvers("alice", "dora")
    assert sign(office, "bob") == 1
    with office.open() as ctx:
        assert "again" in consenting.reject(ctx, ctx.approvers.sha256, office.key("carol"))
    assert sign(office, "carol") == 1
    office.clock.at += timedelta(hours=25)
    assert sign(office, "bob") == 1
    assert sign(office, "carol") == 0


def test_a_rejection_that_comes_while_the_last_signature_is_checked_counts(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.name_approvers("alice", "dora")
    sign(office, "bob")
    checked, rejections = approvers.check_request, iter(["alice"])

    def as_somebody_rejects_it(*args: Any) -> None:
        checked(*args)
        for name in rejections:
            with office.open() as ctx:
                consenting.reject(ctx, ctx.approvers.sha256, office.key(name))

    monkeypatch.setattr(approvers, "check_request", as_somebody_rejects_it)
    assert sign(office, "carol") == 2
    hold(office, "bob")


def test_a_file_that_names_nobody_is_never_in_force(office: Office) -> None:
    (office.config / "approvers").write_text("# nobody\n", "ascii")
    with pytest.raises(ApprovalError, match="names nobody") as caught:
        sign(office, "bob")
    assert caught.value.exit_code is Exit.STOPPED
    hold(office, "carol")


def test_a_signature_counts_only_once_it_is_in_the_log(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.name_approvers("alice", "dora")
    assert sign(office, "bob") == 1

    def unwritable(*_: object) -> None:
        raise LogIntegrityError("the disk is full")

    with office.open() as ctx, monkeypatch.context() as patch:
        patch.setattr(type(ctx.log), "publish", unwritable)
        with pytest.raises(LogIntegrityError, match="is pending"):
            consenting.approve(ctx, ctx.approvers.sha256, office.key("carol"))
    with pytest.raises(GuardStopped):
        hold(office, "dora")
    with office.open() as ctx:
        run_all(ctx)
    hold(office, "dora")
    assert log_entries(office).count("state\n") >= 6


def test_a_signature_that_was_changed_in_the_ledger_does_not_count(office: Office) -> None:
    office.name_approvers("alice", "dora")
    assert sign(office, "bob") == 1
    with office.open() as ctx:
        with ctx.ledger.begin() as tx:
            kept = tx.facts.get("approvers_change") or ""
            tx.facts.set("approvers_change", kept.replace('"principal": "bob"', '"principal": "carol"'))
        with pytest.raises(RetentiondError):
            consenting.approve(ctx, ctx.approvers.sha256, office.key("alice"))
    with pytest.raises(GuardStopped):
        hold(office, "dora")


def test_what_a_removed_approver_approved_stays_approved_and_its_run_ends(office: Office) -> None:
    for number in range(3):
        office.request(f"due-{number}", 3, account="acct-zero")
        office.feedback(number, 40)
    with office.open() as ctx:
        row = plan(ctx).plan
        assert row is not None
        assert approve(ctx, row.id, office.key("bob")) == 0
    asked = iter((False, True))
    office.stop = lambda: next(asked, True)
    with office.open() as ctx, pytest.raises(Interrupted):
        apply_plan(ctx, row.id)
    assert 0 < len(office.rows()) + len(office.rows("feedback")) < 6
    office.stop = lambda: False
    office.clock.at += timedelta(minutes=1)
    office.name_approvers("alice", "carol")
    assert sign(office, "alice") == 1
    assert sign(office, "carol") == 0
    with office.open() as ctx:
        session = run_all(ctx)
    assert not session.failures
    assert office.rows() == office.rows("feedback") == set()
    assert len(office.bundles()) == 1


def test_a_removed_approver_cannot_approve_a_later_plan_not_even_with_an_older_date(office: Office) -> None:
    office.clock.at += timedelta(minutes=1)
    office.name_approvers("alice", "carol")
    assert sign(office, "alice") == 1
    assert sign(office, "carol") == 0
    office.clock.at += timedelta(minutes=1)
    office.request("due", 3, account="acct-zero")
    with office.open() as ctx:
        row = plan(ctx).plan
        assert row is not None
        with pytest.raises(ApprovalError, match="belongs to nobody"):
            approve(ctx, row.id, office.key("bob"))


def test_a_ledger_that_kept_only_the_digest_asks_for_the_file_and_then_goes_on(office: Office) -> None:
    with office.open() as ctx, ctx.ledger.begin() as tx:
        sha256 = ctx.approvers.sha256
        tx.facts.set(f"approvers:{sha256}", "")
        tx.facts.set("approvers_history", "")
    before = (office.config / "approvers").read_bytes()
    office.name_approvers("alice", "dora")
    with pytest.raises(GuardStopped, match="nothing tells whom") as caught:
        hold(office, "alice")
    assert sha256 in caught.value.remedy
    (office.config / "approvers").write_bytes(before)
    hold(office, "alice")
    office.name_approvers("alice", "dora")
    assert sign(office, "bob") == 1
    assert sign(office, "alice") == 0
    hold(office, "dora")


def test_nothing_is_to_be_signed_where_nothing_changed(office: Office) -> None:
    with office.open() as ctx:
        assert approvers.waiting(ctx) is None
    assert sign(office, "alice") == 0
