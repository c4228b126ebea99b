"""Claims, records of the journal, changes that wait, and entries that are taken over from the log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retentiond.domain.account import AccountState
from retentiond.domain.plan import BatchState, RunState
from retentiond.errors import ClaimLost, LedgerError, NotFound
from retentiond.ledger import SqlLedger
from retentiond.ports.rows import JournalRow, PendingRow
from tests.ledger import samples
from tests.ledger.samples import HOSTILE, NOW

RECORD = JournalRow("a" * 64, b"\x00sealed\xff")


def started(ledger: SqlLedger) -> str:
    """Make a plan of two batches that is being carried out; return its id."""
    plan = samples.make_plan(ledger, counts=(2, 3))
    with ledger.begin() as tx:
        tx.plans.set_state(plan.id, RunState.RUNNING)
    return plan.id


def test_a_claim_is_in_flight_until_its_batch_ends_or_it_is_fenced_off(ledger: SqlLedger) -> None:
    plan = started(ledger)
    with ledger.begin() as tx:
        assert tx.claims.in_flight() == []
        token = tx.batches.claim(plan, 1, NOW)
        (claim,) = tx.claims.in_flight()
        assert claim == tx.claims.get(plan, 1)
        assert (claim.ordinal, claim.state, claim.token, claim.claimed_at) == (1, BatchState.CLAIMED, token, NOW)
        assert not tx.claims.fence_off(plan, 1, token + 1)
        assert tx.claims.fence_off(plan, 1, token)
        assert tx.claims.in_flight() == []
        assert tx.claims.get(plan, 1).state is BatchState.PLANNED
        assert not tx.claims.fence_off(plan, 1, token + 1)
    with pytest.raises(ClaimLost, match="claimed again"), ledger.begin() as tx:
        tx.batches.mark_acted(plan, 1, token)
    with ledger.begin() as tx:
        assert tx.batches.claim(plan, 1, NOW) == token + 2
        tx.batches.mark_acted(plan, 1, token + 2)
        assert [each.state for each in tx.claims.in_flight()] == [BatchState.ACTED]
        assert tx.claims.fence_off(plan, 1, token + 2)
    with pytest.raises(NotFound), ledger.begin() as tx:
        tx.claims.get(plan, 7)


def test_claims_of_plans_that_are_over_are_nobodys_business(ledger: SqlLedger) -> None:
    plan = started(ledger)
    with ledger.begin() as tx:
        tx.batches.claim(plan, 0, NOW)
        tx.plans.set_state(plan, RunState.CANCELLED)
        assert tx.claims.in_flight() == []


def test_a_record_is_delivered_in_steps_and_never_changed(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.journal.add(RECORD)
        tx.journal.add(JournalRow("b" * 64, b"", 0, written=True))
        assert [row.sha256 for row in tx.journal.undelivered()] == ["a" * 64]
        tx.journal.deliver(replace(RECORD, written=True))
        assert [row.sha256 for row in tx.journal.undelivered()] == ["a" * 64]
        tx.journal.deliver(replace(RECORD, log_index=1, written=True))
        assert tx.journal.undelivered() == []
        assert tx.journal.all()[0] == replace(RECORD, log_index=1, written=True)
        assert tx.journal.names() == {"a" * 64, "b" * 64}
    for again in (RECORD, JournalRow("c" * 64, b"", 1)):
        with pytest.raises(LedgerError, match="refuses a change"), ledger.begin() as tx:
            tx.journal.add(again)
    with pytest.raises(NotFound), ledger.begin() as tx:
        tx.journal.deliver(JournalRow("d" * 64, b""))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_change_waits_with_whatever_people_typed(ledger: SqlLedger, text: str) -> None:
    later, first = PendingRow(9, "hold-release", text, text, NOW), PendingRow(3, "closure", text, "", NOW)
    with ledger.begin() as tx:
        tx.pending.add(later)
        tx.pending.add(first)
        assert tx.pending.all() == [first, later]
        tx.pending.remove(3)
        assert tx.pending.all() == [later]
    with pytest.raises(LedgerError), ledger.begin() as tx:
        tx.pending.add(later)
    with pytest.raises(NotFound), ledger.begin() as tx:
        tx.pending.remove(3)


def test_entries_and_checkpoint_are_taken_over_without_a_gap(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        assert tx.entries.stage(b"own") == 0
        tx.recovery.adopt_entries(1, [b"one", b"two"])
        tx.recovery.adopt_entries(3, [])
        tx.recovery.adopt_checkpoint(b"first")
        tx.recovery.adopt_checkpoint(b"second")
        assert tx.entries.stage(b"next") == 3
        assert [tx.entries.at(index) for index in (0, 2, 3, 4)] == [b"own", b"two", b"next", None]
    assert list(ledger.log_state.entries(0, 10)) == [b"own", b"one", b"two", b"next"]
    assert ledger.log_state.checkpoint() == b"second"
    for start in (2, 7):
        with pytest.raises(LedgerError), ledger.begin() as tx:
            tx.recovery.adopt_entries(start, [b"other"])


def test_a_cancelled_closure_keeps_no_name(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.closures.add(samples.closure("closure-1"))
        tx.closures.cancel("closure-1")
        found = tx.closures.get("closure-1")
        assert found is not None
        assert (found.state, found.account_sealed) == (AccountState.OPEN, b"")
    with pytest.raises(NotFound), ledger.begin() as tx:
        tx.closures.cancel("closure-2")
