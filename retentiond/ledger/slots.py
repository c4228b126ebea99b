"""Slots of schedules. Each is one row, whose key keeps a second process from taking it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import and_, bindparam, delete, func, insert, select, update

from retentiond.ledger.schema import columns_of, slots
from retentiond.ledger.session import Session, values_of
from retentiond.ports.rows import SlotRow

_COLUMNS = columns_of(slots, SlotRow)
_OF_SCHEDULE = and_(slots.c.policy == bindparam("of_policy"), slots.c.schedule == bindparam("of_schedule"))
_THIS = and_(_OF_SCHEDULE, slots.c.slot == bindparam("of_slot"))
_NEWEST = select(*_COLUMNS).where(_OF_SCHEDULE).order_by(slots.c.slot.desc()).limit(1)
_GET = select(*_COLUMNS).where(_THIS)
_TAKE = insert(slots)
_TAKE_AGAIN = (
    update(slots)
    .where(_THIS, slots.c.finished_at.is_(None))
    .values(taken_at=bindparam("now"), taken_by=bindparam("new_taker"))
)
_FINISH = (
    update(slots)
    .where(_OF_SCHEDULE, slots.c.slot <= bindparam("of_slot"), slots.c.finished_at.is_(None))
    .values(finished_at=bindparam("now"), outcome=bindparam("new_outcome"))
)
_LAST = select(func.max(slots.c.slot)).where(_OF_SCHEDULE).scalar_subquery()
_FORGET = delete(slots).where(_OF_SCHEDULE, slots.c.slot < bindparam("before"), slots.c.slot < _LAST)


class SqlSlots:
    """Slots of schedules."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def newest(self, policy: str, schedule: str) -> SlotRow | None:
        """Return the newest slot of a schedule that was taken, or None."""
        row = self._session.row(_NEWEST, of_policy=policy, of_schedule=schedule)
        return None if row is None else SlotRow(**values_of(row))

    def take(self, slot: SlotRow) -> bool:
        """Take a slot, or take up one that was not finished; False where it was."""
        this = {"of_policy": slot.policy, "of_schedule": slot.schedule, "of_slot": slot.slot}
        if self._session.row(_GET, **this) is None:
            self._session.insert(_TAKE, asdict(slot))
            return True
        return self._session.change(_TAKE_AGAIN, **this, now=slot.taken_at, new_taker=slot.taken_by) == 1

    def finish(self, slot: SlotRow, at: datetime, outcome: str) -> None:
        """End a slot, and with it older ones of its schedule that were never finished."""
        self._session.change(
            _FINISH,
            of_policy=slot.policy,
            of_schedule=slot.schedule,
            of_slot=slot.slot,
            now=at,
            new_outcome=outcome,
        )

    def forget(self, policy: str, schedule: str, before: datetime) -> None:
        """Remove slots before a time, but never the newest."""
        self._session.change(_FORGET, of_policy=policy, of_schedule=schedule, before=before)
