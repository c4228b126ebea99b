"""Requests for erasure whose identity was verified are carried out together, in one pass over each dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from retentiond.domain.account import Remainder
from retentiond.domain.erasure import DUE, NOT_TOLD_APART, ErasureEvent, ErasureState, next_erasure_state
from retentiond.domain.plan import Forecast, RunState, Trigger
from retentiond.engine import chains
from retentiond.engine.affairs import ERASURES
from retentiond.engine.closing import Pass, go_through
from retentiond.engine.context import Context
from retentiond.engine.dated import DatedPart, dated_parts
from retentiond.engine.holdings import holdings_of
from retentiond.engine.leaving import person_of, persons_of
from retentiond.engine.planning import Request, look
from retentiond.ports.rows import ErasureRow

NOTHING = Remainder()
_DAY = timedelta(days=1)
_AT_ONCE = 500


def due_erasures(ctx: Context) -> list[ErasureRow]:
    """Return the requests that can be carried out, by deadline; at most as many as one day may begin.

    One that has begun is always among them. None begins while the instance only observes.
    """
    with ctx.ledger.begin() as tx:
        rows = tx.erasures.in_state(*DUE)
        begun = tx.erasures.begun_since(ctx.now() - _DAY)
    room = max(0, ctx.policies.erasure.per_day - begun)
    fresh = [] if ctx.terms.observe else [row for row in rows if row.state is ErasureState.VERIFIED]
    return [row for row in rows if row.state is ErasureState.IN_PROGRESS] + fresh[:room]


def fresh_erasures(ctx: Context) -> list[ErasureRow]:
    """Return those of them that can go on at once; where something keeps one, that is for a run that is due."""
    with ctx.ledger.begin() as tx:
        plans = tx.plans.in_state(RunState.PLANNED, *chains.UNFINISHED)
        ready = {each for plan in plans if plan.trigger is Trigger.ERASURE for each in tx.erasures.of_plan(plan.id)}
    return [row for row in due_erasures(ctx) if row.remainder is None or row.id in ready]


def erase_due(ctx: Context, erasures: Sequence[ErasureRow]) -> Pass:
    """Carry requests as far as they go now, all together; as `close_due`."""
    return go_through(ctx, ERASURES, _begin(ctx, erasures))


def _begin(ctx: Context, erasures: Sequence[ErasureRow]) -> dict[str, str]:
    """Begin requests; return the people of all, each with the request's id.

    One that was refused or cancelled since it was read is left alone.
    """
    leaving: dict[str, str] = {}
    for start in range(0, len(erasures), _AT_ONCE):
        with ctx.ledger.begin() as tx:
            for read in erasures[start : start + _AT_ONCE]:
                row = tx.erasures.get(read.id)
                if row is None or row.state not in DUE:
                    continue
                if row.state is ErasureState.VERIFIED:
                    next_erasure_state(row.state, ErasureEvent.BEGIN)
                    tx.erasures.begin(row.id, ctx.now())
                    tx.events.append("erasure.begun", row.id, ctx.now())
                leaving[person_of(ctx, row)] = row.id
    return leaving


@dataclass(frozen=True, slots=True)
class ErasureStatus:
    """Where a request stands, and what a look finds of the person now.

    Attributes:
        looked: What was found by dataset; empty where the request has ended, or nobody could look.
        failures: Datasets that could not be looked at, with the reason.
        stays: What is left of the person altogether.
        dated: What is still there, why in words for the person, and until when; empty where nothing has to be kept
            of anybody.
        unnamed: Where nobody said where the account belongs: the jurisdictions of which all is kept therefore.
    """

    row: ErasureRow
    looked: tuple[Forecast, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()
    stays: Remainder = NOTHING
    dated: tuple[DatedPart, ...] = ()
    unnamed: tuple[str, ...] = ()

    @property
    def nothing_held(self) -> bool:
        """Whether every dataset was looked at, and none knows the person."""
        return bool(self.looked) and not self.stays

    @property
    def not_told_apart(self) -> dict[str, int]:
        """Datasets that hold records of the account and cannot tell its users apart, each with how many."""
        doubts = {each.dataset: dict(each.doubts) for each in self.looked}
        return {name: counts[NOT_TOLD_APART] for name, counts in doubts.items() if counts.get(NOT_TOLD_APART)}


def erasure_status(ctx: Context, row: ErasureRow) -> ErasureStatus:
    """Look what is there of the person whom a request names; no plan comes of it.

    Raises:
        GuardStopped: A guard forbids planning.
        ConnectorError: No dataset at all could be looked at.
    """
    text = person_of(ctx, row)
    if not text:
        return ErasureStatus(row)
    persons = persons_of({text: row})
    found = look(ctx, Request(Trigger.ERASURE, leaving=persons))
    unseen = [f"dataset {name}: {why}" for name, why in found.failures]
    left = found.stays.of(text, unseen)
    status = ErasureStatus(row, found.forecasts, found.failures, left)
    binding = [each for policy in ctx.policies.policies.values() for each in policy.kept if each.erasures]
    if not binding:
        return status
    dated = dated_parts(row.asked_at, row.deadline_at, holdings_of(ctx, persons), waits=left.is_stuck)
    places = sorted({where for each in binding for where in each.jurisdictions})
    return replace(status, dated=dated, unnamed=() if row.jurisdiction else tuple(places))
