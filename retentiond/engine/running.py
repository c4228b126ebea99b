"""What the verbs `run` and `apply` do: first finish what was begun, then closures, then what policy makes due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from retentiond.domain.account import AccountState
from retentiond.domain.plan import Forecast, RunState, Trigger
from retentiond.engine.approvals import find_plan, void
from retentiond.engine.closures import account_of, advance_closure, due_closures
from retentiond.engine.context import Context
from retentiond.engine.enforcement import Carried, carry_out, unfinished
from retentiond.engine.overview import known_overdue, remember_success
from retentiond.engine.planning import Planned, Request, expire_plans, make_plan
from retentiond.engine.receipts import finish_bundles
from retentiond.engine.settling import settle
from retentiond.errors import ApprovalError, ConnectorError, GuardStopped, PurgeNotVerified, RetentiondError
from retentiond.ports.rows import ClosureRow, PlanRow


@dataclass(slots=True)
class Session:
    """What one call carried out.

    Attributes:
        overdue: Records that are due and still there after it.
        held: Whether everything that was due is held.
        failures: What went wrong without stopping the rest.
    """

    carried: list[Carried] = field(default_factory=list)
    overdue: int = 0
    held: bool = False
    stopped: GuardStopped | None = None
    stopped_plan: PlanRow | None = None
    failures: list[RetentiondError] = field(default_factory=list)
    left_out: tuple[tuple[str, str], ...] = ()


def apply_plan(ctx: Context, reference: str) -> Session:
    """Carry out exactly one plan, or go on with it.

    Raises:
        GuardStopped: A guard says no.
    """
    session = Session()
    with ctx.ledger.acting():
        ctx.log.compare()
        settle(ctx)
        finish_bundles(ctx)
        expire_plans(ctx)
        with ctx.ledger.begin() as tx:
            plan = find_plan(tx, reference)
        _carry(ctx, session, plan)
        _tidy(ctx)
    return session


def run_all(ctx: Context, policies: tuple[str, ...] = ()) -> Session:
    """Finish what was begun, advance closures, then plan and carry out what policy makes due, if the guards let it."""
    session = Session()
    with ctx.ledger.acting():
        ctx.log.compare()
        settle(ctx)
        finish_bundles(ctx)
        for plan in unfinished(ctx):
            _resume(ctx, session, plan)
        if not policies:
            session.overdue = 0  # what these carried over is due again, and counted by what follows
        for closure in due_closures(ctx):
            _advance(ctx, session, closure)
        _run_policies(ctx, session, policies)
        _tidy(ctx)
    return session


def close_now(ctx: Context, closure: ClosureRow) -> Session:
    """Advance one closure whose grace is over already; do nothing for one in its grace."""
    session = Session()
    if closure.due_at <= ctx.now():
        with ctx.ledger.acting():
            _advance(ctx, session, closure)
    return session


def _run_policies(ctx: Context, session: Session, policies: tuple[str, ...]) -> None:
    expire_plans(ctx)
    approved, waiting = _open_plans(ctx)
    if approved is not None:
        _carry(ctx, session, approved)
    elif waiting is not None:
        session.stopped_plan = waiting
        session.stopped = GuardStopped(
            f"plan {waiting.id} waits for approval: {'; '.join(waiting.reasons)}",
            guard="approval",
            remedy=f"retentiond approve {waiting.id}, then apply it",
        )
        session.overdue += waiting.records
        return
    planned = make_plan(ctx, Request(Trigger.SCHEDULE, policies))
    session.left_out = planned.failures
    session.overdue += _overdue_of(ctx, planned)
    session.held = planned.plan is None and any(forecast.held for forecast in planned.forecasts)
    if planned.plan is None:
        session.overdue += _waiting(planned.forecasts).total()
        return
    if planned.plan.state is RunState.WAITING:
        session.overdue += planned.plan.records + _waiting(planned.forecasts).total()
        session.stopped, session.stopped_plan = _needs_approval(planned), planned.plan
        return
    _carry(ctx, session, planned.plan)


def _overdue_of(ctx: Context, planned: Planned) -> int:
    """Return what is known to be overdue of policies none of whose datasets could be looked at."""
    datasets = [ctx.datamap.datasets[name] for name, _ in planned.failures]
    policies = {policy.id for each in datasets if (policy := ctx.policies.of_class(each.data_class))}
    with ctx.ledger.begin() as tx:
        return sum(known_overdue(tx, policy) for policy in policies - {each.policy for each in planned.forecasts})


def _open_plans(ctx: Context) -> tuple[PlanRow | None, PlanRow | None]:
    """Return the newest plan that people approved, and the newest that waits for them."""
    with ctx.ledger.begin() as tx:
        plans = [plan for plan in tx.plans.in_state(RunState.PLANNED, RunState.WAITING) if not plan.closure]
    approved = [plan for plan in plans if plan.state is RunState.PLANNED and plan.approvals_needed]
    waiting = [plan for plan in plans if plan.state is RunState.WAITING]
    return (approved[-1] if approved else None), (waiting[-1] if waiting else None)


def _supersede(ctx: Context, carried: PlanRow) -> None:
    """Void the plans of policies that were made before one that was carried out, and never begun."""
    with ctx.ledger.begin() as tx:
        plans = tx.plans.in_state(RunState.PLANNED, RunState.WAITING)
    policies = dict(carried.policies)
    for plan in plans:
        older = plan.created_at <= carried.created_at and not plan.closure
        if older and all(policy in policies for policy, _ in plan.policies):
            void(ctx, plan, "superseded")


def _waiting(forecasts: Iterable[Forecast]) -> Counter[str]:
    """Return how many records that are due their stores do not let go yet, by policy."""
    found: Counter[str] = Counter()
    for forecast in forecasts:
        found[forecast.policy] += forecast.waiting
    return found


def _needs_approval(planned: Planned) -> GuardStopped:
    plan_id = planned.plan.id if planned.plan else ""
    return GuardStopped(
        f"plan {plan_id} needs approval: {'; '.join(planned.reasons)}",
        guard="approval",
        remedy=f"retentiond approve {plan_id}, then retentiond apply {plan_id}",
    )


def _carry(ctx: Context, session: Session, plan: PlanRow) -> None:
    carried = carry_out(ctx, plan.id, _account(ctx, plan))
    _account_for(ctx, session, carried)


def _resume(ctx: Context, session: Session, plan: PlanRow) -> None:
    """Go on with a run that was begun; one that cannot end yet does not stop the others."""
    try:
        _carry(ctx, session, plan)
    except (ApprovalError, ConnectorError, PurgeNotVerified) as error:
        session.failures.append(error)


def _account_for(ctx: Context, session: Session, carried: Carried) -> None:
    session.carried.append(carried)
    left = carried.carried_over() + _waiting(carried.plan.forecasts)
    outcomes: Counter[str] = sum(carried.outcomes().values(), Counter())
    session.overdue += left.total()
    session.held = session.held or (outcomes["held"] > 0 and outcomes["held"] == outcomes.total())
    if not carried.plan.closure:
        remember_success(ctx, carried.plan, carried.run.finished_at or ctx.now(), left)
        _supersede(ctx, carried.plan)


def _account(ctx: Context, plan: PlanRow) -> str:
    if not plan.closure:
        return ""
    with ctx.ledger.begin() as tx:
        closure = tx.closures.get(plan.closure)
    return account_of(ctx, closure) if closure else ""


def _advance(ctx: Context, session: Session, closure: ClosureRow) -> None:
    """Advance a closure; what stops one does not stop the others."""
    try:
        for carried in advance_closure(ctx, closure):
            _account_for(ctx, session, carried)
    except GuardStopped as stopped:
        session.stopped = stopped
    except RetentiondError as error:
        session.failures.append(error)


def _tidy(ctx: Context) -> None:
    """Let the ledger forget identifiers at the end of their retention period, unless a closure still needs them."""
    with ctx.ledger.begin() as tx:
        if not tx.closures.in_state(AccountState.CLOSING):
            tx.batches.destroy_identifiers(ctx.terms.identifiers_keep.before(ctx.now()))
