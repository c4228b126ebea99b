"""Runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Executable, bindparam, insert, select, update

from retentiond.domain.plan import RunState
from retentiond.errors import LedgerError
from retentiond.ledger.schema import columns_of, runs
from retentiond.ledger.session import Session, values_of
from retentiond.ports.rows import RunRow

_ADD = insert(runs)
_RUNS = select(*columns_of(runs, RunRow))
_GET = _RUNS.where(runs.c.id == bindparam("reference"))
_OF_PLAN = _RUNS.where(runs.c.plan == bindparam("of_plan"))
_RECENT = _RUNS.order_by(runs.c.started_at.desc(), runs.c.id.desc()).limit(bindparam("at_most"))
_UNRECEIPTED = update(runs).where(runs.c.id == bindparam("reference"), runs.c.receipt.is_(None))
_SET_STATE = _UNRECEIPTED.values(state=bindparam("new_state"))
_FINISH = _UNRECEIPTED.values(
    state=bindparam("new_state"), finished_at=bindparam("at"), receipt=bindparam("new_receipt")
)


class SqlRuns:
    """Runs. A run that has its receipt is over: it changes no more."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, run: RunRow) -> None:
        """Store a run; LedgerError where its plan has one already."""
        self._session.insert(_ADD, asdict(run))

    def get(self, run: str) -> RunRow | None:
        """Return a run by its id."""
        return self._one(_GET, reference=run)

    def of_plan(self, plan: str) -> RunRow | None:
        """Return the run of a plan, or None."""
        return self._one(_OF_PLAN, of_plan=plan)

    def recent(self, limit: int) -> Sequence[RunRow]:
        """Return the newest runs first."""
        return [RunRow(**values_of(row)) for row in self._session.rows(_RECENT, at_most=limit)]

    def finish(self, run: str, state: RunState, at: datetime, receipt: str) -> None:
        """End a run.

        Args:
            receipt: Its receipt's id; empty where nothing of it was receipted.

        Raises:
            LedgerError: It has a receipt already.
            NotFound: There is no such run.
        """
        self._change(run, _FINISH, new_state=state, at=at, new_receipt=receipt)

    def set_state(self, run: str, state: RunState) -> None:
        """Move a run to a state.

        Raises:
            LedgerError: It has a receipt already.
            NotFound: There is no such run.
        """
        self._change(run, _SET_STATE, new_state=state)

    def _one(self, query: Executable, **values: object) -> RunRow | None:
        row = self._session.row(query, **values)
        return None if row is None else RunRow(**values_of(row))

    def _change(self, run: str, statement: Executable, **values: object) -> None:
        known = self.get(run)
        if known is not None and known.receipt:
            raise LedgerError(
                f"run {run} has its receipt, {known.receipt}, and changes no more",
                where=self._session.where,
                remedy=f"`retentiond receipt show {known.receipt}` shows what came of it",
            )
        self._session.change_one(f"run {run}", statement, reference=run, **values)
