"""Replay: after a store was restored, what had been removed from it and is there again is removed again.

Policies are asked as in any run, for what is past its retention period went by them. Of closed accounts everything goes
that is older than the end of their closure: the ledger has commitments of these accounts, and finds them among the
owners that the stores name. Both stand in one plan, which the same guards look at, and which ends in a receipt of a run
like any other. What holds name by now stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from retentiond.domain.plan import Forecast, RunState, Trigger
from retentiond.engine import byhand, chains
from retentiond.engine.closed import ENDS, Closed, known_among
from retentiond.engine.context import Context
from retentiond.engine.pending import pending
from retentiond.engine.planning import Request, expire_plans, make_plan
from retentiond.engine.running import Session, carry, locked, take_up, tidy
from retentiond.errors import ConnectorError, GuardStopped
from retentiond.ports.rows import PlanRow


@dataclass(slots=True)
class Replayed:
    """What a replay came to.

    Attributes:
        session: What was carried out, and what stopped it.
        closed: How many closures that ended were looked for.
        back: How many closed accounts the stores have records of.
        erasures: How many requests for erasure that are done were looked for.
        people: How many erased users the stores have records of.
        since: Records of these that were written since their closure: they stay.
        found: What the plans found, by dataset and policy.
        by_hand: Manual purges of which only counts are left, so that nobody can tell what is to go again.
        again: Manual purges of which exactly what they had removed was there again.
    """

    session: Session
    closed: int = 0
    back: int = 0
    erasures: int = 0
    people: int = 0
    since: int = 0
    found: dict[tuple[str, str], Forecast] = field(default_factory=dict)
    by_hand: int = 0
    again: int = 0

    @property
    def overdue(self) -> int | None:
        """Records that are due and still there after it; None where not everything could be looked at."""
        blind = any(isinstance(each, ConnectorError) for each in self.session.failures)
        return None if blind or self.session.left_out else self.session.overdue

    def take(self, forecast: Forecast) -> None:
        """Add what a plan found of a dataset; several plans are of different accounts, and see all else alike."""
        name = (forecast.dataset, forecast.policy)
        known = self.found.get(name)
        if known is None:
            self.found[name] = forecast
            return
        held, unsure = max(known.held, forecast.held), max(known.undetermined, forecast.undetermined)
        self.found[name] = replace(known, due=known.due + forecast.due, held=held, undetermined=unsure)


def replay(ctx: Context) -> Replayed:
    """Remove again what a restore brought back, where the guards let it; a plan that waits for a person is left.

    Raises:
        GuardStopped: A guard forbids planning, or carrying out.
        ConnectorError: No dataset at all could be looked at.
        LedgerBusy: Another process acts.
        LedgerBehindLog: The ledger is older than its log, or than the journal.
    """
    with ctx.ledger.acting():
        session = take_up(ctx)
        session.overdue = 0  # what these carried over is due again, and counted by what follows
        expire_plans(ctx)
        done = Replayed(session)
        if _carry_approved(ctx, session):
            _go_through(ctx, done)
        session.overdue += pending(ctx).records
        tidy(ctx)
    return done


def _go_through(ctx: Context, done: Replayed) -> None:
    with Closed(ctx) as closed:
        _look_through(ctx, closed, done.session)
        done.closed, done.back = closed.count, closed.seen_back(users=False)
        done.erasures, done.people = closed.erasures, closed.seen_back(users=True)
        for some in list(closed.back(ENDS)) or [{}]:
            if not _go(ctx, done, Request(Trigger.REPLAY, gone=some, known=known_among(ctx, some), acting=True)):
                return
    purges, done.by_hand = byhand.back(ctx)
    done.again = len(purges)
    for asked in purges:
        policy = ctx.policies.of_class(ctx.datamap.datasets[asked.scope.dataset].data_class)
        if not _go(ctx, done, Request(Trigger.REPLAY, (policy.id,) if policy else (), manual=asked, acting=True)):
            return


def _look_through(ctx: Context, closed: Closed, session: Session) -> None:
    """Look for closed accounts, then for erased users, in every dataset; one that can't be read keeps no other."""
    for look in (closed.look_through, closed.look_for_users):
        for dataset in ctx.datamap.datasets.values():
            try:
                look(dataset)
            except ConnectorError as error:
                session.failures.append(error)


def _carry_approved(ctx: Context, session: Session) -> bool:
    """Carry out replays that were planned before; return False where one still waits for a person."""
    with ctx.ledger.begin() as tx:
        found = tx.plans.in_state(*chains.OPEN)
    for plan in found:
        if plan.trigger is not Trigger.REPLAY or chains.first_id(plan):
            continue
        if plan.state is RunState.WAITING:
            session.stopped, session.stopped_plan = _waits(plan), plan
            session.overdue += plan.records
            return False
        carry(ctx, session, plan)
    return True


def _waits(plan: PlanRow) -> GuardStopped:
    return GuardStopped(
        f"plan {plan.id} of a replay waits for approval: {'; '.join(plan.reasons)}",
        guard="approval",
        remedy=f"retentiond approve {plan.id}, then retentiond replay",
    )


def _go(ctx: Context, done: Replayed, request: Request) -> bool:
    """Plan some of it and carry that out; return whether the next one's turn has come."""
    session = done.session
    planned = make_plan(ctx, request)
    unlooked = (*planned.failures, *((name, "left to a run that has not ended") for name in planned.left))
    session.left_out = tuple(dict.fromkeys((*session.left_out, *unlooked)))
    done.since += planned.since
    for forecast in planned.forecasts:
        done.take(forecast)
    if planned.plan is None:
        session.held = session.held or any(forecast.held for forecast in planned.forecasts)
        session.overdue += locked(planned.forecasts).total()
        return True
    if planned.plan.state is RunState.WAITING:
        session.overdue += planned.records + locked(planned.forecasts).total()
        session.stopped, session.stopped_plan = _waits(planned.plan), planned.plan
        return False
    carry(ctx, session, planned.plan)
    return True
