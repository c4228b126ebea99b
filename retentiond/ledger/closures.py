"""Account closures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Executable, Row, bindparam, func, insert, null, select, update

from retentiond.domain.account import AccountState, KeptPart, Remainder
from retentiond.evidence.canonical import rfc3339
from retentiond.ledger.schema import closures, columns_of, receipts, retractions
from retentiond.ledger.session import Session, values_of
from retentiond.ports.rows import ClosedRow, ClosureRow

_ADD = insert(closures)
_CLOSURES = select(*columns_of(closures, ClosureRow))
_GET = _CLOSURES.where(closures.c.id == bindparam("reference"))
_NEWEST_OF = (
    _CLOSURES.where(closures.c.commitment.in_(bindparam("of_account", expanding=True)))
    .order_by(closures.c.sequence.desc())
    .limit(1)
)
_IN_STATE = _CLOSURES.where(closures.c.state.in_(bindparam("states", expanding=True))).order_by(
    closures.c.deadline_at, closures.c.sequence
)
_CHANGE = update(closures).where(closures.c.id == bindparam("reference"))
_SET_STATE = _CHANGE.values(state=bindparam("new_state"))
_BEGIN = _CHANGE.values(state=AccountState.CLOSING, begun_at=bindparam("moment"))
_NOTE = _CHANGE.values(remainder=bindparam("found", type_=closures.c.remainder.type))
_CLOSE = _CHANGE.values(
    state=AccountState.CLOSED, account_sealed=b"", receipt=bindparam("new_receipt"), remainder=null()
)
_CANCEL = _CHANGE.values(state=AccountState.OPEN, account_sealed=b"")
# Of one whose receipt is lost with an older ledger, its grace's end is known: not later than its own.
_CLOSED = (
    select(
        closures.c.sequence,
        closures.c.commitment,
        func.coalesce(receipts.c.issued_at, closures.c.due_at, type_=closures.c.due_at.type).label("ended_at"),
        closures.c.requested_at,
        closures.c.jurisdiction,
    )
    .outerjoin(receipts, receipts.c.id == closures.c.receipt)
    .outerjoin(retractions, retractions.c.receipt_index == receipts.c.log_index)
    .where(closures.c.state == AccountState.CLOSED, retractions.c.receipt_index.is_(None))
    .order_by(closures.c.sequence)
)
_CLOSED_AFTER = _CLOSED.where(closures.c.sequence > bindparam("after")).limit(bindparam("most"))
_CLOSED_OF = _CLOSED.where(closures.c.commitment.in_(bindparam("of_accounts", expanding=True)))
_BEGUN_SINCE = select(func.count()).select_from(closures).where(closures.c.begun_at > bindparam("moment"))


class SqlClosures:
    """Account closures."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, closure: ClosureRow) -> None:
        """Store a closure; LedgerError where its id is taken."""
        self._session.insert(_ADD, asdict(closure))

    def newest_of(self, *commitments: str) -> ClosureRow | None:
        """Return an account's newest closure by the account's commitments, one of each replay key."""
        return self._one(_NEWEST_OF, of_account=commitments)

    def get(self, closure: str) -> ClosureRow | None:
        """Return a closure by its id."""
        return self._one(_GET, reference=closure)

    def in_state(self, *states: AccountState) -> Sequence[ClosureRow]:
        """Return closures in any of the states, by deadline."""
        return [_closure(row) for row in self._session.rows(_IN_STATE, states=states)]

    def set_state(self, closure: str, state: AccountState) -> None:
        """Move a closure to a state; NotFound where there is no such closure."""
        self._session.change_one(f"closure {closure}", _SET_STATE, reference=closure, new_state=state)

    def begin(self, closure: str, at: datetime) -> None:
        """Begin to close it: its grace is over; NotFound where there is no such closure."""
        self._session.change_one(f"closure {closure}", _BEGIN, reference=closure, moment=at)

    def note(self, closure: str, remainder: Remainder) -> None:
        """Keep what a look found of the account; NotFound where there is no such closure."""
        found = None if not remainder else written(remainder)
        self._session.change_one(f"closure {closure}", _NOTE, reference=closure, found=found)

    def cancel(self, closure: str) -> None:
        """Cancel it: the account is open again, and its sealed name is destroyed; NotFound where there is none."""
        self._session.change_one(f"closure {closure}", _CANCEL, reference=closure)

    def close(self, closure: str, receipt: str) -> None:
        """Close it: keep the commitment, destroy the sealed account; NotFound where there is no such closure."""
        self._session.change_one(f"closure {closure}", _CLOSE, reference=closure, new_receipt=receipt)

    def closed(self, after: int, limit: int) -> Sequence[ClosedRow]:
        """Return closures that ended, by number, from after a number on; none whose receipt was taken back."""
        return [ClosedRow(**values_of(row)) for row in self._session.rows(_CLOSED_AFTER, after=after, most=limit)]

    def closed_of(self, commitments: Sequence[str]) -> Sequence[ClosedRow]:
        """Return which of these commitments are of accounts that are closed, each closure by itself."""
        return [ClosedRow(**values_of(row)) for row in self._session.rows(_CLOSED_OF, of_accounts=list(commitments))]

    def begun_since(self, moment: datetime) -> int:
        """Return how many closures began after a time."""
        count: int = self._session.value(_BEGUN_SINCE, moment=moment)
        return count

    def _one(self, query: Executable, **values: object) -> ClosureRow | None:
        row = self._session.row(query, **values)
        return None if row is None else _closure(row)


def _closure(row: Row[Any]) -> ClosureRow:
    values = values_of(row)
    found = values["remainder"]
    values["remainder"] = found and read(found)
    return ClosureRow(**values)


def written(remainder: Remainder) -> dict[str, Any]:
    """Return what is left of an account or a person as the ledger keeps it."""
    kept = [{**asdict(part), "first": rfc3339(part.first), "until": rfc3339(part.until)} for part in remainder.kept]
    return {**asdict(remainder), "unseen": list(remainder.unseen), "kept": kept}


def read(found: Mapping[str, Any]) -> Remainder:
    """Return what `written` wrote; dates that an older program did not know are none."""
    dates = ("first", "until")
    parts = ({**part, **{name: datetime.fromisoformat(part[name]) for name in dates}} for part in found.get("kept", ()))
    return Remainder(**{**found, "unseen": tuple(found["unseen"]), "kept": tuple(KeptPart(**each) for each in parts)})
