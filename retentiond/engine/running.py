"""What the verbs `run` and `apply` do: first finish what was begun, then closures and erasures, then policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from retentiond.domain.erasure import ErasureState
from retentiond.domain.plan import Basis, Forecast, RunState, Trigger
from retentiond.engine import chains, guards
from retentiond.engine.affairs import ERASURES
from retentiond.engine.anchoring import anchor_events
from retentiond.engine.approvals import find_plan, void
from retentiond.engine.closing import Pass, close_due, due_closures, fresh_closures
from retentiond.engine.context import Context
from retentiond.engine.enforcement import Carried, carry_out_chain
from retentiond.engine.erasing import due_erasures, erase_due, fresh_erasures
from retentiond.engine.failover import counted, notice, uncounted
from retentiond.engine.forgetting import forget_keys, forget_requests
from retentiond.engine.keychange import publish_files
from retentiond.engine.overdue import known_overdue, policies_left_out
from retentiond.engine.overview import remember_idle, remember_run
from retentiond.engine.pending import OPEN_BATCHES, pending
from retentiond.engine.planning import Planned, Request, expire_plans, make_plan
from retentiond.engine.pseudonyms import renew_key
from retentiond.engine.receipts import finish_bundles
from retentiond.engine.settling import settle
from retentiond.engine.sweeping import remember_swept
from retentiond.errors import (
    ApprovalError,
    ConnectorError,
    Deferred,
    GuardStopped,
    LedgerBusy,
    LockLost,
    PurgeNotVerified,
    RetentiondError,
)
from retentiond.ports.rows import ClosureRow, ErasureRow, PlanRow

_ASKED = (Trigger.MANUAL, Trigger.REPLAY)
_BY_POLICY = (Trigger.SCHEDULE, Trigger.REPLAY)


@dataclass(slots=True)
class Session:
    """What one call carried out.

    Attributes:
        overdue: Records that are due and still there after it.
        held: Whether everything that was due is held.
        deferred: Why runs stand still; they go on later.
        failures: What went wrong without stopping the rest.
    """

    carried: list[Carried] = field(default_factory=list)
    overdue: int = 0
    held: bool = False
    stopped: GuardStopped | None = None
    stopped_plan: PlanRow | None = None
    deferred: list[Deferred] = field(default_factory=list)
    failures: list[RetentiondError] = field(default_factory=list)
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def stops(self) -> list[GuardStopped | Deferred]:
        """What stopped it, or has it stand still."""
        return [*([self.stopped] if self.stopped else []), *self.deferred]


def apply_plan(ctx: Context, reference: str) -> Session:
    """Carry out exactly one plan with its chain, or go on with it.

    Raises:
        GuardStopped: A guard says no, before anything was carried out.
        LedgerBehindLog: The ledger is older than its log, or than the journal.
    """
    session = Session()
    with ctx.ledger.acting():
        _check_history(ctx)
        guards.check_clock(ctx)  # before anything ends by the clock: plans expire for good
        settle(ctx)
        publish_files(ctx)
        anchor_events(ctx)
        finish_bundles(ctx)
        notice(ctx)
        expire_plans(ctx)
        with ctx.ledger.begin() as tx:
            plan = find_plan(tx, reference)
        chains.require_first(plan, "retentiond apply")
        try:
            carry(ctx, session, plan)
        except GuardStopped as stopped:
            if not session.carried:
                raise
            session.stopped, session.stopped_plan = stopped, plan
        session.overdue += _unended(ctx, plan)
        tidy(ctx)
    return session


def run_all(ctx: Context, policies: tuple[str, ...] = ()) -> Session:
    """Finish what was begun, advance closures, then plan and carry out what policy makes due, if the guards let it."""
    with ctx.ledger.acting():
        return run_acting(ctx, policies)


def run_acting(ctx: Context, policies: tuple[str, ...] = ()) -> Session:
    """Do that in a process that acts already."""
    renew_key(ctx)
    session = take_up(ctx)
    if not policies:
        session.overdue = 0  # what these carried over is due again, and counted by what follows
    _advance_due(ctx, session, due_closures(ctx), due_erasures(ctx))
    _run_policies(ctx, session, policies)
    session.overdue += pending(ctx).records
    tidy(ctx)
    return session


def go_on_acting(ctx: Context) -> Session:
    """Finish what was begun, advance closures and carry out what people approved; plan nothing by policy."""
    session = take_up(ctx)
    _advance_due(ctx, session, fresh_closures(ctx), fresh_erasures(ctx))
    expire_plans(ctx)
    approved, _ = _open_plans(ctx)
    if approved is not None:
        carry(ctx, session, approved)
    session.overdue += pending(ctx).records
    tidy(ctx)
    return session


def has_work(ctx: Context) -> bool:
    """Tell whether something was begun or approved, or an account's grace is over: whether `go_on_acting` has work."""
    approved, _ = _open_plans(ctx)
    return approved is not None or any(
        found(ctx) for found in (chains.begun, fresh_closures, fresh_erasures, _asked_for)
    )


def take_up(ctx: Context) -> Session:
    """Finish what another process left unfinished, and go on with every run that was begun.

    Raises:
        GuardStopped: The clock is doubtful.
        LedgerBehindLog: The ledger is older than its log, or than the journal.
    """
    session = Session()
    _check_history(ctx)
    guards.check_clock(ctx)  # before anything ends by the clock: graces of closures, too
    settle(ctx)
    publish_files(ctx)
    anchor_events(ctx)
    finish_bundles(ctx)
    notice(ctx)
    for plan in chains.begun(ctx):
        if not _serves_somebody(ctx, plan):  # else it goes on with what it serves
            _resume(ctx, session, plan)
    return session


def _serves_somebody(ctx: Context, plan: PlanRow) -> bool:
    """Tell whether a run goes on with a closure or a request for erasure; all of its requests may be refused by now."""
    if plan.trigger is Trigger.ERASURE:
        with ctx.ledger.begin() as tx:
            return any(ERASURES.is_under_way(tx, each) for each in tx.erasures.of_plan(plan.id))
    return plan.trigger is Trigger.CLOSURE


def _check_history(ctx: Context) -> None:
    """Raise LedgerBehindLog where the ledger went back in time, before anything is settled, expires or is signed."""
    ctx.log.compare()
    guards.check_journal(ctx)


def _advance_due(
    ctx: Context, session: Session, closures: Sequence[ClosureRow], erasures: Sequence[ErasureRow]
) -> None:
    _take(session, close_due(ctx, closures))
    _take(session, erase_due(ctx, erasures))
    for plan in _asked_for(ctx):
        _resume(ctx, session, plan)


def close_now(ctx: Context, closure: ClosureRow) -> Session:
    """Advance one closure whose grace is over already, where the day has room for it.

    Does nothing for one in its grace, or that another run ended. Where another process acts it is that one's, or the
    next one's, to advance.
    """
    session = Session()
    if closure.due_at > ctx.now():
        return session
    try:
        with ctx.ledger.acting():
            guards.check_clock(ctx)
            _take(session, close_due(ctx, [row for row in due_closures(ctx) if row.id == closure.id]))
    except LockLost:
        raise
    except LedgerBusy as busy:
        ctx.reporter.note(f"{busy.what}; the closure goes on with the next run")
    return session


def _run_policies(ctx: Context, session: Session, policies: tuple[str, ...]) -> None:
    expire_plans(ctx)
    approved, waiting = _open_plans(ctx)
    if approved is not None:
        carry(ctx, session, approved)
    elif waiting is not None:
        session.stopped_plan = waiting
        session.stopped = GuardStopped(
            f"plan {waiting.id} waits for approval: {'; '.join(waiting.reasons)}",
            guard="approval",
            remedy=f"retentiond approve {waiting.id}, then apply it",
        )
        session.overdue += _records(ctx, waiting)
        return
    planned = make_plan(ctx, Request(Trigger.SCHEDULE, policies, acting=True))
    session.left_out = tuple(dict.fromkeys((*session.left_out, *planned.failures)))
    idle = _idle(ctx, planned)
    remember_idle(ctx, idle, ctx.now())
    remember_swept(ctx, idle, planned.reference, planned.forecasts)
    if not policies and not planned.failures:
        counted(ctx)
    session.overdue += _overdue_of(ctx, planned)
    session.held = planned.plan is None and any(forecast.held for forecast in planned.forecasts)
    if planned.plan is None:
        session.overdue += locked(planned.forecasts).total()
        return
    if planned.plan.state is RunState.WAITING:
        session.overdue += planned.records + locked(planned.forecasts).total()
        session.stopped, session.stopped_plan = _needs_approval(planned), planned.plan
        return
    carry(ctx, session, planned.plan)


def _overdue_of(ctx: Context, planned: Planned) -> int:
    """Return what is known to be overdue of policies none of whose datasets could be looked at."""
    policies = policies_left_out(ctx, dict(planned.failures))
    with ctx.ledger.begin() as tx:
        return sum(known_overdue(tx, policy) for policy in policies - {each.policy for each in planned.forecasts})


def _idle(ctx: Context, planned: Planned) -> set[str]:
    """Return the policies of which all was looked at, and nothing is due."""
    busy = {each.policy for each in planned.forecasts if each.due or each.waiting}
    apart = (*planned.failures, *((name, "left to a run that has not ended") for name in planned.left))
    return {each.policy for each in planned.forecasts} - busy - policies_left_out(ctx, dict(apart))


def _open_plans(ctx: Context) -> tuple[PlanRow | None, PlanRow | None]:
    """Return the newest plan of policies that people approved, and the newest that waits; of a chain the first."""
    with ctx.ledger.begin() as tx:
        found = tx.plans.in_state(RunState.PLANNED, RunState.WAITING)
    plans = [plan for plan in found if plan.trigger is Trigger.SCHEDULE and not chains.first_id(plan)]
    approved = [plan for plan in plans if plan.state is RunState.PLANNED and plan.approvals_needed]
    waiting = [plan for plan in plans if plan.state is RunState.WAITING]
    return (approved[-1] if approved else None), (waiting[-1] if waiting else None)


def _asked_for(ctx: Context) -> list[PlanRow]:
    """Return what somebody asked for that nothing keeps any more, manual purges and replays; of a chain the first."""
    with ctx.ledger.begin() as tx:
        found = tx.plans.in_state(RunState.PLANNED)
    now = ctx.now()
    asked = [plan for plan in found if plan.trigger in _ASKED and not chains.first_id(plan)]
    return [plan for plan in asked if not plan.has_expired(now)]


def _supersede(ctx: Context, carried: PlanRow) -> None:
    """Void the plans of policies that were made before one that was carried out, and never begun."""
    with ctx.ledger.begin() as tx:
        plans = tx.plans.in_state(RunState.PLANNED, RunState.WAITING)
        own = chains.first_of(tx, carried).id
    policies = dict(carried.policies)
    for plan in plans:
        older = plan.created_at <= carried.created_at and plan.trigger is Trigger.SCHEDULE
        alone = plan.id != own and not chains.first_id(plan)
        if older and alone and all(policy in policies for policy in _policies_of(ctx, plan)):
            void(ctx, plan, "superseded")


def locked(forecasts: Iterable[Forecast]) -> Counter[str]:
    """Return how many records that are due their stores do not let go yet, by policy."""
    found: Counter[str] = Counter()
    for forecast in forecasts:
        found[forecast.policy] += forecast.waiting
    return found


def _policies_of(ctx: Context, first: PlanRow) -> set[str]:
    with ctx.ledger.begin() as tx:
        return {policy for plan in chains.whole(tx, first) for policy, _ in plan.policies}


def _records(ctx: Context, first: PlanRow) -> int:
    with ctx.ledger.begin() as tx:
        return sum(plan.records for plan in chains.whole(tx, first))


def _unended(ctx: Context, first: PlanRow) -> int:
    """Return how many records of a plan and its chain have not been worked on, once it was begun."""
    with ctx.ledger.begin() as tx:
        plans = [plan for plan in chains.whole(tx, first) if plan.state in (RunState.STOPPED, RunState.PLANNED)]
        batches = [batch for plan in plans for batch in tx.batches.of_plan(plan.id)]
    return sum(batch.count for batch in batches if batch.state in OPEN_BATCHES)


def _needs_approval(planned: Planned) -> GuardStopped:
    plan_id = planned.plan.id if planned.plan else ""
    return GuardStopped(
        f"plan {plan_id} needs approval: {'; '.join(planned.reasons)}",
        guard="approval",
        remedy=f"retentiond approve {plan_id}, then retentiond apply {plan_id}",
    )


def carry(ctx: Context, session: Session, first: PlanRow, *, told: bool = True) -> None:
    """Carry out a plan and its chain; where a store may not be worked on now, the rest stands still."""
    before = len(session.carried)
    try:
        for carried in carry_out_chain(ctx, first, told=told):
            _account_for(ctx, session, carried)
    except Deferred as deferred:
        session.deferred.append(deferred)
    except ApprovalError as error:
        if len(session.carried) == before:
            raise
        session.failures.append(error)


def _resume(ctx: Context, session: Session, plan: PlanRow) -> None:
    """Go on with what was begun; one that cannot end yet does not stop the others."""
    try:
        carry(ctx, session, plan, told=False)
    except (ApprovalError, ConnectorError, PurgeNotVerified) as error:
        session.failures.append(error)


def _account_for(ctx: Context, session: Session, carried: Carried) -> None:
    session.carried.append(carried)
    left = carried.carried_over() + locked(carried.plan.forecasts)
    outcomes: Counter[str] = sum(carried.outcomes().values(), Counter())
    session.overdue += left.total()
    session.held = session.held or (outcomes["held"] > 0 and outcomes["held"] == outcomes.total())
    by_hand = any(part.basis is Basis.MANUAL for part in carried.parts)  # then no policy was asked
    if carried.plan.trigger in _BY_POLICY and not by_hand:
        left.update(pending(ctx).by_policy + uncounted(ctx))
        short = {policy for policy, count in carried.carried_over().items() if count}
        unseen = policies_left_out(ctx, dict(session.left_out))
        short |= unseen
        remember_run(ctx, carried.plan, carried.run.finished_at or ctx.now(), left, short, unseen)
        same = {policy for policy, sha256 in carried.plan.policies if ctx.policies.policies[policy].sha256 == sha256}
        whole = same - short - (+left).keys()
        remember_swept(ctx, whole, carried.plan.reference_time, _unless_refused(carried))
        _supersede(ctx, carried.plan)


def _unless_refused(carried: Carried) -> list[Forecast]:
    """Return what a plan found of the datasets in which its store let go of everything."""
    outcomes = carried.outcomes()
    return [each for each in carried.plan.forecasts if not outcomes.get(each.dataset, Counter())["refused"]]


def _take(session: Session, closures: Pass) -> None:
    """Take what a pass over accounts that leave came to."""
    session.carried += closures.carried
    session.overdue += closures.overdue
    session.failures += closures.failures
    session.left_out = tuple(dict.fromkeys((*session.left_out, *closures.left_out)))
    for stop in closures.stops:
        if isinstance(stop, Deferred):
            session.deferred.append(stop)
        else:
            session.stopped = stop


def tidy(ctx: Context) -> None:
    """Let the ledger forget identifiers at the end of their time, unless a closure still needs them, and old keys."""
    with ctx.ledger.begin() as tx:
        tx.erasures.forget_texts(ctx.policies.erasure.keep.before(ctx.now()))
        if not tx.erasures.in_state(ErasureState.IN_PROGRESS):
            tx.batches.destroy_identifiers(ctx.terms.identifiers_keep.before(ctx.now()))
    forget_keys(ctx)
    forget_requests(ctx)
