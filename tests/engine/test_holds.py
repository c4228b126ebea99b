"""Holds: whatever they name stays, whenever they came, until the last matter lets go."""

from __future__ import annotations

import pytest

from retentiond.domain.hold import Hold, Scope
from retentiond.domain.plan import RunState
from retentiond.engine.approvals import approve
from retentiond.engine.docket import row_of
from retentiond.engine.holds import add_hold, list_holds, release_hold
from retentiond.engine.running import apply_plan, run_all
from retentiond.errors import NotFound, UsageError
from retentiond.ports.stores import Acted, Order
from tests.engine.office import Office, Proxy, carry, outcomes, plan

HELD = Scope(accounts=("acct-held",))


def due(office: Office) -> None:
    office.request("held", 22, account="acct-held")
    office.request("free", 22)
    office.feedback(1, 31, "acct-held")


def hold(office: Office, scope: Scope, matter: str = "Case-1") -> None:
    with office.open() as ctx:
        add_hold(ctx, scope, matter, "", None)


@pytest.mark.parametrize("scope", [HELD, Scope(dataset="requests", keys=(b"held",))], ids=["account", "key"])
def test_a_hold_before_the_plan_takes_its_records_out_of_it(office: Office, scope: Scope) -> None:
    due(office)
    hold(office, scope)
    session = carry(office, "content")
    assert outcomes(session) == {"requests": {"tombstoned": 1}}
    assert office.hidden() == {"free"}


@pytest.mark.parametrize("scope", [HELD, Scope(dataset="requests", keys=(b"held",))], ids=["account", "key"])
def test_a_hold_after_the_plan_wins_too(office: Office, scope: Scope) -> None:
    due(office)
    with office.open() as ctx:
        row = plan(ctx, "content").plan
        assert row is not None
        approve(ctx, row.id, None)
        add_hold(ctx, scope, "Case-1", "", None)
        session = apply_plan(ctx, row.id)
    assert outcomes(session) == {"requests": {"tombstoned": 1, "held": 1}}
    assert office.hidden() == {"free"}
    assert session.carried[0].run.state is RunState.DONE


def test_a_hold_that_comes_between_claim_and_statement_wins(office: Office) -> None:
    due(office)

    class Late(Proxy):
        def act(self, order: Order) -> Acted:
            with office.open() as other:
                if not list_holds(other):
                    with other.ledger.begin() as tx:
                        tx.holds.add(row_of(other, Hold("late", "Case-1", HELD, office.clock.at)))
            return super().act(order)

    office.wraps["app"] = Late
    session = carry(office, "content")
    assert outcomes(session)["requests"] == {"tombstoned": 1, "held": 1}
    assert office.hidden() == {"free"}


def test_a_record_of_two_matters_stays_until_both_let_go(office: Office) -> None:
    due(office)
    hold(office, HELD, "Case-1")
    hold(office, HELD, "Case-2")
    with office.open() as ctx:
        release_hold(ctx, "Case-1", None)
    carry(office)
    assert "held" not in office.hidden()
    with office.open() as ctx:
        release_hold(ctx, "Case-2", None)
        session = run_all(ctx)
    if session.stopped_plan is not None:
        with office.open() as ctx:
            approve(ctx, session.stopped_plan.id, None)
            apply_plan(ctx, session.stopped_plan.id)
    assert office.hidden() == {"free", "held"}


def test_a_release_adds_nothing_to_a_plan_that_was_made_before_it(office: Office) -> None:
    due(office)
    hold(office, HELD)
    with office.open() as ctx:
        row = plan(ctx, "content").plan
        assert row is not None
        approve(ctx, row.id, None)
        release_hold(ctx, "Case-1", None)
        apply_plan(ctx, row.id)
    assert office.hidden() == {"free"}


def test_a_hold_names_its_account_only(office: Office) -> None:
    due(office)
    hold(office, Scope(accounts=("acct-hel", "acct-held ", "ACCT-HELD", "%")))
    carry(office, "content")
    assert office.hidden() == {"free", "held"}


def test_all_that_is_due_is_held(office: Office) -> None:
    office.request("held", 22, account="acct-held")
    hold(office, HELD)
    with office.open() as ctx:
        session = run_all(ctx)
    assert session.held
    assert session.carried == []
    assert office.hidden() == set()


@pytest.mark.parametrize(
    ("scope", "matter"),
    [
        (Scope(), "Case-1"),
        (Scope(keys=(b"held",)), "Case-1"),
        (Scope(dataset="nowhere", keys=(b"held",)), "Case-1"),
        (HELD, " "),
    ],
    ids=["nothing", "no-dataset", "unknown-dataset", "no-matter"],
)
def test_a_hold_that_would_hold_nothing_is_refused(office: Office, scope: Scope, matter: str) -> None:
    with office.open() as ctx, pytest.raises(UsageError):
        add_hold(ctx, scope, matter, "", None)


def test_a_release_of_an_unknown_matter_is_refused(office: Office) -> None:
    hold(office, HELD)
    with office.open() as ctx:
        with pytest.raises(NotFound):
            release_hold(ctx, "Case-10", None)
        assert [each.matter for each in list_holds(ctx)] == ["Case-1"]
