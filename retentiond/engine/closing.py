"""Accounts whose grace is over are closed together: one pass over each dataset for all of them, whatever their number.

A pass plans everything that is theirs, carries it out, and looks again, until nothing more goes: what a late writer
added meanwhile goes too. Then each account of which nothing is left gets its receipt; the others stay, with what keeps
them, and the next run looks at them again. What was begun before is carried on with first. A closure whose plan waits
for a person, or cannot end yet, is planned no second time meanwhile, and keeps no other closure waiting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from retentiond.domain.account import AccountState, ClosureEvent, Remainder, next_state
from retentiond.domain.plan import RunState, Trigger
from retentiond.engine import chains
from retentiond.engine.affairs import CLOSURES, Affair
from retentiond.engine.closure_receipts import issue_closure_receipts
from retentiond.engine.context import Context
from retentiond.engine.enforcement import Carried, carry_out_chain
from retentiond.engine.leaving import account_of, leavers_of, persons_asking
from retentiond.engine.planning import Planned, Request, expire_plans, look, make_plan
from retentiond.errors import ConnectorError, GuardStopped, Interrupted, LedgerBusy, RetentiondError
from retentiond.ports.rows import ClosureRow, PlanRow

ROUNDS = 5  # a writer that never ends is left to the next run
_DAY = timedelta(days=1)
_AT_ONCE = 500
_GONE = ("purged", "alreadyGone")
_OF = {Trigger.CLOSURE: "a closure", Trigger.ERASURE: "a request for erasure"}


@dataclass(slots=True)
class Pass:
    """What a pass came to.

    Attributes:
        affair: Whether accounts leave, or people asked for erasure.
        overdue: Records of accounts that leave that are due and still there, as far as runs do not say so already.
        left_out: Datasets that could not be looked at, with the reason.
    """

    affair: Affair = CLOSURES
    carried: list[Carried] = field(default_factory=list)
    overdue: int = 0
    stops: list[GuardStopped] = field(default_factory=list)
    failures: list[RetentiondError] = field(default_factory=list)
    left_out: tuple[tuple[str, str], ...] = ()


def due_closures(ctx: Context) -> list[ClosureRow]:
    """Return the closures whose grace is over, by deadline; at most as many as one day may begin.

    A closure that has begun is always among them. None begins while the instance only observes: it can still be
    cancelled then.
    """
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        rows = [row for row in tx.closures.in_state(AccountState.GRACE, AccountState.CLOSING) if row.due_at <= now]
        begun = tx.closures.begun_since(now - _DAY)
    room = max(0, ctx.policies.closure.per_day - begun)
    fresh = [] if ctx.terms.observe else [row for row in rows if row.state is AccountState.GRACE]
    return [row for row in rows if row.state is AccountState.CLOSING] + fresh[:room]


def fresh_closures(ctx: Context) -> list[ClosureRow]:
    """Return those of them that can go on at once; where something keeps one, that is for a run that is due."""
    with ctx.ledger.begin() as tx:
        plans = tx.plans.in_state(RunState.PLANNED, *chains.UNFINISHED)
        ready = {each for plan in plans if plan.trigger is Trigger.CLOSURE for each in tx.plans.closures_of(plan.id)}
    return [row for row in due_closures(ctx) if row.remainder is None or row.id in ready]


def close_due(ctx: Context, closures: Sequence[ClosureRow]) -> Pass:
    """Carry closures as far as they go now, all together.

    Raises:
        Interrupted: The operator asked to stop; what was begun is safe.
        LedgerBusy: Another process acts by now.
    """
    return go_through(ctx, CLOSURES, _begin(ctx, closures))


def go_through(ctx: Context, affair: Affair, leaving: dict[str, str]) -> Pass:
    """Remove what is theirs of all that leave, as far as it goes now; raises as `close_due`.

    Args:
        leaving: Accounts, or people who asked for erasure, each with the id of the closure or the request.
    """
    done = Pass(affair)
    expire_plans(ctx)
    for first in _open_plans(ctx, affair, frozenset(leaving.values())):
        _carry(ctx, done, first)
    _set_aside(ctx, done, leaving)
    if leaving:
        _go_through(ctx, done, leaving)
    return done


def _begin(ctx: Context, closures: Sequence[ClosureRow]) -> dict[str, str]:
    """Begin closures whose grace is over; return the accounts of all, each with its closure's id.

    One that was cancelled since it was read is left alone: a cancellation and a beginning can't both win.
    """
    leaving: dict[str, str] = {}
    for start in range(0, len(closures), _AT_ONCE):
        with ctx.ledger.begin() as tx:
            for read in closures[start : start + _AT_ONCE]:
                row = tx.closures.get(read.id)
                if row is None or row.state not in (AccountState.GRACE, AccountState.CLOSING):
                    continue
                if row.state is AccountState.GRACE:
                    next_state(row.state, ClosureEvent.GRACE_OVER)
                    tx.closures.begin(row.id, ctx.now())
                    tx.events.append("closure.begun", row.id, ctx.now())
                leaving[account_of(ctx, row)] = row.id
    return leaving


def _open_plans(ctx: Context, affair: Affair, closures: frozenset[str]) -> list[PlanRow]:
    """Return what was planned for any of these closures and has not ended; of a chain the first."""
    found: dict[str, PlanRow] = {}
    with ctx.ledger.begin() as tx:
        for plan in tx.plans.in_state(*chains.OPEN, *chains.UNFINISHED):
            if plan.trigger is affair.trigger and not closures.isdisjoint(affair.served_by(tx, plan.id)):
                first = chains.first_of(tx, plan)
                found.setdefault(first.id, first)
    return list(found.values())


def _set_aside(ctx: Context, done: Pass, leaving: dict[str, str]) -> None:
    """Take those out whose plans have not ended: what these hold is theirs to carry out."""
    for first in _open_plans(ctx, done.affair, frozenset(leaving.values())):
        with ctx.ledger.begin() as tx:
            plans = chains.whole(tx, first)
            busy = {closure for plan in plans for closure in done.affair.served_by(tx, plan.id)}
        if not chains.has_begun(first):  # what was begun is counted as pending
            done.overdue += sum(plan.records for plan in plans)
        for account in [account for account, closure in leaving.items() if closure in busy]:
            del leaving[account]


def _carry(ctx: Context, done: Pass, first: PlanRow) -> list[Carried]:
    """Carry out a plan and its chain; what stops it is told, and stops nothing else."""
    carried: list[Carried] = []
    try:
        _check_waiting(done.affair, first)
        for each in carry_out_chain(ctx, first, told=False):
            carried.append(each)
            done.carried.append(each)
    except (Interrupted, LedgerBusy):
        raise
    except GuardStopped as stopped:
        done.stops.append(stopped)
    except RetentiondError as error:
        done.failures.append(error)
    return carried


def _check_waiting(affair: Affair, plan: PlanRow) -> None:
    if plan.state is RunState.WAITING:
        raise GuardStopped(
            f"plan {plan.id} of {_OF[affair.trigger]} waits for approval: {'; '.join(plan.reasons)}",
            guard=affair.guard,
            remedy=f"retentiond approve {plan.id}",
        )


def _go_through(ctx: Context, done: Pass, leaving: dict[str, str]) -> None:
    """Remove what is theirs, and close those of which nothing is left."""
    last = None
    try:
        last = _remove(ctx, done, leaving)
        if last is not None:
            done.left_out = last.failures
            done.overdue += sum(each.due + each.waiting for each in last.forecasts)
            gone = _note(ctx, done.affair, leaving, last)
            issue_closure_receipts(ctx, gone, done.affair, unowned=last.stays.unowned)
    except (Interrupted, LedgerBusy):
        raise
    except GuardStopped as stopped:
        done.stops.append(stopped)
    except RetentiondError as error:
        done.failures.append(error)
        if isinstance(error, ConnectorError) and last is None:  # nobody could look
            done.overdue += sum(each.carried_over().total() for each in done.carried)
            _keep(ctx, done.affair, {closure: Remainder(unseen=(str(error),)) for closure in leaving.values()})


def _remove(ctx: Context, done: Pass, leaving: dict[str, str]) -> Planned | None:
    """Plan and carry out until nothing more goes; return the last look, None where every account is busy by then."""
    for _ in range(ROUNDS):
        planned = _plan(ctx, done, leaving)
        if not leaving:
            return None
        if planned.plan is None:
            return planned
        carried = _carry(ctx, done, planned.plan)
        _set_aside(ctx, done, leaving)
        if not leaving:
            return None
        if not any(counts[name] for each in carried for counts in each.outcomes().values() for name in _GONE):
            break
    return look(ctx, _request(ctx, done.affair, leaving))


def _plan(ctx: Context, done: Pass, leaving: dict[str, str]) -> Planned:
    """Plan for all of them; accounts of which too much is due get a plan of their own, which waits for a person."""
    planned = make_plan(ctx, _request(ctx, done.affair, leaving))
    if not planned.above:
        return planned
    large = make_plan(ctx, _request(ctx, done.affair, {account: leaving[account] for account in planned.above}))
    if large.plan is not None:
        _carry(ctx, done, large.plan)
    _set_aside(ctx, done, leaving)
    return make_plan(ctx, _request(ctx, done.affair, leaving)) if leaving else large


def _request(ctx: Context, affair: Affair, leaving: Mapping[str, str]) -> Request:
    if affair.trigger is Trigger.ERASURE:
        return Request(affair.trigger, leaving=persons_asking(ctx, leaving), acting=True)
    return Request(affair.trigger, leaving=dict(leaving), leavers=leavers_of(ctx, leaving), acting=True)


def _note(ctx: Context, affair: Affair, leaving: Mapping[str, str], last: Planned) -> dict[str, str]:
    """Keep what is left of each account in the ledger; return those of which nothing is."""
    unseen = [f"dataset {name}: {why}" for name, why in last.failures]
    found = {closure: last.stays.of(account, unseen) for account, closure in leaving.items()}
    _keep(ctx, affair, {closure: remainder for closure, remainder in found.items() if remainder})
    return {account: closure for account, closure in leaving.items() if not found[closure]}


def _keep(ctx: Context, affair: Affair, stays: Mapping[str, Remainder]) -> None:
    found = list(stays.items())
    for start in range(0, len(found), _AT_ONCE):
        with ctx.ledger.begin() as tx:
            for closure, remainder in found[start : start + _AT_ONCE]:
                affair.note(tx, closure, remainder)
