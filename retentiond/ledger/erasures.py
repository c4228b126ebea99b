"""Requests for erasure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, null, select, update

from retentiond.domain.account import Remainder
from retentiond.domain.erasure import ENDED, ErasureState
from retentiond.ledger.closures import read, written
from retentiond.ledger.schema import columns_of, erasures, plan_erasures, plans, receipts, retractions
from retentiond.ledger.session import Session, values_of
from retentiond.ports.rows import ErasedRow, ErasureRow

_ADD = insert(erasures)
_ERASURES = select(*columns_of(erasures, ErasureRow))
_GET = _ERASURES.where(erasures.c.id == bindparam("reference"))
_OF_PERSON = _ERASURES.where(erasures.c.commitment.in_(bindparam("of_person", expanding=True))).order_by(
    erasures.c.sequence
)
_OF_ACCOUNT = _ERASURES.where(erasures.c.of_account.in_(bindparam("of_owner", expanding=True))).order_by(
    erasures.c.sequence
)
_IN_STATE = _ERASURES.where(erasures.c.state.in_(bindparam("states", expanding=True))).order_by(
    erasures.c.deadline_at, erasures.c.sequence
)
_CHANGE = update(erasures).where(erasures.c.id == bindparam("reference"))
_SET_STATE = _CHANGE.values(state=bindparam("new_state"))
_EXTEND = _CHANGE.values(extended_at=bindparam("moment"), deadline_at=erasures.c.last_at)
_BEGIN = _CHANGE.values(state=ErasureState.IN_PROGRESS, begun_at=bindparam("moment"))
_WRITE = _CHANGE.values(texts_sealed=bindparam("texts"))
_NOTE = _CHANGE.values(remainder=bindparam("found", type_=erasures.c.remainder.type))
_END = _CHANGE.values(
    state=bindparam("new_state"),
    ended_at=bindparam("moment"),
    receipt=bindparam("new_receipt"),
    subject_sealed=b"",
    remainder=null(),
)
_BEGUN_SINCE = select(func.count()).select_from(erasures).where(erasures.c.begun_at > bindparam("moment"))
_ERASED = (
    select(
        *(erasures.c[name] for name in ("sequence", "commitment", "of_account", "ended_at", "jurisdiction")),
        erasures.c.asked_at.label("requested_at"),
    )
    .outerjoin(receipts, receipts.c.id == erasures.c.receipt)
    .outerjoin(retractions, retractions.c.receipt_index == receipts.c.log_index)
    .where(erasures.c.state == ErasureState.DONE, retractions.c.receipt_index.is_(None))
    .order_by(erasures.c.sequence)
)
_ERASED_AFTER = _ERASED.where(erasures.c.sequence > bindparam("after")).limit(bindparam("most"))
_ERASED_OF = _ERASED.where(erasures.c.commitment.in_(bindparam("of_people", expanding=True)))
_FORGET = (
    update(erasures)
    .where(
        erasures.c.state.in_(ENDED),
        erasures.c.ended_at < bindparam("before"),
        func.length(erasures.c.texts_sealed) > 0,
    )
    .values(texts_sealed=b"")
)

_PLANS_OF = (
    select(plan_erasures.c.erasure, plan_erasures.c.plan)
    .join_from(plan_erasures, plans)
    .where(plan_erasures.c.erasure.in_(bindparam("of_erasures", expanding=True)))
    .order_by(plans.c.log_index)
)
_OF_PLAN = select(plan_erasures.c.erasure).where(plan_erasures.c.plan == bindparam("of_plan"))
_MOST_BOUND = 500


class SqlErasures:
    """Requests for erasure. Changes of one that is not there are NotFound."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, erasure: ErasureRow) -> None:
        """Store a request; LedgerError where its id is taken."""
        self._session.insert(_ADD, asdict(erasure))

    def get(self, erasure: str) -> ErasureRow | None:
        """Return a request by its id."""
        row = self._session.row(_GET, reference=erasure)
        return None if row is None else _erasure(row)

    def of_person(self, *commitments: str) -> Sequence[ErasureRow]:
        """Return the requests of a person by the person's commitments, one of each replay key, oldest first."""
        return [_erasure(row) for row in self._session.rows(_OF_PERSON, of_person=commitments)]

    def of_account(self, *commitments: str) -> Sequence[ErasureRow]:
        """Return the requests of an account and its users by the account's commitments, oldest first."""
        return [_erasure(row) for row in self._session.rows(_OF_ACCOUNT, of_owner=commitments)]

    def in_state(self, *states: ErasureState) -> Sequence[ErasureRow]:
        """Return requests in any of the states, by deadline."""
        return [_erasure(row) for row in self._session.rows(_IN_STATE, states=states)]

    def set_state(self, erasure: str, state: ErasureState) -> None:
        """Move a request to a state that is not its end."""
        self._session.change_one(f"erasure {erasure}", _SET_STATE, reference=erasure, new_state=state)

    def extend(self, erasure: str, at: datetime) -> None:
        """Have its deadline be the extended one."""
        self._session.change_one(f"erasure {erasure}", _EXTEND, reference=erasure, moment=at)

    def begin(self, erasure: str, at: datetime) -> None:
        """Begin to remove what it names."""
        self._session.change_one(f"erasure {erasure}", _BEGIN, reference=erasure, moment=at)

    def write(self, erasure: str, texts_sealed: bytes) -> None:
        """Put other texts in the place of those that were written of it."""
        self._session.change_one(f"erasure {erasure}", _WRITE, reference=erasure, texts=texts_sealed)

    def note(self, erasure: str, remainder: Remainder) -> None:
        """Keep what a look found of the person."""
        found = None if not remainder else written(remainder)
        self._session.change_one(f"erasure {erasure}", _NOTE, reference=erasure, found=found)

    def end(self, erasure: str, state: ErasureState, at: datetime, receipt: str = "") -> None:
        """End it: keep the commitments, destroy the sealed person."""
        what = f"erasure {erasure}"
        self._session.change_one(what, _END, reference=erasure, new_state=state, moment=at, new_receipt=receipt)

    def plans_of(self, erasures: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Return (erasure, plan) for each plan that serves one of the requests, each request's plans oldest first."""
        pieces = (erasures[start : start + _MOST_BOUND] for start in range(0, len(erasures), _MOST_BOUND))
        return [tuple(row) for some in pieces for row in self._session.rows(_PLANS_OF, of_erasures=some)]

    def of_plan(self, plan: str) -> Sequence[str]:
        """Return the requests that a plan serves."""
        return [row.erasure for row in self._session.rows(_OF_PLAN, of_plan=plan)]

    def begun_since(self, moment: datetime) -> int:
        """Return how many began after a time."""
        count: int = self._session.value(_BEGUN_SINCE, moment=moment)
        return count

    def erased(self, after: int, limit: int) -> Sequence[ErasedRow]:
        """Return requests that are done, by number, from after a number on; none whose receipt was taken back."""
        return [ErasedRow(**values_of(row)) for row in self._session.rows(_ERASED_AFTER, after=after, most=limit)]

    def erased_of(self, commitments: Sequence[str]) -> Sequence[ErasedRow]:
        """Return which of these commitments are of people whose data was erased, each request by itself."""
        return [ErasedRow(**values_of(row)) for row in self._session.rows(_ERASED_OF, of_people=list(commitments))]

    def forget_texts(self, before: datetime) -> int:
        """Destroy the texts of requests that ended before a time; return of how many."""
        return self._session.change(_FORGET, before=before)


def _erasure(row: Row[Any]) -> ErasureRow:
    values = values_of(row)
    found = values["remainder"]
    values["remainder"] = found and read(found)
    return ErasureRow(**values)
