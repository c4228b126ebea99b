"""From policies to a plan: scan, decide, draft, guard, log. Nothing is removed here.

Datasets are planned one after the other, children before their parents; one that fails is left out and named, the
others go on. A dataset whose rows name objects is planned together with those objects: objects first, then the rows,
batch by batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from retentiond.domain.account import Leaver
from retentiond.domain.dataset import Dataset
from retentiond.domain.erasure import Person, Persons
from retentiond.domain.plan import Forecast, RunState, Trigger
from retentiond.domain.policy import Policy
from retentiond.engine import caps, chains, guards
from retentiond.engine.approvals import void
from retentiond.engine.context import Context
from retentiond.engine.counting import Count, DatasetPlan
from retentiond.engine.drafting import Draft, Tallies, drafting
from retentiond.engine.estimating import Estimate, estimate
from retentiond.engine.graphing import graph_of
from retentiond.engine.kinship import Kinship
from retentiond.engine.leaving import Left, Whom
from retentiond.engine.manual import Manual
from retentiond.engine.overdue import policies_left_out, remember_due
from retentiond.engine.pending import Pending, pending
from retentiond.engine.proposing import Proposal, propose
from retentiond.engine.retrying import TRIES, pause_seconds
from retentiond.engine.scanning import plan_dataset
from retentiond.engine.subjects import Subject
from retentiond.engine.zeroing import remember_checks
from retentiond.errors import ConnectorError, GuardStopped, UsageError
from retentiond.evidence.canonical import rfc3339
from retentiond.ports.rows import PlanRow

_CAPS_TOLD = 10


@dataclass(frozen=True, slots=True)
class Request:
    """What to plan.

    Attributes:
        policies: Ids of the policies; empty for all.
        leaving: For closures: the accounts that leave, each with its closure's id; for erasures the people whose data
            goes, each with the request's.
        leavers: What is known of those of them, where anything has to be kept of them.
        manual: What somebody asks to be purged; None where nobody does.
        gone: For a replay: closed accounts and erased users, each with the end of that, microseconds since the epoch.
        known: What is known of these, where anything has to be kept of them.
        acting: Whether whoever asks is the process that acts on the ledger.
    """

    trigger: Trigger = Trigger.SCHEDULE
    policies: tuple[str, ...] = ()
    leaving: Mapping[str, str] = field(default_factory=dict)
    leavers: Mapping[str, Leaver] = field(default_factory=dict)
    manual: Manual | None = None
    gone: Mapping[Person, int] = field(default_factory=dict)
    known: Mapping[Person, Leaver] = field(default_factory=dict)
    acting: bool = False

    def __post_init__(self) -> None:
        """Refuse a closure or an erasure of nobody: policy would decide then what goes."""
        if (self.trigger in (Trigger.CLOSURE, Trigger.ERASURE)) != bool(self.leaving):
            message = "a closure is of accounts that leave, an erasure of people, and nothing else is"
            raise ValueError(message)
        if (self.trigger is Trigger.ERASURE) != isinstance(self.leaving, Persons):
            message = "an erasure is of people, and nothing else is"
            raise ValueError(message)

    @property
    def who(self) -> Whom:
        """The accounts that leave, with what is known of each, or the people whose data goes."""
        if isinstance(self.leaving, Persons):
            return self.leaving
        return {account: self.leavers.get(account, Leaver()) for account in self.leaving}

    @property
    def by_policy(self) -> bool:
        """Whether policies decide what is due."""
        return not self.leaving and self.manual is None


@dataclass(frozen=True, slots=True)
class Planned:
    """What came of planning.

    Attributes:
        plan: The plan, the first of its chain; None when nothing is due, so that there is nothing to carry out.
        forecasts: What was found, by dataset.
        failures: Datasets that could not be planned, with the reason.
        chain: The further plans, where there are any.
        estimate: What carrying them out will take; None when nothing is due.
        left: Datasets that were left to a run that was begun before and goes on later.
        stays: What is still there of the accounts that leave.
        above: Accounts of which more is due than one closure may take; there is no plan then, unless it is of nobody
            else.
        since: For a replay: records of closed accounts that were written since their closure, and stay.
    """

    plan: PlanRow | None
    forecasts: tuple[Forecast, ...]
    failures: tuple[tuple[str, str], ...]
    reference: datetime
    chain: tuple[PlanRow, ...] = ()
    estimate: Estimate | None = None
    left: tuple[str, ...] = ()
    stays: Left = field(default_factory=lambda: Left(()))
    above: frozenset[str] = frozenset()
    since: int = 0

    @property
    def records(self) -> int:
        """Records of all plans."""
        return sum(plan.records for plan in (*((self.plan,) if self.plan else ()), *self.chain))

    @property
    def reasons(self) -> list[str]:
        """Why approval is needed, and which datasets were left out."""
        own = list(self.plan.reasons) if self.plan else []
        own += [f"dataset {name} was left to a run that was begun and has not ended" for name in self.left]
        return own + [f"dataset {name} was left out: {why}" for name, why in self.failures]


def make_plan(ctx: Context, request: Request) -> Planned:
    """Scan, decide and log a plan, or a chain of them where more is due than one plan holds.

    Raises:
        UsageError: A policy that was named does not exist.
        GuardStopped: A guard forbids planning, or a row names more objects than a plan holds.
        ConnectorError: No dataset at all could be looked at.
        LedgerBehindLog: The ledger is older than its log.
    """
    _check_policies(ctx, request)
    reference = guards.before_planning(ctx)
    expire_plans(ctx)
    unended = pending(ctx) if request.by_policy else Pending()
    subjects, left = _apart(_subjects(ctx, request), unended.datasets)
    with drafting(ctx, reference, acting=request.acting, leaving=request.leaving) as draft, Kinship() as kin:
        try:
            plans, failures = _draft_all(ctx, draft, kin, subjects, reference)
        except ConnectorError:
            if request.by_policy:
                unseen = policies_left_out(ctx, (each.dataset.name for each in subjects))
                remember_due(ctx, (), unended, unseen, reference)
            raise
        forecasts = _forecasts(plans)
        most, setting = _most(ctx, request)
        above = caps.above_closure_cap(forecasts, draft.takes, most, setting)
        apart = bool(above) and above.keys() != {account for _, account in draft.takes}
        since = sum(count.since for plan in plans for count in plan.counts)
        people = (*_caps(above.values()), *_came_back(since))
        proposal = Proposal(draft, request.trigger, forecasts, reference, request.manual, request.leaving, people)
        rows = propose(ctx, proposal) if draft.records and not apart else ()
    if request.by_policy:
        remember_due(ctx, forecasts, unended, policies_left_out(ctx, dict(failures)), reference)
        remember_checks(ctx, [count for plan in plans for count in plan.counts], reference)
    return Planned(
        plan=rows[0] if rows else None,
        forecasts=forecasts,
        failures=tuple(failures),
        reference=reference,
        chain=rows[1:],
        estimate=estimate(ctx, [part for plan in draft.plans for part in plan.parts], len(rows)) if rows else None,
        left=left,
        stays=_stays(request, plans, draft),
        above=frozenset(above) if apart else frozenset(),
        since=since,
    )


def look(ctx: Context, request: Request) -> Planned:
    """Say what is there of accounts that leave; no plan comes of it.

    Raises:
        GuardStopped: A guard forbids planning.
        ConnectorError: No dataset at all could be looked at.
    """
    reference = guards.before_planning(ctx)
    draft = Tallies(ctx, reference, leaving=request.leaving)
    with Kinship() as kin:
        plans, failures = _draft_all(ctx, draft, kin, _subjects(ctx, request), reference)
    return Planned(None, _forecasts(plans), tuple(failures), reference, stays=_stays(request, plans, draft))


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at everything found that no plan comes of.

    Attributes:
        counts: What was found, by dataset.
        failures: Datasets that could not be looked at, with the reason.
        policies: Those that decided.
    """

    counts: tuple[Count, ...]
    failures: tuple[tuple[str, str], ...]
    policies: tuple[Policy, ...]
    at: datetime

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """The datasets that were looked at."""
        return tuple(count.dataset for count in self.counts)


def look_at_all(ctx: Context, policies: tuple[str, ...], only: tuple[str, ...], as_of: datetime | None) -> Looked:
    """Say what was due by a time and is there still, with everything that is kept or held; no plan comes of it.

    Args:
        only: Ask about the records of these accounts, and whatever may be theirs; none for everybody's.
        as_of: Now or a time that is over; None for now.

    Raises:
        UsageError: A policy that was named does not exist, or the time is still to come.
        GuardStopped: A guard forbids planning.
        ConnectorError: No dataset at all could be looked at.
    """
    request = Request(policies=policies)
    _check_policies(ctx, request)
    now = guards.before_planning(ctx)
    reference = as_of or now
    if reference > now:
        raise UsageError(f"{rfc3339(reference)} is still to come", where="--to", remedy="name a time that is over")
    subjects = [replace(each, only=only, seen_at=now) for each in _subjects(ctx, request)]
    with Kinship() as kin:
        plans, failures = _draft_all(ctx, Tallies(ctx, reference), kin, subjects, reference)
    decided = tuple(_policies(ctx, policies or ctx.policies.policies))
    return Looked(tuple(count for plan in plans for count in plan.counts), tuple(failures), decided, now)


def _most(ctx: Context, request: Request) -> tuple[float | None, str]:
    """Return the most of a dataset that one closure or erasure may take, and the setting that says so."""
    if request.trigger is Trigger.ERASURE:
        return ctx.policies.erasure.max_percent, "erasure.limits.max_percent"
    return ctx.policies.closure.max_percent, "closure.limits.max_percent"


def _came_back(since: int) -> tuple[str, ...]:
    """Return why a person has to look at a replay: an account that came back may have brought old records along."""
    if not since:
        return ()
    came = f"{since} records of closed accounts were written since their closure, and stay"
    return (f"{came}: these accounts came back, and what goes of them is what is older than their closure",)


def _caps(reasons: Iterable[str]) -> tuple[str, ...]:
    told = sorted(reasons)
    more = [f"and {len(told) - _CAPS_TOLD} accounts more"] if len(told) > _CAPS_TOLD else []
    return (*told[:_CAPS_TOLD], *more)


def _forecasts(plans: Iterable[DatasetPlan]) -> tuple[Forecast, ...]:
    return tuple(forecast for plan in plans for forecast in plan.forecasts())


def _stays(request: Request, plans: Iterable[DatasetPlan], draft: Draft) -> Left:
    stays = Left(request.leaving)
    stays.add((plan.left for plan in plans), draft.takes)
    return stays


def forecast(ctx: Context, policies: tuple[str, ...], at: datetime) -> Planned:
    """Say what would be due at a time that is to come; no plan comes of it, and nothing is written or logged.

    Raises:
        UsageError: A policy that was named does not exist, or the time is over.
        GuardStopped: A guard forbids planning.
        ConnectorError: No dataset at all could be looked at.
    """
    request = Request(policies=policies)
    _check_policies(ctx, request)
    if at < guards.before_planning(ctx):
        raise UsageError(f"{rfc3339(at)} is over", where="--at", remedy="name a time that is to come")
    draft = Tallies(ctx, at)
    with Kinship() as kin:
        plans, failures = _draft_all(ctx, draft, kin, _subjects(ctx, request), at)
    found = _forecasts(plans)
    parts = [part for plan in draft.plans for part in plan.parts]
    reckoned = estimate(ctx, parts, len(draft.plans)) if draft.records else None
    return Planned(None, found, tuple(failures), at, estimate=reckoned)


def _apart(subjects: Sequence[Subject], busy: frozenset[str]) -> tuple[list[Subject], tuple[str, ...]]:
    """Return the subjects that can be planned, and the names of datasets that an unfinished run is busy with."""
    free, left = [], []
    for subject in subjects:
        names = [each.name for each in (subject.dataset, subject.follower) if each]
        if busy.isdisjoint(names):
            free.append(subject)
        else:
            left.append(subject.dataset.name)
    return free, tuple(left)


def _check_policies(ctx: Context, request: Request) -> None:
    unknown = [name for name in request.policies if name not in ctx.policies.policies]
    if unknown:
        known = ", ".join(ctx.policies.policies) or "there are none"
        raise UsageError(f"there is no policy {unknown[0]!r}", where="--policy", remedy=f"one of: {known}")


def expire_plans(ctx: Context) -> None:
    """Write the void of every plan that expired before it began; a chain has begun with its first plan."""
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        open_plans = tx.plans.in_state(RunState.PLANNED, RunState.WAITING)
    for plan in open_plans:
        if plan.has_expired(now) and not chains.first_id(plan):
            void(ctx, plan, "expired")


def _subjects(ctx: Context, request: Request) -> list[Subject]:
    wanted = request.policies or tuple(ctx.policies.policies)
    by_class = {policy.data_class: policy for policy in _policies(ctx, wanted)}
    subjects = []
    for dataset in graph_of(ctx).children_first():
        if dataset.follows or not _concerns(request, dataset, by_class):
            continue
        follower = ctx.datamap.datasets[dataset.blobs.dataset] if dataset.blobs else None
        scope = request.manual.scope if request.manual else None
        gone = request.gone if request.trigger is Trigger.REPLAY and request.manual is None else None
        subject = Subject(dataset, follower, by_class, request.who, gone, request.known, scope)
        if request.manual is not None:
            asked = request.manual
            subject = replace(subject, as_of=asked.as_of, cutoff=asked.cutoff, exact=asked.exact)
        subjects.append(subject)
    return subjects


def _concerns(request: Request, dataset: Dataset, by_class: Mapping[str, Policy]) -> bool:
    if request.manual is not None:
        return dataset.name == request.manual.scope.dataset
    if request.leaving:
        return dataset.has_owner
    return dataset.data_class in by_class or bool(request.gone and dataset.has_owner)


def _draft_all(
    ctx: Context, draft: Draft, kin: Kinship, subjects: Sequence[Subject], reference: datetime
) -> tuple[list[DatasetPlan], list[tuple[str, str]]]:
    plans: list[DatasetPlan] = []
    failures: list[tuple[str, str]] = []
    cause: ConnectorError | None = None
    for subject in subjects:
        try:
            plans.append(_draft_one(ctx, draft, kin, subject, reference))
        except ConnectorError as error:
            failures.append((subject.dataset.name, str(error)))
            cause = error
        except GuardStopped as error:
            failures.append((subject.dataset.name, str(error)))
    if cause is not None and not plans and len(failures) == len(subjects):
        raise cause
    return plans, failures


def _draft_one(
    ctx: Context, draft: Draft, kin: Kinship, subject: Subject, reference: datetime, *, failed: int = 0
) -> DatasetPlan:
    """Plan one dataset; where a failure may pass, such as a lost connection, again from its beginning."""
    mark = draft.bookmark()
    try:
        return plan_dataset(ctx, draft, kin, subject, reference)
    except (ConnectorError, GuardStopped) as error:
        draft.go_back(mark)
        kin.forget(subject.dataset.name)
        if failed + 1 == TRIES or not (isinstance(error, ConnectorError) and error.transient):
            raise
    ctx.clock.sleep(pause_seconds(failed + 1))
    return _draft_one(ctx, draft, kin, subject, reference, failed=failed + 1)


def _policies(ctx: Context, ids: Iterable[str]) -> list[Policy]:
    wanted = set(ids)
    return [policy for policy in ctx.policies.policies.values() if policy.id in wanted]
