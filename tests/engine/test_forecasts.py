"""Forecasts and comparisons: what will go, what an edit would remove more; neither is a plan or leaves a trace."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from retentiond.domain.hold import Scope
from retentiond.domain.plan import RunState
from retentiond.engine.approvals import approve
from retentiond.engine.comparing import Difference, compare
from retentiond.engine.holds import add_hold
from retentiond.engine.planning import forecast
from retentiond.errors import UsageError
from retentiond.settings import read_canonical
from tests.engine.office import Office, carry, log_entries, plan


def traces(office: Office) -> tuple[object, ...]:
    with office.open() as ctx, ctx.ledger.begin() as tx:
        plans, events = tx.plans.in_state(*RunState), tx.events.newest(1000)
        overdue = tx.facts.get("overdue:content")
        drafts = tx.plans.discard_drafts([], office.clock.at)
        return len(plans), len(events), overdue, drafts, log_entries(office)


def due(office: Office, days: float) -> dict[str, tuple[int, int]]:
    """Give, by dataset, how many will be due and held in so many days."""
    with office.open() as ctx:
        found = forecast(ctx, (), office.clock.at + timedelta(days=days))
    assert found.plan is None
    return {each.dataset: (each.due, each.held) for each in found.forecasts}


def test_a_forecast_says_what_will_be_due_and_leaves_no_trace(office: Office) -> None:
    for number, days in enumerate((1, 10, 15, 30)):
        office.request(str(number), days, payload=f"p{number}")
        office.feedback(number, days)
    carry(office, "content")
    before = traces(office)
    now, soon, later = due(office, 0), due(office, 6), due(office, 40)
    assert now == {"requests": (0, 0), "payloads": (0, 0), "feedback": (0, 0)}
    assert soon == {"requests": (2, 0), "payloads": (2, 0), "feedback": (1, 0)}
    assert later == {"requests": (4, 0), "payloads": (4, 0), "feedback": (4, 0)}
    assert traces(office) == before


def test_a_forecast_subtracts_what_is_held_now(office: Office) -> None:
    office.request("held", 1, account="acct-h")
    office.request("free", 1)
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=("acct-h",)), "Case 1", "", None)
    assert due(office, 30)["requests"] == (1, 1)


def test_a_forecast_of_the_past_is_none(office: Office) -> None:
    with office.open() as ctx, pytest.raises(UsageError, match="is over"):
        forecast(ctx, (), office.clock.at - timedelta(seconds=1))
    with office.open() as ctx, pytest.raises(UsageError, match="is over"):
        compare(ctx, (), office.clock.at - timedelta(seconds=1))
    with office.open() as ctx, pytest.raises(UsageError, match="no policy"):
        forecast(ctx, ("nothing",), office.clock.at)
    with office.open() as ctx, pytest.raises(UsageError, match="no policy"):
        compare(ctx, ("nothing",))


def differences(office: Office, *policies: str, at: datetime | None = None) -> dict[str, Difference]:
    with office.open() as ctx:
        return {each.dataset: each for each in compare(ctx, policies, at)[1]}


def in_force(office: Office) -> None:
    """Have the policies approved as they stand, with rows of many ages in the store."""
    office.request("first", 3, account="acct-zero")
    office.feedback(100, 31)
    with office.open() as ctx:
        row = plan(ctx).plan
        assert row is not None
        approve(ctx, row.id, None)
    office.request("plain-12", 12)
    office.request("plain-18", 18)
    office.request("plain-30", 30)
    office.request("flagged-18", 18, flagged=1)
    office.request("zero-3", 3, account="acct-zero")
    office.request("unknown-18", 18, flagged=None)


def test_without_an_edit_nothing_differs(office: Office) -> None:
    in_force(office)
    found = differences(office)
    assert set(found) == {"requests", "feedback"}
    assert not any(each.changed or each.more or each.less for each in found.values())


def test_a_shorter_period_says_how_much_more_and_the_oldest_of_it(office: Office) -> None:
    in_force(office)
    office.edit("policies.yaml", "keep: 20 days, then", "keep: 15 days, then")
    before = traces(office)
    found = differences(office)["requests"]
    assert (found.changed, found.more, found.less) == (True, 1, 0)
    assert found.oldest == office.clock.at - timedelta(days=18)
    assert not differences(office)["feedback"].changed
    assert traces(office) == before
    later = differences(office, at=office.clock.at + timedelta(days=4))["requests"]
    assert (later.more, later.oldest) == (1, office.clock.at - timedelta(days=12))


def test_a_longer_period_says_how_much_less(office: Office) -> None:
    in_force(office)
    office.edit("policies.yaml", "keep: 20 days, then", "keep: 34 days, then")
    found = differences(office, "content")["requests"]
    assert (found.more, found.less, found.oldest) == (0, 1, None)


def test_what_would_be_purged_and_was_to_be_hidden_is_more(office: Office) -> None:
    in_force(office)
    office.edit("policies.yaml", "- {keep: 20 days, then: tombstone, grace: 5 days}", "- {keep: 20 days}")
    found = differences(office)["requests"]
    assert (found.more, found.oldest) == (1, office.clock.at - timedelta(days=30))


def test_a_flag_that_keeps_no_longer_and_what_is_held(office: Office) -> None:
    in_force(office)
    office.request("held-18", 18, account="acct-h", flagged=1)
    office.edit("policies.yaml", "keep: 23 months, promise: {live: 2 years}", "keep: 17 days")
    assert differences(office)["requests"].more == 2
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=("acct-h",)), "Case 1", "", None)
    assert differences(office)["requests"].more == 1


def test_where_nothing_was_ever_approved_all_that_is_due_is_more(office: Office) -> None:
    office.request("due", 30)
    found = differences(office)["requests"]
    assert (found.in_force, found.changed, found.more) == ("", True, 1)


def test_a_policy_in_force_that_asks_for_what_is_no_more_is_said_so(office: Office) -> None:
    in_force(office)
    office.edit("datamap.yaml", "    attributes: {flagged: flagged}\n", "")
    office.edit("policies.yaml", "      - {when: {flagged: true}, keep: 23 months, promise: {live: 2 years}}\n", "")
    assert "can't be read any more" in differences(office)["requests"].trouble


def test_a_canonical_form_is_read_again_as_the_policy_that_it_is(office: Office) -> None:
    with office.open() as ctx:
        for policy in ctx.policies.policies.values():
            again = read_canonical(policy.canonical, ctx.datamap, ctx.policies)
            assert again == policy
            assert again.sha256 == policy.sha256


def test_accounts_that_stand_in_a_condition_are_those_of_today(office: Office) -> None:
    office.edit("policies.yaml", "{account: {in: zero}}", "{account: {in: [a, b]}}")
    with office.open() as ctx:
        policy = ctx.policies.policies["content"]
        assert b'"a"' not in policy.canonical
        assert read_canonical(policy.canonical, ctx.datamap, ctx.policies).rules[0].when == policy.rules[0].when
