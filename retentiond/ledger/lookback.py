"""Ended batches by the time at which they ended: what a store that went back may have brought back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, bindparam, select

from retentiond.domain.plan import BatchState
from retentiond.ledger.schema import batch_identifiers, batches, columns_of
from retentiond.ledger.session import Session, values_of
from retentiond.ports.rows import BatchRow, EndedRow

_ENDED_SINCE = (
    select(*columns_of(batches, BatchRow), batch_identifiers.c.sealed.is_not(None).label("readable"))
    .join(
        batch_identifiers,
        and_(batch_identifiers.c.plan == batches.c.plan, batch_identifiers.c.ordinal == batches.c.ordinal),
    )
    .where(
        batches.c.state.in_((BatchState.VERIFIED, BatchState.RECEIPTED)),
        batches.c.ended_at >= bindparam("moment"),
    )
    .order_by(batches.c.ended_at, batches.c.plan, batches.c.ordinal)
)


class SqlLookback:
    """Batches that were verified."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def ended_since(self, moment: datetime) -> Sequence[EndedRow]:
        """Return the batches that were verified at or after a time, oldest first, and whether each can be read."""
        found = []
        for row in self._session.rows(_ENDED_SINCE, moment=moment):
            values = values_of(row)
            readable = bool(values.pop("readable"))
            found.append(EndedRow(BatchRow(**values), readable))
        return found
