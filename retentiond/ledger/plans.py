"""Plans, their parts, and drafts that became none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, exists, func, insert, literal, or_, select, update

from retentiond.domain.plan import Forecast, Part, RunState, Trigger
from retentiond.ledger import schema
from retentiond.ledger.schema import columns_of, drafts, facts, plan_closures, plan_erasures, plans
from retentiond.ledger.session import Session, values_of
from retentiond.ports.rows import PlanRow

_PLANS = select(*columns_of(plans, PlanRow)).order_by(plans.c.log_index)
_GET = _PLANS.where(or_(plans.c.id == bindparam("reference"), plans.c.sha256 == bindparam("reference")))
_IN_STATE = _PLANS.where(plans.c.state.in_(bindparam("states", expanding=True)))
_OF_CLOSURES = (
    select(plan_closures.c.closure, plan_closures.c.plan)
    .join_from(plan_closures, plans)
    .where(plan_closures.c.closure.in_(bindparam("of_closures", expanding=True)))
    .order_by(plans.c.log_index)
)
_CLOSURES_OF = select(plan_closures.c.closure).where(plan_closures.c.plan == bindparam("of_plan"))
_COUNT_ENDED = (
    select(func.count())
    .select_from(plans)
    .where(plans.c.state.in_((RunState.DONE, RunState.PARTIAL)), plans.c.trigger == bindparam("by"))
)
# The sealed request of a plan stands beside it, in `facts`, until it is destroyed.
_ASKED_BEFORE = (
    select(plans.c.id)
    .join(facts, facts.c.name == literal("purge:").concat(plans.c.id))
    .where(
        plans.c.state.in_((RunState.DONE, RunState.PARTIAL, RunState.CANCELLED)),
        plans.c.created_at < bindparam("moment"),
        func.length(facts.c.value) > 0,
    )
)
_ADD = insert(plans)
_SET_STATE = update(plans).where(plans.c.id == bindparam("reference")).values(state=bindparam("new_state"))

_PARTS = (
    select(*columns_of(schema.parts, Part))
    .where(schema.parts.c.plan == bindparam("of_plan"))
    .order_by(schema.parts.c.ordinal)
)
_ADD_PARTS = insert(schema.parts)
_ADD_CLOSURES = insert(plan_closures)
_ADD_ERASURES = insert(plan_erasures)
_MOST_BOUND = 500

_BEGIN_DRAFT = insert(drafts)
_IS_DISCARDED = and_(
    ~exists().where(plans.c.id == drafts.c.id),
    or_(drafts.c.id.in_(bindparam("names", expanding=True)), drafts.c.begun_at <= bindparam("begun_by")),
)
_DISCARD_BATCHES = tuple(
    delete(table).where(table.c.plan.in_(select(drafts.c.id).where(_IS_DISCARDED)))
    for table in (schema.batch_identifiers, schema.batches)
)
_DISCARD = delete(drafts).where(_IS_DISCARDED)
_MOST_IN_JSON = 2**53 - 1


class SqlPlans:
    """Plans, their parts, and their batches while the plan is drafted."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin_draft(self, plan: str, at: datetime) -> None:
        """Note that a plan is being drafted; its batches may follow."""
        self._session.insert(_BEGIN_DRAFT, {"id": plan, "begun_at": at})

    def discard_drafts(self, names: Sequence[str], begun_by: datetime) -> int:
        """Remove drafts that were never finished, with their batches; return how many."""
        for statement in _DISCARD_BATCHES:
            self._session.change(statement, names=names, begun_by=begun_by)
        return self._session.change(_DISCARD, names=names, begun_by=begun_by)

    def finish_draft(
        self, plan: PlanRow, parts: Sequence[Part], closures: Sequence[str] = (), erasures: Sequence[str] = ()
    ) -> None:
        """Turn a draft into a plan that serves these closures and requests; from now on it takes no more batches."""
        self._session.insert(_ADD, asdict(plan) | {"forecasts": [_written(each) for each in plan.forecasts]})
        self._session.insert(_ADD_PARTS, [{"plan": plan.id, **asdict(part)} for part in parts])
        self._session.insert(_ADD_CLOSURES, [{"plan": plan.id, "closure": each} for each in closures])
        self._session.insert(_ADD_ERASURES, [{"plan": plan.id, "erasure": each} for each in erasures])

    def get(self, reference: str) -> PlanRow | None:
        """Return a plan by its id or its sha256."""
        row = self._session.row(_GET, reference=reference)
        return None if row is None else plan_row(row)

    def parts(self, plan: str) -> Sequence[Part]:
        """Return a plan's parts in order."""
        return [Part(**values_of(row)) for row in self._session.rows(_PARTS, of_plan=plan)]

    def in_state(self, *states: RunState) -> Sequence[PlanRow]:
        """Return plans in any of the states, oldest first."""
        return [plan_row(row) for row in self._session.rows(_IN_STATE, states=states)]

    def count_ended(self, trigger: Trigger) -> int:
        """Return how many plans of a trigger were carried out."""
        count: int = self._session.value(_COUNT_ENDED, by=trigger)
        return count

    def asked_before(self, moment: datetime) -> Sequence[str]:
        """Return plans for what people asked, made before a time, that have ended, whose requests are still there."""
        return [row.id for row in self._session.rows(_ASKED_BEFORE, moment=moment)]

    def of_closures(self, closures: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Return (closure, plan) for each plan that serves one of the closures, each closure's plans oldest first."""
        pieces = (closures[start : start + _MOST_BOUND] for start in range(0, len(closures), _MOST_BOUND))
        return [tuple(row) for some in pieces for row in self._session.rows(_OF_CLOSURES, of_closures=some)]

    def closures_of(self, plan: str) -> Sequence[str]:
        """Return the closures that a plan serves."""
        return [row.closure for row in self._session.rows(_CLOSURES_OF, of_plan=plan)]

    def set_state(self, plan: str, state: RunState) -> None:
        """Move a plan to a state.

        Raises:
            NotFound: There is no such plan.
        """
        self._session.change_one(f"plan {plan}", _SET_STATE, reference=plan, new_state=state)


def plan_row(row: Row[Any]) -> PlanRow:
    """Return a plan of a row that has its columns."""
    values = values_of(row)
    for name in ("policies", "datasets"):
        values[name] = _pairs(values[name])
    values["reasons"] = tuple(values["reasons"])
    values["forecasts"] = tuple(_forecast(written) for written in values["forecasts"])
    return PlanRow(**values)


def _written(forecast: Forecast) -> dict[str, Any]:
    """Return a forecast as the ledger keeps it: a clock of year 1 or 9999 is no number that canonical JSON can say."""
    oldest = forecast.oldest
    is_plain = oldest is None or abs(oldest) <= _MOST_IN_JSON
    return asdict(forecast) | {"oldest": oldest if is_plain else str(oldest)}


def _forecast(written: dict[str, Any]) -> Forecast:
    oldest = written["oldest"]
    known = {
        "doubts": _pairs(written["doubts"]),
        "actions": _pairs(written.get("actions", [])),
        "oldest": None if oldest is None else int(oldest),
    }
    return Forecast(**written | known)


def _pairs(written: list[list[Any]]) -> tuple[tuple[Any, Any], ...]:
    return tuple((first, second) for first, second in written)
