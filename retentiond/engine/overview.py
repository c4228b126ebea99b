"""Status: is the promise kept? Overdue by policy, holds, closures by deadline, what waits for whom."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from retentiond.domain.account import AccountState
from retentiond.domain.cron import Cron
from retentiond.domain.erasure import OPEN, ErasureState
from retentiond.domain.policy import Schedule
from retentiond.domain.record import moment
from retentiond.engine import approvers, chains
from retentiond.engine.context import Context
from retentiond.engine.failover import Look, looks
from retentiond.engine.guards import RECOVERY
from retentiond.engine.pausing import Pause, paused
from retentiond.engine.pending import pending
from retentiond.engine.zeroing import ZeroStatus, zero_status
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ClosureRow, ErasureRow, HoldRow, PlanRow, RunRow


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """How a policy stands.

    Attributes:
        overdue: Records that the last plan found due, less those removed since; None before the first plan, and where
            that found none and could not look at all.
        oldest_overdue_seconds: Age of the oldest of them; None when there are none.
        last_success_at: When a scheduled run last removed all that was due of it, or found that nothing was.
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
        erasures: Requests for erasure that are under way, by deadline.
        erasures_past_deadline: How many of them should have ended by now.
        erasures_near_deadline: How many are past it, or nearer to it than `erasure.alert_before`.
        zero_retention: How each rule stands that promises zero retention.
        reviews_overdue: Ids of holds that should have been reviewed by now; they are in force still.
        moved: Stores that went back or elsewhere, in the last days or not looked at again yet.
    """

    policies: tuple[PolicyStatus, ...]
    holds: Sequence[HoldRow]
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
    erasures: Sequence[ErasureRow] = ()
    erasures_past_deadline: int = 0
    erasures_near_deadline: int = 0
    reviews_overdue: tuple[str, ...] = ()
    zero_retention: tuple[ZeroStatus, ...] = ()


def status(ctx: Context) -> Status:
    """Return how things stand, from the ledger alone."""
    now = ctx.now()
    left, moved, changed, halted = pending(ctx).records, looks(ctx), approvers.waiting(ctx), paused(ctx)
    with ctx.ledger.begin() as tx:
        closures, holds = tx.closures.in_state(AccountState.GRACE, AccountState.CLOSING), tx.holds.active()
        erasures = tx.erasures.in_state(ErasureState.ASKED, *OPEN)
        near = ctx.policies.erasure.alert_before.after(now)
        facts = {
            policy: (tx.facts.get(f"overdue:{policy}"), tx.facts.get(f"success:{policy}"), _last_run(tx, policy))
            for policy in ctx.policies.policies
        }
        return Status(
            policies=tuple(
                _policy(policy, ctx.policies.policies[policy].schedule, known, now) for policy, known in facts.items()
            ),
            holds=holds,
            closures=closures,
            runs=tx.runs.recent(10),
            waiting=[plan for plan in tx.plans.in_state(*chains.OPEN) if not chains.first_id(plan)],
            stopped_by_file=ctx.terms.stop_file is not None and ctx.terms.stop_file.exists(),
            recovery_unsigned=bool(tx.facts.get(RECOVERY)),
            pending=left,
            paused=halted,
            approvers=changed,
            moved=moved,
            closures_past_deadline=sum(each.next_deadline < now for each in closures),
            closure_records_overdue=sum(each.remainder.overdue(now) for each in closures if each.remainder),
            erasures=erasures,
            erasures_past_deadline=sum(each.next_deadline <= now for each in erasures),
            erasures_near_deadline=sum(each.next_deadline <= near for each in erasures),
            reviews_overdue=unreviewed(holds, now),
            zero_retention=tuple(zero_status(ctx, tx, now)),
        )


def unreviewed(holds: Sequence[HoldRow], now: datetime) -> tuple[str, ...]:
    """Return the ids of holds that should have been reviewed by a time."""
    return tuple(each.id for each in holds if each.review_at is not None and each.review_at <= now)


def remember_run(
    ctx: Context,
    plan: PlanRow,
    finished_at: datetime,
    left: Mapping[str, int],
    short: Collection[str],
    unseen: Collection[str] = (),
) -> None:
    """Keep what status says once a plan was carried out: how much is still overdue, by policy, and what went well.

    Told again of a run that ended before, as after a crash, it changes nothing that is newer.

    Args:
        left: How many records of each policy are due and still there.
        short: Policies of which something was not removed that should have been: to them it was no success.
        unseen: Policies a dataset of which could not be looked at.
    """
    at = finished_at.isoformat()
    with ctx.ledger.begin() as tx:
        for policy, _ in plan.policies:
            known = _last_run(tx, policy)
            if known is not None and known >= finished_at:
                continue
            count = left.get(policy, 0)
            before = (tx.facts.get(f"overdue:{policy}") or "0 - -").split(" ")
            said = f"{count} {before[1] if count else '-'} {at}"
            tx.facts.set(f"overdue:{policy}", "" if policy in unseen and not count else said)
            tx.facts.set(f"ran:{policy}", at)
            if policy not in short:
                tx.facts.set(f"success:{policy}", at)


def remember_idle(ctx: Context, policies: Collection[str], at: datetime) -> None:
    """Keep that all of some policies was looked at as scheduled, and nothing of it was due: that is success too."""
    with ctx.ledger.begin() as tx:
        for policy in policies:
            tx.facts.set(f"ran:{policy}", at.isoformat())
            tx.facts.set(f"success:{policy}", at.isoformat())


def _last_run(tx: Transaction, policy: str) -> datetime | None:
    said = tx.facts.get(f"ran:{policy}") or tx.facts.get(f"success:{policy}")  # older releases kept the latter only
    return datetime.fromisoformat(said) if said else None


def _policy(
    policy: str, schedule: Schedule, known: tuple[str | None, str | None, datetime | None], now: datetime
) -> PolicyStatus:
    overdue, success, ran = known
    count, oldest, _ = overdue.split(" ") if overdue else ("", "-", "")
    seconds = None if oldest == "-" else int((now - moment(int(oldest))).total_seconds())
    return PolicyStatus(
        policy=policy,
        overdue=int(count) if count else None,
        oldest_overdue_seconds=seconds,
        last_success_at=datetime.fromisoformat(success) if success else None,
        next_run_at=_next_run(schedule, ran),
    )


def _next_run(schedule: Schedule, last: datetime | None) -> datetime | None:
    if last is None:
        return None
    return schedule.every.after(last) if schedule.every else Cron.parse(schedule.cron, schedule.zone).next(last)
