"""Batches: the unit of intent, claim, recovery and progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, insert, or_, select, tuple_, update

from retentiond.domain.account import AccountState
from retentiond.domain.plan import BatchState, RunState
from retentiond.errors import ClaimLost, LedgerError, NotFound
from retentiond.ledger.holds import locked_epoch
from retentiond.ledger.schema import batch_identifiers, batches, closures, columns_of, plan_closures, plans, receipts
from retentiond.ledger.session import Session, values_of
from retentiond.ports.rows import BatchRow

_OPEN = (BatchState.PLANNED, BatchState.CLAIMED, BatchState.ACTED)
_ENDED = (BatchState.VERIFIED, BatchState.CARRIED_OVER)
_THIS = and_(batches.c.plan == bindparam("of_plan"), batches.c.ordinal == bindparam("at_ordinal"))
_THESE_IDENTIFIERS = and_(
    batch_identifiers.c.plan == bindparam("of_plan"), batch_identifiers.c.ordinal == bindparam("at_ordinal")
)
_UNDER_TOKEN = batches.c.token == bindparam("under_token")
_HAS_RECEIPT = exists().where(receipts.c.plan == batches.c.plan)

_ADD = insert(batches)
_ADD_IDENTIFIERS = insert(batch_identifiers)
_DROP_FROM = tuple(
    delete(table).where(table.c.plan == bindparam("of_plan"), table.c.ordinal >= bindparam("from_ordinal"))
    for table in (batch_identifiers, batches)
)
_BATCHES = select(*columns_of(batches, BatchRow)).order_by(batches.c.ordinal)
_OF_PLAN = _BATCHES.where(batches.c.plan == bindparam("of_plan"))
_GET = _BATCHES.where(_THIS)
_IDENTIFIERS = select(batch_identifiers.c.plain, batch_identifiers.c.sealed).where(_THESE_IDENTIFIERS)

_CLAIM = (
    update(batches)
    .where(_THIS, batches.c.state.in_(_OPEN), exists().where(plans.c.id == batches.c.plan))
    .values(token=batches.c.token + 1, state=BatchState.CLAIMED, claimed_at=bindparam("now"))
    .returning(batches.c.token)
)
_MARK_ACTED = (
    update(batches)
    .where(_THIS, _UNDER_TOKEN, batches.c.state.in_((BatchState.CLAIMED, BatchState.ACTED)))
    .values(state=BatchState.ACTED)
)
_RESULT: dict[str, ColumnElement[Any]] = {
    "state": bindparam("new_state"),
    "outcomes": bindparam("new_outcomes"),
    "reason": bindparam("new_reason"),
}
_FINISH = (
    update(batches).where(_THIS, _UNDER_TOKEN, batches.c.state.in_(_OPEN)).values(**_RESULT, ended_at=bindparam("now"))
)
_AMEND = update(batches).where(_THIS, batches.c.state.in_(_ENDED), ~_HAS_RECEIPT).values(**_RESULT)
_SEAL = update(batch_identifiers).where(_THESE_IDENTIFIERS).values(plain=None, sealed=bindparam("new_sealed"))
_SET_RECEIPTED = (
    update(batches)
    .where(batches.c.plan == bindparam("of_plan"), batches.c.state == BatchState.VERIFIED)
    .values(state=BatchState.RECEIPTED)
)

_RECEIPTED_BEFORE = and_(batches.c.ended_at < bindparam("before"), _HAS_RECEIPT)
# A plan that came to nothing leaves identifiers that nobody will act on: there is nothing to restore.
_CANCELLED_BEFORE = and_(
    batches.c.state == BatchState.PLANNED,
    exists().where(
        plans.c.id == batches.c.plan, plans.c.state == RunState.CANCELLED, plans.c.expires_at < bindparam("before")
    ),
)
_NEEDED = exists().where(  # a closure that is under way has no receipt yet over what its plans removed
    plan_closures.c.plan == batch_identifiers.c.plan,
    closures.c.id == plan_closures.c.closure,
    closures.c.state == AccountState.CLOSING,
)
_DESTROY = (
    update(batch_identifiers)
    .where(
        or_(batch_identifiers.c.plain.is_not(None), batch_identifiers.c.sealed.is_not(None)),
        ~_NEEDED,
        tuple_(batch_identifiers.c.plan, batch_identifiers.c.ordinal).in_(
            select(batches.c.plan, batches.c.ordinal).where(or_(_RECEIPTED_BEFORE, _CANCELLED_BEFORE))
        ),
    )
    .values(plain=None, sealed=None)
)


class SqlBatches:
    """Batches: the unit of intent, claim, recovery and progress."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, batch: BatchRow, identifiers: bytes) -> None:
        """Store a batch of a draft with its exact identifiers."""
        self._session.insert(_ADD, asdict(batch))
        row = {"plan": batch.plan, "ordinal": batch.ordinal, "plain": identifiers}
        self._session.insert(_ADD_IDENTIFIERS, row)

    def drop_draft_from(self, plan: str, ordinal: int) -> None:
        """Drop the batches of a draft from an ordinal on: the dataset they belong to cannot be planned after all."""
        for statement in _DROP_FROM:
            self._session.change(statement, of_plan=plan, from_ordinal=ordinal)

    def of_plan(self, plan: str) -> Sequence[BatchRow]:
        """Return all batches of a plan in order, without identifiers."""
        return [BatchRow(**values_of(row)) for row in self._session.rows(_OF_PLAN, of_plan=plan)]

    def identifiers(self, plan: str, ordinal: int) -> bytes:
        """Return a batch's identifiers; sealed once the batch has ended.

        Raises:
            LedgerError: They were destroyed at the end of their retention period.
            NotFound: There is no such batch.
        """
        row = self._session.row(_IDENTIFIERS, of_plan=plan, at_ordinal=ordinal)
        if row is None:
            raise self._missing(plan, ordinal)
        identifiers: bytes | None = row.sealed if row.plain is None else row.plain
        if identifiers is None:
            raise LedgerError(
                f"the identifiers of {_name(plan, ordinal)} were destroyed when their retention period was over",
                where=self._session.where,
                remedy="`identifiers.keep` in retentiond.yaml says how long those of later runs are kept",
            )
        return identifiers

    def claim(self, plan: str, ordinal: int, now: datetime) -> int:
        """Claim a batch that has not ended, whoever claimed it before; return the new token.

        No hold changes from here to the end of the transaction. Read the holds in the same transaction.

        Raises:
            LedgerError: The batch has ended, or its plan is still a draft.
            NotFound: There is no such batch.
        """
        locked_epoch(self._session)
        token: int | None = self._session.value(_CLAIM, of_plan=plan, at_ordinal=ordinal, now=now)
        if token is None:
            batch = self._get(plan, ordinal)
            is_open = batch.state in _OPEN
            what = "its plan is not finished" if is_open else f"it has ended: {batch.state}"
            raise self._refused(batch, f"cannot be claimed: {what}")
        return token

    def token(self, plan: str, ordinal: int) -> int:
        """Return the token of the newest claim; 0 before the first.

        Raises:
            NotFound: There is no such batch.
        """
        return self._get(plan, ordinal).token

    def mark_acted(self, plan: str, ordinal: int, token: int) -> None:
        """Move a claimed batch to acted.

        Raises:
            LedgerError: The token is not the newest, or the batch is not claimed.
            NotFound: There is no such batch.
        """
        if not self._session.change(_MARK_ACTED, of_plan=plan, at_ordinal=ordinal, under_token=token):
            raise self._fenced(plan, ordinal, token)

    def finish(self, batch: BatchRow, sealed: bytes, now: datetime) -> None:
        """End a batch under `batch.token` with its state, outcomes and reason; its identifiers are kept sealed only.

        Raises:
            LedgerError: The token is not the newest, or the batch has ended already.
            NotFound: There is no such batch.
            ValueError: `batch.state` is none in which a batch ends.
        """
        if not self._session.change(_FINISH, **_result(batch), under_token=batch.token, now=now):
            raise self._fenced(batch.plan, batch.ordinal, batch.token)
        self._seal(batch, sealed)

    def amend(self, batch: BatchRow, sealed: bytes) -> None:
        """Correct state, outcomes, reason and identifiers of an ended batch whose run has no receipt yet.

        Raises:
            LedgerError: The batch has not ended, or its run has a receipt.
            NotFound: There is no such batch.
            ValueError: `batch.state` is none in which a batch ends.
        """
        if not self._session.change(_AMEND, **_result(batch)):
            known = self._get(batch.plan, batch.ordinal)
            what = "has not ended" if known.state in _OPEN else "has a receipt"
            raise self._refused(known, f"{what}, so its outcomes are not corrected")
        self._seal(batch, sealed)

    def set_receipted(self, plan: str) -> None:
        """Move all ended batches of a plan to receipted (those carried over stay so)."""
        self._session.change(_SET_RECEIPTED, of_plan=plan)

    def destroy_identifiers(self, before: datetime) -> int:
        """Destroy identifiers that are of no more use; return of how many batches.

        These are the sealed ones of batches that ended before a time and have a receipt, and those of batches that
        nobody claimed, of plans that were cancelled and expired before it.
        """
        return self._session.change(_DESTROY, before=before)

    def _seal(self, batch: BatchRow, sealed: bytes) -> None:
        self._session.change_one(
            _name(batch.plan, batch.ordinal), _SEAL, of_plan=batch.plan, at_ordinal=batch.ordinal, new_sealed=sealed
        )

    def _get(self, plan: str, ordinal: int) -> BatchRow:
        row = self._session.row(_GET, of_plan=plan, at_ordinal=ordinal)
        if row is None:
            raise self._missing(plan, ordinal)
        return BatchRow(**values_of(row))

    def _missing(self, plan: str, ordinal: int) -> NotFound:
        remedy = "`retentiond status` lists plans and runs"
        return NotFound(f"there is no {_name(plan, ordinal)}", where=self._session.where, remedy=remedy)

    def _fenced(self, plan: str, ordinal: int, token: int) -> LedgerError:
        batch = self._get(plan, ordinal)
        if batch.token != token:
            remedy = "`retentiond status` shows which run has it"
            what = f"was claimed again under token {batch.token}; token {token} must not act"
            return ClaimLost(f"{_name(plan, ordinal)} {what}", where=self._session.where, remedy=remedy)
        return self._refused(batch, f"is {batch.state}, under nobody's claim")

    def _refused(self, batch: BatchRow, why: str) -> LedgerError:
        remedy = "`retentiond status` shows which run has it"
        return LedgerError(f"{_name(batch.plan, batch.ordinal)} {why}", where=self._session.where, remedy=remedy)


def _name(plan: str, ordinal: int) -> str:
    return f"batch {ordinal} of plan {plan}"


def _result(batch: BatchRow) -> dict[str, object]:
    if batch.state not in _ENDED:
        message = f"a batch does not end as {batch.state}"
        raise ValueError(message)
    return {
        "of_plan": batch.plan,
        "at_ordinal": batch.ordinal,
        "new_state": batch.state,
        "new_outcomes": dict(batch.outcomes),
        "new_reason": batch.reason,
    }
