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
_RAISE_EPOCH = update(hold_epoch).values(epoch=hold_epoch.c.epoch + 1)


class SqlHolds:
    """Legal holds and their epoch. Each transaction holds the ledger's one write lock, so none can race another."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, hold: Hold) -> None:
        """Place a hold and raise the epoch; LedgerError where its id is taken."""
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
        self._session.change_one(f"hold {hold} in force", _RELEASE, reference=hold, at=at)
        self._raise_epoch()

    def active(self) -> Sequence[Hold]:
        """Return the holds in force, oldest first."""
        rows = self._session.rows(_ACTIVE)
        with translated(self._session.where):
            return [_hold(row) for row in rows]

    def epoch(self) -> int:
        """Return the epoch, read under the lock that changes of holds take."""
        epoch: int = self._session.value(_EPOCH)
        return epoch

    def _raise_epoch(self) -> None:
        self._session.change_one("row for the epoch of holds", _RAISE_EPOCH)


def _hold(row: Row[Any]) -> Hold:
    values = values_of(row)
    return Hold(**{**values, "scope": read_scope(values["scope"])})
