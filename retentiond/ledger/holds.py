"""Legal holds and their epoch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update

from retentiond.domain.hold import Hold
from retentiond.domain.scopes import read_scope, write_scope
from retentiond.ledger.schema import columns_of, hold_epoch, holds
from retentiond.ledger.session import Session, values_of
from retentiond.ledger.trouble import translated

_ADD = insert(holds)
_RELEASE = (
    update(holds)
    .where(holds.c.id == bindparam("reference"), holds.c.released_at.is_(None))
    .values(released_at=bindparam("at"))
)
_ACTIVE = select(*columns_of(holds, Hold)).where(holds.c.released_at.is_(None)).order_by(holds.c.sequence)
_EPOCH = select(hold_epoch.c.epoch)
_EPOCH_SHARED = _EPOCH.with_for_update(read=True)
_EPOCH_TO_CHANGE = _EPOCH.with_for_update()  # SQLite has no such locks, and needs none
_RAISE_EPOCH = update(hold_epoch).values(epoch=hold_epoch.c.epoch + 1)


def locked_epoch(session: Session) -> int:
    """Return the epoch of holds, which nobody else changes until this transaction ends."""
    if session.epoch is None:
        session.epoch = session.value(_EPOCH_SHARED if session.shared else _EPOCH)
    return session.epoch or 0


class SqlHolds:
    """Legal holds and their epoch.

    Of a claim and a change of holds, one sees the other: a transaction is alone, or else who reads holds or claims a
    batch locks the epoch FOR SHARE and who changes holds FOR UPDATE, before it reads or writes anything else of them.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, hold: Hold) -> None:
        """Place a hold and raise the epoch; LedgerError where its id is taken."""
        self._lock_to_change()
        row = {
            "id": hold.id,
            "matter": hold.matter,
            "scope": write_scope(hold.scope),
            "placed_at": hold.placed_at,
            "reason": hold.reason,
        }
        self._session.insert(_ADD, row)
        self._raise_epoch()

    def release(self, hold: str, at: datetime) -> None:
        """Release a hold and raise the epoch.

        Raises:
            NotFound: No such hold is in force.
        """
        self._lock_to_change()
        self._session.change_one(f"hold {hold} in force", _RELEASE, reference=hold, at=at)
        self._raise_epoch()

    def active(self) -> Sequence[Hold]:
        """Return the holds in force, oldest first."""
        locked_epoch(self._session)
        rows = self._session.rows(_ACTIVE)
        with translated(self._session.where):
            return [_hold(row) for row in rows]

    def epoch(self) -> int:
        """Return the epoch, read under the lock that changes of holds take."""
        return locked_epoch(self._session)

    def _lock_to_change(self) -> None:
        # Entries and events of the change follow; in this order, two changes cannot wait for each other.
        self._session.lock_appends()
        self._session.epoch = self._session.value(_EPOCH_TO_CHANGE)

    def _raise_epoch(self) -> None:
        self._session.change_one("row for the epoch of holds", _RAISE_EPOCH)
        self._session.epoch = None


def _hold(row: Row[Any]) -> Hold:
    values = values_of(row)
    return Hold(**{**values, "scope": read_scope(values["scope"])})
