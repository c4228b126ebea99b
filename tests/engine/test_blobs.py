"""Objects that rows name: they go before their rows, and stay for any row that stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from retentiond.domain.hold import Scope
from retentiond.domain.plan import Outcome
from retentiond.engine.approvals import approve
from retentiond.engine.context import Context
from retentiond.engine.holds import add_hold
from retentiond.engine.running import apply_plan
from retentiond.ports.stores import Acted, Order
from tests.engine.office import Office, Proxy, carry, outcomes, plan


@contextmanager
def approved(office: Office) -> Iterator[tuple[Context, str]]:
    """Plan and approve; what the test then changes happens between plan and act."""
    with office.open() as ctx:
        planned = plan(ctx)
        assert planned.plan is not None
        approve(ctx, planned.plan.id, None)
        yield ctx, planned.plan.id


def test_a_payload_goes_before_the_row_that_names_it(office: Office) -> None:
    office.request("old", 3, account="acct-zero", payload="old")
    office.request("new", 1, account="acct-zero", payload="new")
    seen: list[set[str]] = []

    class Watching(Proxy):
        def act(self, order: Order) -> Acted:
            seen.append(office.blobs())
            return super().act(order)

    office.wraps["app"] = Watching
    carry(office)
    assert seen == [{"new"}]
    assert (office.rows(), office.blobs()) == ({"new"}, {"new"})


def test_a_shared_payload_stays_while_a_kept_row_names_it(office: Office) -> None:
    office.request("old", 3, account="acct-zero", payload="shared")
    office.request("young", 1, account="acct-zero", payload="shared")
    carry(office)
    assert (office.rows(), office.blobs()) == ({"young"}, {"shared"})
    office.clock.at = office.clock.at.replace(day=4)
    carry(office)
    assert (office.rows(), office.blobs()) == (set(), set())


def test_a_payload_is_hidden_with_its_row_and_gone_with_it(office: Office) -> None:
    office.request("row", 22, payload="row")
    carry(office)
    assert (office.rows(), office.hidden(), office.blobs()) == ({"row"}, {"row"}, set())
    assert list((office.root / "payloads" / ".quarantine").rglob("row"))
    office.clock.at = office.clock.at.replace(day=8)
    carry(office)
    assert office.rows() == set()
    assert not list((office.root / "payloads").rglob("row"))


def test_a_row_whose_payload_cannot_be_removed_stays(office: Office) -> None:
    office.request("stuck", 3, account="acct-zero", payload="dir/stuck")
    office.request("bare", 3, account="acct-zero")

    class Refusing(Proxy):
        def act(self, order: Order) -> Acted:
            return Acted([Outcome.REFUSED] * len(order.records), dict.fromkeys(range(len(order.records)), "locked"))

    office.wraps["disk"] = Refusing
    session = carry(office)
    assert (office.rows(), office.blobs()) == ({"stuck"}, {"dir/stuck"})
    assert outcomes(session)["requests"] == {"purged": 1, "carriedOver": 1}
    assert session.overdue == 2


def test_a_row_that_is_flagged_after_the_plan_keeps_its_payload(office: Office) -> None:
    office.request("flagged", 40, payload="flagged")
    office.hide("flagged", 10)
    office.request("plain", 40, payload="plain")
    office.hide("plain", 10)
    with approved(office) as (ctx, plan_id):
        with office.db() as db:
            db.execute("UPDATE requests SET flagged = 1, deleted = NULL WHERE id = 'flagged'")
        session = apply_plan(ctx, plan_id)
    assert (office.rows(), office.blobs()) == ({"flagged"}, {"flagged"})
    assert outcomes(session)["payloads"] == {"purged": 1, "changed": 1}
    assert outcomes(session)["requests"]["purged"] == 1


@pytest.mark.parametrize("account", ["acct-a", "acct-zero"])
def test_a_shared_payload_stays_when_a_row_of_another_rule_is_held_after_the_plan(office: Office, account: str) -> None:
    # Both rows are due, under two rules, so they stand in two groups; the payload goes with the later one.
    office.request("first", 40, payload="shared")
    office.hide("first", 10)
    office.request("second", 3, account="acct-zero", payload="shared")
    with approved(office) as (ctx, plan_id):
        add_hold(ctx, Scope(accounts=(account,)), "Case-1", "", None)
        apply_plan(ctx, plan_id)
    held = {"acct-a": "first", "acct-zero": "second"}[account]
    assert held in office.rows()
    assert office.blobs() == {"shared"}


def test_a_shared_payload_stays_when_a_row_of_another_rule_is_flagged_after_the_plan(office: Office) -> None:
    office.request("first", 3, account="acct-zero", payload="shared")
    office.request("second", 40, payload="shared")
    office.hide("second", 10)
    with approved(office) as (ctx, plan_id):
        with office.db() as db:
            db.execute("UPDATE requests SET created = ? WHERE id = 'first'", (office.ago(1),))
        apply_plan(ctx, plan_id)
    assert (office.rows(), office.blobs()) == ({"first", "second"}, {"shared"})
    carry(office)
    assert (office.rows(), office.blobs()) == ({"first"}, {"shared"})


def test_a_payload_that_no_row_names_goes_by_its_own_clock(office: Office) -> None:
    office.edit(
        "policies.yaml",
        "      - {when: {flagged: true}, keep: 23 months, promise: {live: 2 years}}\n",
        "",
    )
    office.edit("policies.yaml", "      - {when: {account: {in: zero}}, keep: 2 days}\n", "")
    office.edit("policies.yaml", "lists: {zero: [acct-zero]}\n", "")
    office.edit("policies.yaml", "keep: 20 days, then: tombstone, grace: 5 days", "keep: 20 days")
    office.blob("old", 21)
    office.blob("young", 19)
    office.request("row", 1, payload="named")
    office.blob("named", 400)
    carry(office)
    assert office.blobs() == {"young", "named"}


def test_a_payload_under_a_hold_keeps_its_row(office: Office) -> None:
    office.request("held", 3, account="acct-zero", payload="held")
    office.request("free", 3, account="acct-zero", payload="free")
    with office.open() as ctx:
        add_hold(ctx, Scope(dataset="payloads", keys=(b"held",)), "Case-1", "", None)
        planned = plan(ctx)
    assert planned.plan is not None
    assert planned.plan.records == 2
    carry(office)
    assert (office.rows(), office.blobs()) == ({"held"}, {"held"})


def test_a_held_payload_of_two_rows_is_counted_once(office: Office) -> None:
    office.request("one", 3, account="acct-zero", payload="held")
    office.request("two", 3, account="acct-zero", payload="held")
    with office.open() as ctx:
        add_hold(ctx, Scope(dataset="payloads", keys=(b"held",)), "Case-1", "", None)
        counts = {each.dataset: each for each in plan(ctx).forecasts}
    assert (counts["payloads"].held, counts["payloads"].kept) == (1, 0)
    assert counts["requests"].held == 2


def test_a_payload_that_a_row_written_after_the_plan_names_stays(office: Office) -> None:
    office.request("old", 3, account="acct-zero", payload="same-content")
    with approved(office) as (ctx, plan_id):
        office.request("new", 0, payload="same-content")
        apply_plan(ctx, plan_id)
    assert office.blobs() == {"same-content"}
    assert "new" in office.rows()
