"""Chains: more is due than one plan holds. Who approves the first plan approves all of them, and exactly these."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from retentiond.cli.views import plan_document, session_document, session_exit
from retentiond.domain.plan import RunState
from retentiond.domain.record import Record
from retentiond.engine import chains, drafting
from retentiond.engine.approvals import approve, reject
from retentiond.engine.closures import close_account
from retentiond.engine.context import Context
from retentiond.engine.enforcement import carry_out
from retentiond.engine.identifiers import decode_records
from retentiond.engine.overview import status
from retentiond.engine.planning import Planned, expire_plans
from retentiond.engine.running import apply_plan, run_all
from retentiond.errors import (
    ApprovalError,
    ConnectorError,
    Exit,
    GuardStopped,
    Interrupted,
    LedgerError,
    UsageError,
)
from retentiond.evidence.canonical import canonical_json
from retentiond.evidence.envelope import Envelope, sign
from retentiond.ports.rows import PlanRow
from retentiond.ports.stores import Acted, Order, Window
from tests.engine.office import NOW, Office, Proxy, log_entries, outcomes, plan

HOSTILE = ("it's", 'say "no"', "../up", "%2e%2e", "\u202egnp", "🧹", "a\nb")


@pytest.fixture
def small(office: Office) -> Office:
    """Give an office whose plans hold three records."""
    office.edit("policies.yaml", "floor: 1 hour", "floor: 1 hour\nlimits: {chain_records: 3}")
    return office


def due(office: Office) -> set[str]:
    """Add seven requests that are due, and two that are not."""
    for name in HOSTILE:
        office.request(name, 3, account="acct-zero")
    office.request("young", 1, account="acct-zero")
    office.request("kept", 3)
    return set(HOSTILE)


def planned_chain(ctx: Context) -> tuple[PlanRow, ...]:
    planned = plan(ctx)
    assert planned.plan is not None
    return (planned.plan, *planned.chain)


def approved(office: Office) -> tuple[PlanRow, ...]:
    with office.open() as ctx:
        plans = planned_chain(ctx)
        approve(ctx, plans[0].id, None)
    return plans


def predicate(row: PlanRow) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(json.loads(row.envelope)["payload"]))["predicate"]
    return found


def states(office: Office, plans: tuple[PlanRow, ...]) -> list[RunState]:
    with office.open() as ctx, ctx.ledger.begin() as tx:
        return [found.state for each in plans if (found := tx.plans.get(each.id)) is not None]


def planned_records(ctx: Context, row: PlanRow) -> Iterator[tuple[str, Record]]:
    with ctx.ledger.begin() as tx:
        parts = tx.plans.parts(row.id)
        batches = [(parts[each.part].dataset, each.ordinal) for each in tx.batches.of_plan(row.id)]
        found = [(dataset, tx.batches.identifiers(row.id, ordinal)) for dataset, ordinal in batches]
    for dataset, identifiers in found:
        for record in decode_records(identifiers):
            yield dataset, record


def test_what_one_plan_cannot_hold_becomes_a_chain_that_its_first_plan_commits_to(small: Office) -> None:
    names = due(small)
    with small.open() as ctx:
        planned = plan(ctx)
        assert planned.plan is not None
        plans = (planned.plan, *planned.chain)
        named = [str(record.key[0]) for each in plans for _, record in planned_records(ctx, each)]
        assert list(ctx.ledger.check()) == []
    assert [each.records for each in plans] == [3, 3, 1]
    assert sorted(named) == sorted(names)
    assert predicate(plans[0])["chain"] == [each.sha256 for each in plans[1:]]
    assert [predicate(each).get("chainOf") for each in plans] == [None, plans[0].id, plans[0].id]
    assert [each.log_index for each in plans] == sorted(each.log_index for each in plans)
    assert all(f"plan\nsha256:{each.sha256}" in log_entries(small) for each in plans)
    document = plan_document(planned)
    assert document["chain"] == [{"plan": p.id, "sha256": p.sha256, "records": p.records} for p in plans[1:]]
    assert (document["records"], document["estimate"]["records"], document["estimate"]["plans"]) == (7, 7, 3)


def test_a_plan_that_holds_everything_says_nothing_of_chains(office: Office) -> None:
    due(office)
    with office.open() as ctx:
        (row,) = planned_chain(ctx)
    assert {"chain", "chainOf"}.isdisjoint(predicate(row))


def test_applying_the_first_carries_all_out_in_order_each_with_its_receipt(small: Office) -> None:
    due(small)
    plans = approved(small)
    with small.open() as ctx:
        session = apply_plan(ctx, plans[0].id)
        told_again = apply_plan(ctx, plans[0].sha256)
    assert small.rows() == {"young", "kept"}
    assert [each.plan.id for each in session.carried] == [each.id for each in plans]
    assert [run["receipt"] for run in session_document(session)["runs"]] == [
        run["receipt"] for run in session_document(told_again)["runs"]
    ]
    assert session_exit(session) is Exit.DONE
    assert session.overdue == 0
    bundles = {each.receipt.id: each for each in session.carried}
    for bundle in small.bundles():
        said = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))["predicate"]
        carried = bundles[said["receiptId"]]
        assert said["run"]["planEntry"] == {"index": carried.plan.log_index, "sha256": carried.plan.sha256}
        assert said["run"]["approvals"] is not None  # of the first plan, which covers it
    assert len(small.bundles()) == 3


def test_a_row_and_its_object_stand_in_one_plan(small: Office) -> None:
    for number in range(5):
        small.request(f"row-{number}", 3, account="acct-zero", payload=f"blob-{number}")
    with small.open() as ctx:
        plans = planned_chain(ctx)
        for row in plans:
            found = list(planned_records(ctx, row))
            objects = {str(record.key[0]) for dataset, record in found if dataset == "payloads"}
            assert objects == {name for dataset, record in found if dataset == "requests" for name in record.blobs}
        assert len(plans) == 5
        approve(ctx, plans[0].id, None)
        apply_plan(ctx, plans[0].id)
    assert small.rows() == set()
    assert small.blobs() == set()


def test_an_object_that_rows_of_two_plans_name_goes_with_the_last_of_them(small: Office) -> None:
    for number in range(4):
        small.request(f"row-{number}", 3, account="acct-zero", payload="shared")
    with small.open() as ctx:
        plans = planned_chain(ctx)
        approve(ctx, plans[0].id, None)
        carry_out(ctx, plans[0].id)
        assert small.blobs() == {"shared"}
        apply_plan(ctx, plans[0].id)
    assert len(plans) == 2
    assert small.rows() == set()
    assert small.blobs() == set()


def test_orphans_are_cut_into_plans_too(small: Office) -> None:
    for number in range(7):
        small.blob(f"orphan-{number}", days=40)
    rules = """
      - {when: {account: {in: zero}}, keep: 2 days}
      - {when: {flagged: true}, keep: 23 months, promise: {live: 2 years}}
      - {keep: 20 days, then: tombstone, grace: 5 days}"""
    small.edit("policies.yaml", rules, " [{keep: 20 days}]")
    plans = approved(small)
    assert [each.records for each in plans] == [3, 3, 1]
    with small.open() as ctx:
        apply_plan(ctx, plans[0].id)
    assert small.blobs() == set()


def test_a_plan_names_only_so_many_policies(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "POLICIES_LIMIT", 1)
    office.request("due", 3, account="acct-zero")
    office.request("young", 1, account="acct-zero")
    office.feedback(1, 31)
    office.feedback(9, 1)
    plans = approved(office)
    assert [[policy for policy, _ in each.policies] for each in plans] == [["content"], ["feedback"]]
    with office.open() as ctx:
        apply_plan(ctx, plans[0].id)
        office.request("later", 3, account="acct-zero")
        office.feedback(2, 31)
        again = plan(ctx)
    assert office.rows() == {"later", "young"}
    assert again.plan is not None
    assert again.plan.reasons == ()  # both policies were approved with the first plan


def test_caps_are_of_the_whole_chain(small: Office) -> None:
    small.edit("policies.yaml", "max_records: 1000, max_percent: 95", "max_records: 6, max_percent: 95")
    due(small)
    with small.open() as ctx:
        plans = planned_chain(ctx)
    assert max(each.records for each in plans) == 3
    assert any("7 records are due under content, more than max_records 6" in each for each in plans[0].reasons)


@pytest.mark.parametrize("verb", ["approve", "reject", "apply"])
def test_a_further_plan_is_not_approved_or_carried_out_by_itself(small: Office, verb: str) -> None:
    names = due(small)
    verbs = {
        "approve": lambda c, p: approve(c, p, None),
        "reject": lambda c, p: reject(c, p, None),
        "apply": apply_plan,
    }
    with small.open() as ctx:
        plans = planned_chain(ctx)
        with pytest.raises(UsageError) as caught:
            verbs[verb](ctx, plans[1].id)
        assert caught.value.remedy == f"name the first one: `retentiond {verb} {plans[0].id}`"
        with pytest.raises(GuardStopped) as stopped:
            carry_out(ctx, plans[1].id)
    assert stopped.value.guard == "approval"
    assert small.rows() >= names


def test_a_plan_that_no_first_plan_commits_to_is_not_covered_by_it(small: Office) -> None:
    due(small)
    plans = approved(small)
    with small.open() as ctx:
        statement = json.loads(base64.b64decode(json.loads(plans[1].envelope)["payload"]))
        statement["predicate"]["planId"] = "forged"
        envelope = sign(canonical_json(statement), ctx.issuer)
        with ctx.ledger.begin() as tx:
            tx.plans.begin_draft("forged", NOW)
            index = tx.entries.stage(b"retentiond/log-entry/v1\nplan\nsha256:%b\n" % envelope.sha256.encode())
            row = replace(plans[1], id="forged", sha256=envelope.sha256, log_index=index, state=RunState.PLANNED)
            row = replace(row, envelope=canonical_json(envelope.to_json()), records=0)
            tx.plans.finish_draft(row, [])
        with pytest.raises(LedgerError, match="does not name it"):
            carry_out(ctx, "forged")


def test_a_statement_that_is_not_the_logged_one_covers_nothing(small: Office) -> None:
    due(small)
    plans = approved(small)
    envelope = Envelope.from_json(json.loads(plans[0].envelope))
    longer = json.loads(envelope.payload)
    longer["predicate"]["chain"].append("0" * 64)
    forged = replace(envelope, payload=canonical_json(longer))
    with small.open() as ctx, ctx.ledger.begin() as tx, pytest.raises(LedgerError, match="not the one that was logged"):
        chains.whole(tx, replace(plans[0], envelope=canonical_json(forged.to_json())))


@pytest.mark.parametrize("way", ["rejected", "expired", "superseded"])
def test_what_voids_the_first_voids_all(small: Office, way: str) -> None:
    due(small)
    with small.open() as ctx:
        plans = planned_chain(ctx)
        if way == "rejected":
            reject(ctx, plans[0].id, None)
        elif way == "expired":
            small.clock.at += timedelta(hours=24)
            expire_plans(ctx)
        else:
            small.clock.at += timedelta(minutes=1)
            later = planned_chain(ctx)
            approve(ctx, later[0].id, None)
            apply_plan(ctx, later[0].id)
    assert states(small, plans) == [RunState.CANCELLED] * 3
    for each in plans:
        assert f"void {each.log_index} {way}\nsha256:{each.sha256}" in log_entries(small)


def stop_after(office: Office, batches: int) -> None:
    """Have the operator ask to stop after so many batches."""
    answers = iter([False] * batches)
    office.stop = lambda: next(answers, True)


def interrupted_after_the_first(office: Office) -> tuple[PlanRow, ...]:
    plans = approved(office)
    stop_after(office, 1)
    with office.open() as ctx, pytest.raises(Interrupted):
        apply_plan(ctx, plans[0].id)
    office.stop = lambda: False
    assert len(office.bundles()) == 1
    return plans


def test_a_chain_that_was_interrupted_goes_on_with_what_is_left(small: Office) -> None:
    due(small)
    plans = interrupted_after_the_first(small)
    small.clock.at += timedelta(days=3)  # far beyond plan_expires: a chain has begun with its first plan
    with small.open() as ctx:
        session = run_all(ctx)
    assert [each.plan.id for each in session.carried][:2] == [plans[1].id, plans[2].id]
    assert states(small, plans) == [RunState.DONE] * 3
    assert small.rows().isdisjoint(HOSTILE)


def test_what_an_unfinished_chain_is_busy_with_is_not_planned_again_and_stays_overdue(small: Office) -> None:
    due(small)
    interrupted_after_the_first(small)
    with small.open() as ctx:
        assert [each.overdue for each in status(ctx).policies if each.policy == "content"] == [4]
        with ctx.ledger.begin() as tx:
            tx.facts.set("overdue:content", f"0 - {NOW.isoformat()}")
        again: Planned = plan(ctx)
        found = status(ctx)
        overdue = {each.policy: each.overdue for each in found.policies}
    assert (found.pending, list(found.waiting)) == (4, [])
    assert again.plan is None
    assert again.left == ("requests",)
    assert "left to a run that was begun" in again.reasons[0]
    assert overdue["content"] == 4


def test_a_rejection_in_between_voids_what_was_not_begun(small: Office) -> None:
    due(small)
    plans = approved(small)
    with small.open() as ctx:
        carry_out(ctx, plans[0].id)
        reject(ctx, plans[0].id, None)
        session = apply_plan(ctx, plans[0].id)
    assert states(small, plans) == [RunState.DONE, RunState.CANCELLED, RunState.CANCELLED]
    assert [each.plan.id for each in session.carried] == [plans[0].id]
    assert "void" in session.failures[0].what
    assert session_exit(session) is Exit.PARTLY
    assert len(small.rows() & set(HOSTILE)) == 4


def test_a_policy_that_changed_in_between_ends_the_rest_and_the_next_plan_asks_again(small: Office) -> None:
    due(small)
    plans = approved(small)
    with small.open() as ctx:
        carry_out(ctx, plans[0].id)
    small.edit("policies.yaml", "keep: 20 days, then", "keep: 21 days, then")
    with small.open() as ctx:
        session = run_all(ctx)
    assert states(small, plans) == [RunState.DONE, RunState.CANCELLED, RunState.CANCELLED]
    assert any(isinstance(failure, ApprovalError) for failure in session.failures)
    assert session.stopped is not None
    assert "was not approved in its present form" in session.stopped.what
    assert session.overdue == 4
    assert len(small.rows() & set(HOSTILE)) == 4


class Died(BaseException):
    """The process is gone: nothing catches this."""


@pytest.mark.parametrize("verb", ["apply", "run"])
def test_a_process_that_died_within_the_second_plan_is_gone_on_with(small: Office, verb: str) -> None:
    due(small)
    plans = approved(small)
    calls = iter([False, True])

    class Dying(Proxy):
        def act(self, order: Order) -> Acted:
            acted = super().act(order)
            if next(calls, False):
                raise Died
            return acted

    small.wraps["app"] = Dying
    with small.open() as ctx, pytest.raises(Died):
        apply_plan(ctx, plans[0].id)
    small.wraps.clear()
    with small.open() as ctx:
        session = apply_plan(ctx, plans[0].id) if verb == "apply" else run_all(ctx)
        assert run_all(ctx).carried == []
        assert list(ctx.ledger.check()) == []
    assert len(session.carried) == (3 if verb == "apply" else 2)
    assert small.rows() == {"young", "kept"}
    assert len(small.bundles()) == 3


def test_a_dataset_that_fails_after_its_first_plan_is_taken_out_of_all(small: Office) -> None:
    due(small)
    for number in range(4):
        small.feedback(number, 31)

    class Breaking(Proxy):
        def scan(self, dataset: Any, *rest: Any) -> Iterator[Window]:
            yield from self.real.scan(dataset, *rest)
            if dataset.name == "requests":
                raise ConnectorError("the connection was lost")

    small.wraps["app"] = Breaking
    with small.open() as ctx:
        planned = plan(ctx)
        assert planned.plan is not None
        assert [name for name, _ in planned.failures] == ["requests"]
        assert [each.records for each in (planned.plan, *planned.chain)] == [3, 1]
        assert list(ctx.ledger.check()) == []
        approve(ctx, planned.plan.id, None)
        session = apply_plan(ctx, planned.plan.id)
    assert outcomes(session)["feedback"] == {"purged": 1}
    assert small.rows("feedback") == set()
    assert small.rows() >= set(HOSTILE)


def test_an_account_with_more_than_a_plan_holds_is_closed(small: Office) -> None:
    for number in range(7):
        small.request(f"own-{number}", 1, account="acct-x")
    small.request("other", 1)
    with small.open() as ctx:
        close_account(ctx, "acct-x", "asked for it", None)
        session = run_all(ctx)
    assert session.failures == []
    assert small.rows() == {"other"}
    assert [each.receipt.kind for each in session.carried] == ["run"] * 3
    with small.open() as ctx:
        assert status(ctx).closures == []
