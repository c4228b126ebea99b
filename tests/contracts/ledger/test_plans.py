from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from retentiond.domain.plan import RunState
from retentiond.errors import LedgerError, NotFound
from retentiond.ledger import SqlLedger
from tests.ledger import samples


def test_a_plan_is_found_by_id_and_by_hash_as_it_was_written(ledger: SqlLedger) -> None:
    row = samples.make_plan(ledger)
    with ledger.begin() as tx:
        assert tx.plans.get("plan-1") == row
        assert tx.plans.get(row.sha256) == row
        assert tx.plans.get("plan-2") is None


def test_parts_come_back_in_order(ledger: SqlLedger) -> None:
    parts = [samples.part(0), samples.part(1), samples.part(2)]
    with ledger.begin() as tx:
        tx.plans.begin_draft("plan-1", samples.NOW)
        tx.plans.finish_draft(samples.plan(), list(reversed(parts)))
        assert tx.plans.parts("plan-1") == parts
        assert tx.plans.parts("plan-2") == []


def test_a_plan_of_no_part_is_a_plan(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.plans.begin_draft("plan-1", samples.NOW)
        tx.plans.finish_draft(samples.plan(records=0, forecasts=(), reasons=()), [])
        assert tx.plans.parts("plan-1") == []


EARLIER = samples.NOW - timedelta(seconds=1)


@pytest.mark.parametrize(("names", "begun_by"), [(["draft", "plan-1", "nothing"], EARLIER), ([], samples.NOW)])
def test_a_draft_is_no_plan_and_is_discarded_with_its_batches(
    ledger: SqlLedger, names: list[str], begun_by: datetime
) -> None:
    kept = samples.make_plan(ledger)
    with ledger.begin() as tx:
        tx.plans.begin_draft("draft", samples.NOW)
        tx.batches.add(samples.batch(0, name="draft"), samples.PLAIN)
    with ledger.begin() as tx:
        assert tx.plans.get("draft") is None
        assert tx.plans.discard_drafts([], EARLIER) == 0
        assert len(tx.batches.of_plan("draft")) == 1
        assert tx.plans.discard_drafts(names, begun_by) == 1
        assert tx.plans.discard_drafts(names, begun_by) == 0
        assert tx.batches.of_plan("draft") == []
        with pytest.raises(NotFound):
            tx.batches.identifiers("draft", 0)
        assert len(tx.batches.of_plan(kept.id)) == 2
        assert tx.batches.identifiers(kept.id, 0) == samples.PLAIN


def test_a_draft_can_be_cut_back_to_an_ordinal(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.plans.begin_draft("draft", samples.NOW)
        tx.plans.begin_draft("other", samples.NOW)
        for ordinal in range(3):
            tx.batches.add(samples.batch(ordinal, name="draft"), samples.PLAIN)
            tx.batches.add(samples.batch(ordinal, name="other"), samples.PLAIN)
        tx.batches.drop_draft_from("draft", 1)
        assert [row.ordinal for row in tx.batches.of_plan("draft")] == [0]
        assert [row.ordinal for row in tx.batches.of_plan("other")] == [0, 1, 2]
        tx.batches.add(samples.batch(1, name="draft"), b"another")
        assert tx.batches.identifiers("draft", 1) == b"another"


def test_a_plan_takes_no_batch_more_and_none_less(ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    with pytest.raises(LedgerError, match="takes no more batches"), ledger.begin() as tx:
        tx.batches.add(samples.batch(7), samples.PLAIN)
    with pytest.raises(LedgerError, match="are history and stay"), ledger.begin() as tx:
        tx.batches.drop_draft_from("plan-1", 0)
    with ledger.begin() as tx:
        assert len(tx.batches.of_plan("plan-1")) == 2


def test_plans_are_listed_by_state_oldest_first(ledger: SqlLedger) -> None:
    for name in ("c", "a", "b", "d"):
        samples.make_plan(ledger, name)
    with ledger.begin() as tx:
        tx.plans.set_state("a", RunState.WAITING)
        tx.plans.set_state("d", RunState.RUNNING)
        assert [row.id for row in tx.plans.in_state(RunState.PLANNED, RunState.WAITING)] == ["c", "a", "b"]
        assert [row.id for row in tx.plans.in_state(RunState.RUNNING)] == ["d"]
        assert tx.plans.in_state() == []


def test_a_plan_serves_many_closures_and_a_closure_has_many_plans(ledger: SqlLedger) -> None:
    samples.make_plan(ledger, "of nobody")
    many = [f"closure-{number}" for number in range(1_200)]
    with ledger.begin() as tx:
        for name in many:
            tx.closures.add(samples.closure(name))
        for index, name in enumerate(("second", "first"), 10):
            tx.plans.begin_draft(name, samples.NOW)
            tx.plans.finish_draft(samples.plan(name, index), [], many if name == "first" else many[:1])
    with ledger.begin() as tx:
        pairs = tx.plans.of_closures(many)
        assert [plan for closure, plan in pairs if closure == many[0]] == ["second", "first"]
        assert {closure for closure, plan in pairs if plan == "first"} == set(many)
        assert sorted(tx.plans.closures_of("first")) == sorted(many)
        assert tx.plans.closures_of("of nobody") == []
        assert tx.plans.of_closures([]) == tx.plans.of_closures(["closure-x"]) == []


def test_a_state_for_a_plan_that_is_not_there_is_an_error(ledger: SqlLedger) -> None:
    with ledger.begin() as tx, pytest.raises(NotFound, match="there is no plan plan-9"):
        tx.plans.set_state("plan-9", RunState.DONE)


def test_a_closure_that_is_not_there_has_no_plans(ledger: SqlLedger) -> None:
    with pytest.raises(LedgerError, match=r"(?i)foreign key"), ledger.begin() as tx:  # noqa: PT012 - one transaction
        tx.plans.begin_draft("plan-1", samples.NOW)
        tx.plans.finish_draft(samples.plan(), [], ["closure-9"])
    with ledger.begin() as tx:
        assert tx.plans.get("plan-1") is None
