"""Account closures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Executable, bindparam, func, insert, select, update

from retentiond.domain.account import AccountState
from retentiond.ledger.schema import closures, columns_of
from retentiond.ledger.session import Session, values_of
from retentiond.ports.rows import ClosureRow

_ADD = insert(closures)
_CLOSURES = select(*columns_of(closures, ClosureRow))
_GET = _CLOSURES.where(closures.c.id == bindparam("reference"))
_NEWEST_OF = (
    _CLOSURES.where(closures.c.commitment == bindparam("of_account")).order_by(closures.c.sequence.desc()).limit(1)
)
_IN_STATE = _CLOSURES.where(closures.c.state.in_(bindparam("states", expanding=True))).order_by(
    closures.c.deadline_at, closures.c.sequence
)
_CHANGE = update(closures).where(closures.c.id == bindparam("reference"))
_SET_STATE = _CHANGE.values(state=bindparam("new_state"))
_CLOSE = _CHANGE.values(state=AccountState.CLOSED, account_sealed=b"", receipt=bindparam("new_receipt"))
_CANCEL = _CHANGE.values(state=AccountState.OPEN, account_sealed=b"")
_SINCE = (
    select(func.count())
    .select_from(closures)
    .where(
        closures.c.due_at >= bindparam("moment"),
        closures.c.state.in_((AccountState.CLOSING, AccountState.CLOSED)),
    )
)


class SqlClosures:
    """Account closures."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, closure: ClosureRow) -> None:
        """Store a closure; LedgerError where its id is taken."""
        self._session.insert(_ADD, asdict(closure))

    def newest_of(self, commitment: str) -> ClosureRow | None:
        """Return an account's newest closure by the account's commitment."""
        return self._one(_NEWEST_OF, of_account=commitment)

    def get(self, closure: str) -> ClosureRow | None:
        """Return a closure by its id."""
        return self._one(_GET, reference=closure)

    def in_state(self, *states: AccountState) -> Sequence[ClosureRow]:
        """Return closures in any of the states, by deadline."""
        return [ClosureRow(**values_of(row)) for row in self._session.rows(_IN_STATE, states=states)]

    def set_state(self, closure: str, state: AccountState) -> None:
        """Move a closure to a state; NotFound where there is no such closure."""
        self._session.change_one(f"closure {closure}", _SET_STATE, reference=closure, new_state=state)

    def cancel(self, closure: str) -> None:
        """Cancel it: the account is open again, and its sealed name is destroyed; NotFound where there is none."""
        self._session.change_one(f"closure {closure}", _CANCEL, reference=closure)

    def close(self, closure: str, receipt: str) -> None:
        """Close it: keep the commitment, destroy the sealed account; NotFound where there is no such closure."""
        self._session.change_one(f"closure {closure}", _CLOSE, reference=closure, new_receipt=receipt)

    def since(self, moment: datetime) -> int:
        """Return how many closures began removal-due at or after a time and are closing or closed."""
        count: int = self._session.value(_SINCE, moment=moment)
        return count

    def _one(self, query: Executable, **values: object) -> ClosureRow | None:
        row = self._session.row(query, **values)
        return None if row is None else ClosureRow(**values_of(row))
