from __future__ import annotations

from dataclasses import replace

import pytest

from retentiond.domain.plan import BatchState, RunState
from retentiond.errors import LedgerError, NotFound
from retentiond.ledger import SqlLedger
from retentiond.ports.rows import BatchRow
from tests.ledger import samples
from tests.ledger.samples import NOW, PLAIN, SEALED, later


def ended(row: BatchRow, token: int, state: BatchState = BatchState.VERIFIED) -> BatchRow:
    return replace(row, state=state, token=token, outcomes={"purged": row.count}, reason="")


@pytest.fixture
def planned(ledger: SqlLedger) -> SqlLedger:
    samples.make_plan(ledger)
    return ledger


def test_batches_come_back_in_order_with_their_identifiers(planned: SqlLedger) -> None:
    with planned.begin() as tx:
        assert tx.batches.of_plan("plan-1") == [samples.batch(0, 3), samples.batch(1, 2)]
        assert tx.batches.identifiers("plan-1", 1) == PLAIN
        assert tx.batches.token("plan-1", 0) == 0


def test_a_claim_raises_the_token_and_a_second_claim_takes_over(planned: SqlLedger) -> None:
    with planned.begin() as tx:
        assert tx.batches.claim("plan-1", 0, NOW) == 1
        assert tx.batches.claim("plan-1", 0, NOW) == 2
        assert tx.batches.token("plan-1", 0) == 2
        assert tx.batches.token("plan-1", 1) == 0
        assert [row.state for row in tx.batches.of_plan("plan-1")] == [BatchState.CLAIMED, BatchState.PLANNED]


def test_a_batch_that_was_acted_on_is_claimed_again_after_a_crash(planned: SqlLedger) -> None:
    with planned.begin() as tx:
        tx.batches.mark_acted("plan-1", 0, tx.batches.claim("plan-1", 0, NOW))
    with planned.begin() as tx:
        assert tx.batches.of_plan("plan-1")[0].state is BatchState.ACTED
        assert tx.batches.claim("plan-1", 0, NOW) == 2


def test_an_older_claim_can_neither_act_nor_finish(planned: SqlLedger) -> None:
    with planned.begin() as tx:
        old, new = tx.batches.claim("plan-1", 0, NOW), tx.batches.claim("plan-1", 0, NOW)
        row = tx.batches.of_plan("plan-1")[0]
        with pytest.raises(LedgerError, match=f"claimed again under token {new}; token {old} must not act"):
            tx.batches.mark_acted("plan-1", 0, old)
        with pytest.raises(LedgerError, match="must not act"):
            tx.batches.finish(ended(row, old), SEALED, NOW)
        assert tx.batches.identifiers("plan-1", 0) == PLAIN
        tx.batches.mark_acted("plan-1", 0, new)
        tx.batches.finish(ended(row, new), SEALED, NOW)


def test_nobody_acts_without_a_claim(planned: SqlLedger) -> None:
    with planned.begin() as tx, pytest.raises(LedgerError, match="batch 0 of plan plan-1 is planned"):
        tx.batches.mark_acted("plan-1", 0, 0)


def test_the_batches_of_a_draft_cannot_be_claimed(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.plans.begin_draft("draft", NOW)
        tx.batches.add(samples.batch(0, name="draft"), PLAIN)
        with pytest.raises(LedgerError, match="its plan is not finished"):
            tx.batches.claim("draft", 0, NOW)
        assert tx.batches.token("draft", 0) == 0


def test_a_finished_batch_keeps_its_outcomes_and_only_sealed_identifiers(planned: SqlLedger) -> None:
    with planned.begin() as tx:
        token = tx.batches.claim("plan-1", 0, NOW)
        final = replace(
            tx.batches.of_plan("plan-1")[0],
            state=BatchState.CARRIED_OVER,
            outcomes={"purged": 1, "carriedOver": 2},
            reason="it's locked; 'til\u202e later",
        )
        tx.batches.finish(final, SEALED, NOW)
    with planned.begin() as tx:
        assert tx.batches.of_plan("plan-1")[0] == replace(final, token=token)
        assert tx.batches.identifiers("plan-1", 0) == SEALED
        assert tx.batches.identifiers("plan-1", 1) == PLAIN


def test_a_batch_that_nobody_claimed_can_be_carried_over(planned: SqlLedger) -> None:
    with planned.begin() as tx:
        row = tx.batches.of_plan("plan-1")[1]
        tx.batches.finish(ended(row, 0, BatchState.CARRIED_OVER), SEALED, NOW)
        assert tx.batches.of_plan("plan-1")[1].state is BatchState.CARRIED_OVER


def test_a_batch_ends_once(planned: SqlLedger) -> None:
    with planned.begin() as tx:
        row = ended(tx.batches.of_plan("plan-1")[0], tx.batches.claim("plan-1", 0, NOW))
        tx.batches.finish(row, SEALED, NOW)
        with pytest.raises(LedgerError, match="is verified"):
            tx.batches.finish(row, b"other", NOW)
        with pytest.raises(LedgerError, match="it has ended: verified"):
            tx.batches.claim("plan-1", 0, NOW)
        assert tx.batches.identifiers("plan-1", 0) == SEALED


def test_a_batch_does_not_end_in_a_state_that_is_no_end(planned: SqlLedger) -> None:
    with planned.begin() as tx:
        row = ended(tx.batches.of_plan("plan-1")[0], tx.batches.claim("plan-1", 0, NOW), BatchState.ACTED)
        with pytest.raises(ValueError, match="does not end as acted"):
            tx.batches.finish(row, SEALED, NOW)
        with pytest.raises(ValueError, match="does not end as acted"):
            tx.batches.amend(row, SEALED)


def test_outcomes_are_amended_until_there_is_a_receipt(planned: SqlLedger) -> None:
    with planned.begin() as tx:
        row = ended(tx.batches.of_plan("plan-1")[0], tx.batches.claim("plan-1", 0, NOW))
        with pytest.raises(LedgerError, match="has not ended"):
            tx.batches.amend(row, SEALED)
        tx.batches.finish(row, SEALED, NOW)
        amended = replace(row, state=BatchState.CARRIED_OVER, outcomes={"carriedOver": 3}, reason="it came back")
        tx.batches.amend(amended, b"sealed anew")
        assert tx.batches.of_plan("plan-1")[0] == amended
        assert tx.batches.identifiers("plan-1", 0) == b"sealed anew"
        tx.runs.add(samples.run())
        tx.receipts.add(samples.receipt())
        with pytest.raises(LedgerError, match="has a receipt"):
            tx.batches.amend(row, SEALED)


def test_receipted_are_those_that_verified(planned: SqlLedger) -> None:
    with planned.begin() as tx:
        first, second = tx.batches.of_plan("plan-1")
        tx.batches.finish(ended(first, tx.batches.claim("plan-1", 0, NOW)), SEALED, NOW)
        tx.batches.finish(ended(second, 0, BatchState.CARRIED_OVER), SEALED, NOW)
        tx.batches.set_receipted("plan-1")
        states = [row.state for row in tx.batches.of_plan("plan-1")]
    assert states == [BatchState.RECEIPTED, BatchState.CARRIED_OVER]


def test_sealed_identifiers_are_destroyed_after_their_time_and_only_with_a_receipt(ledger: SqlLedger) -> None:
    samples.make_plan(ledger, "receipted")
    samples.carry_out(ledger, "receipted")
    samples.make_plan(ledger, "without")
    with ledger.begin() as tx:
        row = ended(tx.batches.of_plan("without")[0], tx.batches.claim("without", 0, NOW))
        tx.batches.finish(row, SEALED, NOW)
    with ledger.begin() as tx:
        assert tx.batches.destroy_identifiers(NOW) == 0  # they ended at that time, not before it
        assert tx.batches.destroy_identifiers(later(seconds=1)) == 2
        assert tx.batches.destroy_identifiers(later(days=9)) == 0
        with pytest.raises(LedgerError, match="were destroyed"):
            tx.batches.identifiers("receipted", 1)
        assert tx.batches.identifiers("without", 0) == SEALED
        assert tx.batches.identifiers("without", 1) == PLAIN


def test_a_cancelled_plan_gives_up_the_identifiers_that_nobody_claimed(planned: SqlLedger) -> None:
    with planned.begin() as tx:
        tx.batches.claim("plan-1", 0, NOW)
        assert tx.batches.destroy_identifiers(later(days=8)) == 0
        tx.plans.set_state("plan-1", RunState.CANCELLED)
        assert tx.batches.destroy_identifiers(later(days=7)) == 0  # it may be of use until it expires
        assert tx.batches.destroy_identifiers(later(days=8)) == 1
        assert tx.batches.identifiers("plan-1", 0) == PLAIN
        with pytest.raises(LedgerError, match="were destroyed"):
            tx.batches.identifiers("plan-1", 1)


@pytest.mark.parametrize(("plan", "ordinal"), [("plan-1", 9), ("plan-9", 0)])
def test_a_batch_that_is_not_there_is_named(planned: SqlLedger, plan: str, ordinal: int) -> None:
    row = ended(samples.batch(ordinal, name=plan), 1)
    with planned.begin() as tx:
        for ask in (
            lambda: tx.batches.identifiers(plan, ordinal),
            lambda: tx.batches.claim(plan, ordinal, NOW),
            lambda: tx.batches.token(plan, ordinal),
            lambda: tx.batches.mark_acted(plan, ordinal, 1),
            lambda: tx.batches.finish(row, SEALED, NOW),
            lambda: tx.batches.amend(row, SEALED),
        ):
            with pytest.raises(NotFound, match=f"there is no batch {ordinal} of plan {plan}"):
                ask()
