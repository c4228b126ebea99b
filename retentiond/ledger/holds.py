"""Legal holds and their epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Executable, LargeBinary, Row, bindparam, func, insert, select, update

from retentiond.ledger.schema import columns_of, hold_epoch, holds
from retentiond.ledger.session import Session, values_of
from retentiond.ledger.trouble import translated
from retentiond.ports.rows import HoldRow

_PLAIN = b"\x00"  # what an older program left begins with it; sealed bytes begin with their version
_ADD = insert(holds)
_IN_FORCE = update(holds).where(holds.c.id == bindparam("reference"), holds.c.released_at.is_(None))
_RELEASE = _IN_FORCE.values(released_at=bindparam("at"))
_REVIEW = _IN_FORCE.values(review_at=bindparam("at"))
_NOTE = (
    update(holds)
    .where(holds.c.id == bindparam("reference"))
    .values(removed_meanwhile=bindparam("removed"), may_be_gone=bindparam("may_be"))
)
_ALL = select(*columns_of(holds, HoldRow)).order_by(holds.c.sequence)
_ACTIVE = _ALL.where(holds.c.released_at.is_(None))
_IS_PLAIN = func.substr(holds.c.sealed, 1, 1) == bindparam("plain", _PLAIN, type_=LargeBinary())
_UNSEALED = _ALL.where(_IS_PLAIN)
_SEAL = update(holds).where(holds.c.id == bindparam("reference"), _IS_PLAIN).values(sealed=bindparam("bytes"))
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

    def add(self, *rows: HoldRow) -> None:
        """Place holds and raise the epoch; LedgerError where an id is taken."""
        self._lock_to_change()
        self._session.insert(_ADD, [asdict(row) for row in rows])
        self._raise_epoch()

    def release(self, hold: str, at: datetime) -> None:
        """Release a hold and raise the epoch.

        Raises:
            NotFound: No such hold is in force.
        """
        self._lock_to_change()
        self._session.change_one(f"hold {hold} in force", _RELEASE, reference=hold, at=at)
        self._raise_epoch()

    def set_review(self, hold: str, at: datetime | None) -> None:
        """Note when a hold in force is to be reviewed; what it holds does not change.

        Raises:
            NotFound: No such hold is in force.
        """
        self._session.change_one(f"hold {hold} in force", _REVIEW, reference=hold, at=at)

    def note_removed(self, hold: str, removed: int, may_be_gone: int) -> None:
        """Note how much of what a hold names was removed before it came."""
        self._session.change_one(f"hold {hold}", _NOTE, reference=hold, removed=removed, may_be=may_be_gone)

    def active(self) -> Sequence[HoldRow]:
        """Return the holds in force, oldest first."""
        locked_epoch(self._session)
        return self._rows(_ACTIVE)

    def all(self) -> Sequence[HoldRow]:
        """Return every hold that was ever placed, oldest first."""
        return self._rows(_ALL)

    def unsealed(self) -> Sequence[HoldRow]:
        """Return the holds of older programs, which stand there as they were typed."""
        return self._rows(_UNSEALED)

    def seal(self, hold: str, sealed: bytes) -> None:
        """Put sealed bytes in the place of what an older program left plain; once that was done, do nothing."""
        self._session.change(_SEAL, reference=hold, bytes=sealed)

    def epoch(self) -> int:
        """Return the epoch, read under the lock that changes of holds take."""
        return locked_epoch(self._session)

    def _rows(self, query: Executable) -> list[HoldRow]:
        rows: Sequence[Row[Any]] = self._session.rows(query)
        with translated(self._session.where):
            return [HoldRow(**values_of(row)) for row in rows]

    def _lock_to_change(self) -> None:
        # Entries and events of the change follow; in this order, two changes cannot wait for each other.
        self._session.lock_appends()
        self._session.epoch = self._session.value(_EPOCH_TO_CHANGE)

    def _raise_epoch(self) -> None:
        self._session.change_one("row for the epoch of holds", _RAISE_EPOCH)
        self._session.epoch = None
