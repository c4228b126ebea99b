"""Slots: each is taken once, taken up again until it was finished, and has one end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from retentiond.ledger import SqlLedger
from retentiond.ports.rows import SlotRow
from tests.ledger.samples import NOW

ONE = timedelta(seconds=1)
SLOT = SlotRow("content \u202e", "main", NOW, NOW + ONE, "host/1")


def test_a_slot_is_taken_once_and_finished_once(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        assert tx.slots.newest(SLOT.policy, "main") is None
        assert tx.slots.take(SLOT)
    with ledger.begin() as tx:
        tx.slots.finish(SLOT, NOW + 2 * ONE, "done")
    with ledger.begin() as tx:
        assert not tx.slots.take(replace(SLOT, taken_by="host/2"))
        assert tx.slots.newest(SLOT.policy, "main") == replace(SLOT, finished_at=NOW + 2 * ONE, outcome="done")


def test_one_that_was_left_is_taken_up_by_another(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        assert tx.slots.take(SLOT)
    other = replace(SLOT, taken_at=NOW + 9 * ONE, taken_by="host/2")
    with ledger.begin() as tx:
        assert tx.slots.take(other)
        assert tx.slots.newest(SLOT.policy, "main") == other


def test_the_end_of_one_ends_those_that_were_missed_before_it_and_no_others(ledger: SqlLedger) -> None:
    earlier, later = replace(SLOT, slot=NOW - ONE), replace(SLOT, slot=NOW + ONE)
    elsewhere = replace(SLOT, schedule="1", slot=NOW - ONE)
    with ledger.begin() as tx:
        for each in (earlier, SLOT, later, elsewhere):
            assert tx.slots.take(each)
        tx.slots.finish(SLOT, NOW, "done")
        assert not tx.slots.take(earlier)
        assert not tx.slots.take(SLOT)
        assert tx.slots.take(later)
        assert tx.slots.take(elsewhere)


def test_old_ones_are_forgotten_but_never_the_newest(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        for back in range(5):
            tx.slots.take(replace(SLOT, slot=NOW - back * ONE))
        tx.slots.finish(SLOT, NOW, "done")
        tx.slots.forget(SLOT.policy, "main", NOW - 2 * ONE)
        assert not tx.slots.take(replace(SLOT, slot=NOW - 2 * ONE))
        assert tx.slots.take(replace(SLOT, slot=NOW - 3 * ONE))
        tx.slots.forget(SLOT.policy, "main", NOW + 9 * ONE)
        newest = tx.slots.newest(SLOT.policy, "main")
        assert newest is not None
        assert newest.slot == NOW
