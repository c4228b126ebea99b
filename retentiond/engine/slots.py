"""Which slots of which schedules are due, and taking them: the ledger decides, whoever asks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from retentiond.domain.slot import schedules, slot_of
from retentiond.engine.context import Context
from retentiond.ports.rows import SlotRow

_KEPT = timedelta(days=30)


def due_slots(ctx: Context, now: datetime, taker: str) -> list[SlotRow]:
    """Return the present slot of each schedule, unless it was finished; those that were missed are caught up by it."""
    due = []
    with ctx.ledger.begin() as tx:
        for policy in ctx.policies.policies.values():
            for name, schedule in schedules(policy).items():
                at, known = slot_of(schedule, now), tx.slots.newest(policy.id, name)
                if known is None or known.slot < at or known.finished_at is None:
                    due.append(SlotRow(policy.id, name, at if known is None else max(at, known.slot), now, taker))
    return due


def take_slots(ctx: Context, due: Iterable[SlotRow]) -> list[SlotRow]:
    """Take what is still to be had. Whoever calls this acts, so that what another took and left is taken up."""
    with ctx.ledger.begin() as tx:
        return [slot for slot in due if tx.slots.take(slot)]


def finish_slots(ctx: Context, taken: Iterable[SlotRow], outcome: str) -> None:
    """End slots, and forget those of long ago."""
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        for slot in taken:
            tx.slots.finish(slot, now, outcome)
            tx.slots.forget(slot.policy, slot.schedule, now - _KEPT)
