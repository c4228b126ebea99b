"""Plans: what they count, when they need people, what they leave out, and that their digest is what they say."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import Cases
from retentiond.domain.hold import Scope
from retentiond.domain.plan import Forecast, RunState
from retentiond.engine.explaining import explain
from retentiond.engine.holds import add_hold
from retentiond.engine.identifiers import decode_records
from retentiond.engine.planning import expire_plans
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Window
from tests.engine.office import Office, Proxy, carry, log_entries, plan


def mixed(office: Office) -> None:
    """Make five requests: within their period, due to be hidden, due to go, held, and one that cannot be told."""
    office.request("young", 1)
    office.request("hide", 22)
    office.request("purge", 3, account="acct-zero")
    office.request("held", 22, account="acct-held")
    office.request("doubtful", 22, flagged=None)
    office.feedback(1, 31)
    office.feedback(2, 1)


def forecasts(office: Office) -> dict[str, Forecast]:
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=("acct-held",)), "Case-1", "", None)
        return {each.dataset: each for each in plan(ctx).forecasts}


def test_what_was_examined_is_due_kept_held_or_undetermined(office: Office) -> None:
    mixed(office)
    found = forecasts(office)
    requests = found["requests"]
    assert (requests.examined, requests.due, requests.kept, requests.held, requests.undetermined) == (5, 2, 1, 1, 1)
    assert requests.doubts == (("attribute-unknown", 1),)
    feedback = found["feedback"]
    assert (feedback.examined, feedback.due, feedback.kept) == (2, 1, 1)


def test_nothing_due_makes_no_plan(office: Office) -> None:
    office.request("young", 1)
    with office.open() as ctx:
        planned = plan(ctx)
    assert planned.plan is None
    assert [each.due for each in planned.forecasts] == [0, 0, 0]


def test_an_approved_policy_inside_its_caps_needs_nobody(office: Office) -> None:
    mixed(office)
    carry(office)
    office.request("hide-2", 22)
    office.feedback(3, 31)
    with office.open() as ctx:
        planned = plan(ctx)
    assert planned.plan is not None
    assert (planned.plan.state, planned.plan.reasons) == (RunState.PLANNED, ())


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("policies.yaml", "keep: 20 days", "keep: 19 days"),
        ("policies.yaml", "keep: 20 days", "keep: 21 days"),
        ("policies.yaml", "max_percent: 95", "max_percent: 96"),
        ("policies.yaml", "[acct-zero]", "[acct-zero, acct-b]"),
        ("datamap.yaml", "earliest: 2023-01-01", "earliest: 2022-01-01"),
    ],
    ids=["shorter", "longer", "cap", "list", "dataset"],
)
def test_every_change_of_policy_dataset_or_list_needs_approval_again(
    office: Office, name: str, old: str, new: str
) -> None:
    office.request("hide", 22)
    carry(office, "content")
    office.request("hide-2", 22)
    office.edit(name, old, new)
    with office.open() as ctx:
        planned = plan(ctx, "content")
    assert planned.plan is not None
    assert planned.plan.state is RunState.WAITING
    assert any("requests was not approved in its present form" in reason for reason in planned.reasons)


def test_a_plan_over_its_share_needs_approval(office: Office) -> None:
    office.edit("policies.yaml", "max_records: 1000, max_percent: 95", "max_records: 1000, max_percent: 10")
    for number in range(9):
        office.request(f"young-{number}", 1)
    office.request("hide-0", 22)
    carry(office, "content")
    office.request("hide-1", 22)
    office.request("hide-2", 22)
    with office.open() as ctx:
        planned = plan(ctx, "content")
    assert planned.plan is not None
    assert planned.plan.state is RunState.WAITING
    assert any("max_percent 10" in reason for reason in planned.reasons)


def test_a_plan_over_its_number_needs_approval(office: Office) -> None:
    office.edit("policies.yaml", "max_records: 1000, max_percent: 95", "max_records: 1, max_percent: 100")
    office.request("hide-0", 22)
    carry(office, "content")
    office.request("hide-1", 22)
    office.request("hide-2", 22)
    with office.open() as ctx:
        planned = plan(ctx, "content")
    assert planned.plan is not None
    assert planned.plan.state is RunState.WAITING
    assert any("max_records 1" in reason for reason in planned.reasons)


class Broken(Proxy):
    """Fails in the middle of the scan of the table of requests."""

    def scan(self, dataset: Dataset, cases: Cases, wanted: frozenset[int]) -> Iterator[Window]:
        for window in self.real.scan(dataset, cases, wanted):
            yield window
            if dataset.name == "requests":
                raise ConnectorError("the connection was lost", where="app")


def test_a_dataset_that_fails_is_left_out_and_the_others_are_planned(office: Office) -> None:
    mixed(office)
    office.wraps["app"] = Broken
    with office.open() as ctx:
        planned = plan(ctx)
        assert planned.plan is not None
        assert [name for name, _ in planned.failures] == ["requests"]
        assert "the connection was lost" in planned.reasons[-1]
        with ctx.ledger.begin() as tx:
            parts = [part.dataset for part in tx.plans.parts(planned.plan.id)]
    assert parts == ["feedback"]
    assert planned.plan.records == 1


def test_when_no_dataset_can_be_read_planning_fails(office: Office) -> None:
    mixed(office)
    office.wraps["app"] = Broken
    with office.open() as ctx, pytest.raises(ConnectorError, match="connection was lost"):
        plan(ctx, "content")


def test_absurd_clocks_refuse_their_dataset_only(office: Office) -> None:
    mixed(office)
    office.request("future", -30)
    with office.open() as ctx:
        planned = plan(ctx)
    ((name, why),) = planned.failures
    assert name == "requests"
    assert "more than 0.1 %" in why
    assert planned.plan is not None
    assert planned.plan.records == 1


def test_few_absurd_clocks_are_counted_and_kept(office: Office) -> None:
    with office.db() as db:
        rows = [(f"row-{number}", "acct-a", office.ago(22)) for number in range(999)]
        db.executemany("INSERT INTO requests (id, account, created, flagged) VALUES (?, ?, ?, 0)", rows)
    office.request("ancient", 9_000)
    with office.open() as ctx:
        found = {each.dataset: each for each in plan(ctx).forecasts}["requests"]
    assert (found.due, found.undetermined, found.doubts) == (999, 1, (("clock-out-of-range", 1),))


def test_a_row_hidden_in_the_far_future_is_a_doubt_once_it_is_old_and_never_a_date(office: Office) -> None:
    office.request("old", 40)
    office.request("young", 1)
    office.request("hidden", 40)
    office.hide("hidden", 1)
    with office.db() as db:
        db.execute("UPDATE requests SET deleted = '9999-12-31T23:59:59Z' WHERE deleted IS NULL AND id <> 'hidden'")
    with office.open() as ctx:
        found = {each.dataset: each for each in plan(ctx).forecasts}["requests"]
        assert (found.due, found.undetermined, found.doubts) == (0, 1, (("tombstone-out-of-range", 1),))
        told = [explain(ctx, "requests", key)[0] for key in ("old", "young", "hidden")]
    assert [(each.disposition.value, each.due_at is None) for each in told] == [
        ("undetermined", True),
        ("keep", True),
        ("keep", False),
    ]


def test_a_row_with_more_objects_than_a_plan_holds_keeps_its_dataset_out_and_no_other(office: Office) -> None:
    office.edit("policies.yaml", "floor: 1 hour", "floor: 1 hour\nlimits: {chain_records: 1}")
    office.request("with-payload", 3, account="acct-zero", payload="payload")
    office.feedback(1, 31)
    with office.open() as ctx:
        planned = plan(ctx)
    assert [name for name, _ in planned.failures] == ["requests"]
    assert "which go together; a plan holds 1" in planned.failures[0][1]
    assert "limits.chain_records" in planned.failures[0][1]
    assert planned.plan is not None
    assert [policy for policy, _ in planned.plan.policies] == ["feedback"]


def test_an_expired_plan_is_void_and_the_log_says_so(office: Office) -> None:
    mixed(office)
    with office.open() as ctx:
        planned = plan(ctx)
        assert planned.plan is not None
        office.clock.at += timedelta(hours=23, minutes=59)
        expire_plans(ctx)
        assert "void" not in log_entries(office)
        office.clock.at += timedelta(minutes=1)
        expire_plans(ctx)
        with ctx.ledger.begin() as tx:
            after = tx.plans.get(planned.plan.id)
    assert after is not None
    assert after.state is RunState.CANCELLED
    kind = f"void {planned.plan.log_index} expired\nsha256:{planned.plan.sha256}"
    assert kind in log_entries(office)


def test_the_plans_digest_is_over_its_nonce_and_every_item_in_its_order(office: Office) -> None:
    mixed(office)
    office.request("blob", 3, account="acct-zero", payload="dir/blob")
    office.request("quote'\u202e", 22)
    with office.open() as ctx:
        row = plan(ctx).plan
        assert row is not None
        with ctx.ledger.begin() as tx:
            parts = tx.plans.parts(row.id)
            batches = [
                (parts[b.part].dataset, tx.batches.identifiers(row.id, b.ordinal)) for b in tx.batches.of_plan(row.id)
            ]
    digest = hashlib.sha256(row.nonce)
    items = 0
    for dataset, identifiers in batches:
        for record in decode_records(identifiers):
            for text in (dataset.encode(), str(record.key[0]).encode(), record.version):
                digest.update(len(text).to_bytes(4, "big") + text)
            items += 1
    statement: dict[str, Any] = json.loads(base64.b64decode(json.loads(row.envelope)["payload"]))
    assert statement["predicate"]["records"] == {"count": items, "sha256": digest.hexdigest()}
    assert items == row.records == 7


def test_a_plan_stands_in_the_log_before_anybody_gets_it(office: Office) -> None:
    mixed(office)
    with office.open() as ctx:
        row = plan(ctx).plan
    assert row is not None
    assert f"plan\nsha256:{row.sha256}" in log_entries(office)


def test_an_approved_policy_needs_nobody_when_it_is_alone_in_a_later_plan(office: Office) -> None:
    mixed(office)
    carry(office)
    office.feedback(3, 31)
    with office.open() as ctx:
        alone = plan(ctx)
    assert alone.plan is not None
    assert [policy for policy, _ in alone.plan.policies] == ["feedback"]
    assert alone.plan.reasons == ()
