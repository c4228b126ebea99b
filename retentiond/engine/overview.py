"""Status: is the promise kept? Overdue by policy, holds, closures by deadline, what waits for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from retentiond.domain.account import AccountState
from retentiond.domain.cron import Cron
from retentiond.domain.hold import Hold
from retentiond.domain.policy import Schedule
from retentiond.domain.record import moment
from retentiond.engine import approvers, chains
from retentiond.engine.context import Context
from retentiond.engine.failover import Look, looks
from retentiond.engine.guards import RECOVERY
from retentiond.engine.pausing import Pause, paused
from retentiond.engine.pending import pending
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ClosureRow, PlanRow, RunRow


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """How a policy stands.

    Attributes:
        overdue: Records that the last plan found due, less those removed since; None before the first plan.
        oldest_overdue_seconds: Age of the oldest of them; None when there are none.
        next_run_at: When its next run is due, reckoned from the last one.
    """

    policy: str
    overdue: int | None
    oldest_overdue_seconds: int | None
    last_success_at: datetime | None
    next_run_at: datetime | None


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that status tells.

    Attributes:
        pending: Records that are left of runs and chains that go on with the next run.
        paused: The pause that is in force; None for none.
        approvers: Digest of a changed approvers file that is not in force, and how many signatures it lacks.
        closures_past_deadline: How many of the closures should have ended by now.
        closure_records_overdue: Records of accounts that leave that were due and still there at the last look.
        moved: Stores that went back or elsewhere, in the last days or not looked at again yet.
    """

    policies: tuple[PolicyStatus, ...]
    holds: Sequence[Hold]
    closures: Sequence[ClosureRow]
    runs: Sequence[RunRow]
    waiting: Sequence[PlanRow]
    stopped_by_file: bool
    recovery_unsigned: bool
    pending: int
    paused: Pause | None
    approvers: tuple[str, int] | None
    moved: Sequence[Look]
    closures_past_deadline: int = 0
    closure_records_overdue: int = 0


def status(ctx: Context) -> Status:
    """Return how things stand, from the ledger alone."""
    now = ctx.now()
    left, moved, changed, halted = pending(ctx).records, looks(ctx), approvers.waiting(ctx), paused(ctx)
    with ctx.ledger.begin() as tx:
        closures = tx.closures.in_state(AccountState.GRACE, AccountState.CLOSING)
        facts = {
            policy: (tx.facts.get(f"overdue:{policy}"), tx.facts.get(f"success:{policy}"))
            for policy in ctx.policies.policies
        }
        return Status(
            policies=tuple(_policy(ctx, policy, *known, now) for policy, known in facts.items()),
            holds=tx.holds.active(),
            closures=closures,
            runs=tx.runs.recent(10),
            waiting=[plan for plan in tx.plans.in_state(*chains.OPEN) if not chains.first_id(plan)],
            stopped_by_file=ctx.terms.stop_file is not None and ctx.terms.stop_file.exists(),
            recovery_unsigned=bool(tx.facts.get(RECOVERY)),
            pending=left,
            paused=halted,
            approvers=changed,
            moved=moved,
            closures_past_deadline=sum(each.deadline_at < now for each in closures),
            closure_records_overdue=sum(each.remainder.overdue for each in closures if each.remainder),
        )


def remember_success(ctx: Context, plan: PlanRow, finished_at: datetime, left: Mapping[str, int]) -> None:
    """Keep what status says once a plan was carried out: how much is still overdue, by policy.

    Told again of a run that ended before, as after a crash, it changes nothing that is newer.
    """
    at = finished_at.isoformat()
    with ctx.ledger.begin() as tx:
        for policy, _ in plan.policies:
            known = tx.facts.get(f"success:{policy}")
            if known is not None and datetime.fromisoformat(known) >= finished_at:
                continue
            count = left.get(policy, 0)
            before = (tx.facts.get(f"overdue:{policy}") or "0 - -").split(" ")
            tx.facts.set(f"overdue:{policy}", f"{count} {before[1] if count else '-'} {at}")
            tx.facts.set(f"success:{policy}", at)


def known_overdue(tx: Transaction, policy: str) -> int:
    """Return how many records of a policy were overdue when that was last known."""
    return int((tx.facts.get(f"overdue:{policy}") or "0").split(" ")[0])


def _policy(ctx: Context, policy: str, overdue: str | None, success: str | None, now: datetime) -> PolicyStatus:
    count, oldest, _ = overdue.split(" ") if overdue else ("", "-", "")
    last = datetime.fromisoformat(success) if success else None
    schedule = ctx.policies.policies[policy].schedule
    seconds = None if oldest == "-" else int((now - moment(int(oldest))).total_seconds())
    return PolicyStatus(
        policy=policy,
        overdue=int(count) if count else None,
        oldest_overdue_seconds=seconds,
        last_success_at=last,
        next_run_at=_next_run(schedule, last),
    )


def _next_run(schedule: Schedule, last: datetime | None) -> datetime | None:
    if last is None:
        return None
    return schedule.every.after(last) if schedule.every else Cron.parse(schedule.cron, schedule.zone).next(last)
