"""Claims of batches, and the fence against whoever still holds one."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, bindparam, select, update

from retentiond.domain.plan import BatchState, RunState
from retentiond.errors import NotFound
from retentiond.ledger.schema import batches, columns_of, plans
from retentiond.ledger.session import Session, values_of
from retentiond.ports.rows import ClaimRow

_FLYING = (BatchState.CLAIMED, BatchState.ACTED)
_THIS = and_(batches.c.plan == bindparam("of_plan"), batches.c.ordinal == bindparam("at_ordinal"))
_CLAIMS = select(*columns_of(batches, ClaimRow))
_GET = _CLAIMS.where(_THIS)
_IN_FLIGHT = (
    _CLAIMS.join(plans, plans.c.id == batches.c.plan)
    .where(batches.c.state.in_(_FLYING), plans.c.state.in_((RunState.RUNNING, RunState.STOPPED)))
    .order_by(plans.c.log_index, batches.c.ordinal)
)
_FENCE_OFF = (
    update(batches)
    .where(_THIS, batches.c.token == bindparam("under_token"), batches.c.state.in_(_FLYING))
    .values(token=batches.c.token + 1, state=BatchState.PLANNED)
)


class SqlClaims:
    """Claims of batches."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, plan: str, ordinal: int) -> ClaimRow:
        """Return the newest claim of a batch.

        Raises:
            NotFound: There is no such batch.
        """
        row = self._session.row(_GET, of_plan=plan, at_ordinal=ordinal)
        if row is None:
            what = f"there is no batch {ordinal} of plan {plan}"
            raise NotFound(what, where=self._session.where, remedy="`retentiond status` lists plans and runs")
        return ClaimRow(**values_of(row))

    def in_flight(self) -> Sequence[ClaimRow]:
        """Return the claims of all batches that were claimed and have not ended."""
        return [ClaimRow(**values_of(row)) for row in self._session.rows(_IN_FLIGHT)]

    def fence_off(self, plan: str, ordinal: int, token: int) -> bool:
        """Take a batch from the holder of a claim; False when its token is not the newest, or the batch has ended."""
        return self._session.change(_FENCE_OFF, of_plan=plan, at_ordinal=ordinal, under_token=token) == 1
