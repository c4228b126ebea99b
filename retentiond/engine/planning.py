"""From policies to a plan: scan, decide, draft, guard, log. Nothing is removed here.

Datasets are planned one after the other, children before their parents; one that fails is left out and named, the
others go on. A dataset whose rows name objects is planned together with those objects: objects first, then the rows,
batch by batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from retentiond.domain.dataset import Dataset
from retentiond.domain.plan import Forecast, RunState, Trigger
from retentiond.domain.policy import Limits, Policy
from retentiond.engine import guards
from retentiond.engine.approvals import lists_commitment, void
from retentiond.engine.context import Context, new_id
from retentiond.engine.drafting import Draft
from retentiond.engine.kinship import Kinship
from retentiond.engine.scanning import DatasetPlan, Subject, plan_dataset
from retentiond.errors import ConnectorError, GuardStopped, UsageError
from retentiond.evidence.canonical import canonical_json
from retentiond.evidence.entry import plan_entry, policy_entry
from retentiond.evidence.envelope import sign
from retentiond.evidence.statement import Digest, PlanFacts, PlanPart, plan_statement
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import PlanRow
from retentiond.telemetry import logger


@dataclass(frozen=True, slots=True)
class Request:
    """What to plan.

    Attributes:
        policies: Ids of the policies; empty for all.
        account: The account that leaves, for closures; empty otherwise.
        closure: The closure's id; empty otherwise.
    """

    trigger: Trigger = Trigger.SCHEDULE
    policies: tuple[str, ...] = ()
    account: str = ""
    closure: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """What came of planning.

    Attributes:
        plan: The plan; None when nothing is due, so that there is nothing to carry out.
        forecasts: What was found, by dataset.
        failures: Datasets that could not be planned, with the reason.
    """

    plan: PlanRow | None
    forecasts: tuple[Forecast, ...]
    failures: tuple[tuple[str, str], ...]
    reference: datetime

    @property
    def reasons(self) -> list[str]:
        """Why approval is needed, and which datasets were left out."""
        own = list(self.plan.reasons) if self.plan else []
        return own + [f"dataset {name} was left out: {why}" for name, why in self.failures]


def make_plan(ctx: Context, request: Request) -> Planned:
    """Scan, decide and log a plan.

    Raises:
        UsageError: A policy that was named does not exist.
        GuardStopped: A guard forbids planning, or too much is due for one plan.
        ConnectorError: No dataset at all could be looked at.
        LedgerBehindLog: The ledger is older than its log.
    """
    _check_policies(ctx, request)
    reference = guards.before_planning(ctx)
    expire_plans(ctx)
    subjects = _subjects(ctx, request)
    plan_id = new_id(reference)
    with ctx.ledger.begin() as tx:
        tx.plans.discard_drafts()
        tx.plans.begin_draft(plan_id, reference)
    draft = Draft(ctx, plan_id)
    with Kinship() as kin:
        plans, failures = _draft_all(ctx, draft, kin, subjects, reference)
    forecasts = tuple(forecast for plan in plans for forecast in plan.forecasts())
    if not draft.records:
        with ctx.ledger.begin() as tx:
            tx.plans.discard_drafts()
        _remember(ctx, request, forecasts, reference)
        return Planned(None, forecasts, tuple(failures), reference)
    row = _log_plan(ctx, request, draft, forecasts, reference)
    _remember(ctx, request, forecasts, reference)
    return Planned(row, forecasts, tuple(failures), reference)


def _check_policies(ctx: Context, request: Request) -> None:
    unknown = [name for name in request.policies if name not in ctx.policies.policies]
    if unknown:
        known = ", ".join(ctx.policies.policies) or "there are none"
        raise UsageError(f"there is no policy {unknown[0]!r}", where="--policy", remedy=f"one of: {known}")


def expire_plans(ctx: Context) -> None:
    """Write the void of every plan that expired before it began, and of those that a later plan replaced."""
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        open_plans = tx.plans.in_state(RunState.PLANNED, RunState.WAITING)
    for plan in open_plans:
        if now >= plan.expires_at:
            void(ctx, plan, "expired")


def _subjects(ctx: Context, request: Request) -> list[Subject]:
    wanted = request.policies or tuple(ctx.policies.policies)
    by_class = {policy.data_class: policy for policy in _policies(ctx, wanted)}
    subjects = []
    for dataset in ctx.datamap.children_first():
        governed = dataset.data_class in by_class
        if dataset.follows or not (dataset.has_owner if request.account else governed):
            continue
        follower = ctx.datamap.datasets[dataset.blobs.dataset] if dataset.blobs else None
        subjects.append(Subject(dataset, follower, by_class, request.account))
    return subjects


def _draft_all(
    ctx: Context, draft: Draft, kin: Kinship, subjects: Sequence[Subject], reference: datetime
) -> tuple[list[DatasetPlan], list[tuple[str, str]]]:
    plans: list[DatasetPlan] = []
    failures: list[tuple[str, str]] = []
    cause: ConnectorError | None = None
    for subject in subjects:
        mark = draft.bookmark()
        try:
            plans.append(plan_dataset(ctx, draft, kin, subject, reference))
        except ConnectorError as error:
            draft.go_back(mark)
            kin.forget(subject.dataset.name)
            failures.append((subject.dataset.name, str(error)))
            cause = error
        except GuardStopped as error:
            if error.guard == "plan-size":
                raise
            draft.go_back(mark)
            kin.forget(subject.dataset.name)
            failures.append((subject.dataset.name, str(error)))
    if cause is not None and not plans and len(failures) == len(subjects):
        raise cause
    return plans, failures


def _log_plan(
    ctx: Context, request: Request, draft: Draft, forecasts: tuple[Forecast, ...], reference: datetime
) -> PlanRow:
    parts = [part for part in draft.parts if part.due]
    policies = _policies(ctx, {part.policy for part in parts})
    datasets = [ctx.datamap.datasets[name] for name in dict.fromkeys(part.dataset for part in parts)]
    expires = ctx.terms.plan_expires.after(reference)
    facts = PlanFacts(
        plan_id=draft.plan,
        instance=ctx.terms.instance,
        created_at=reference,
        expires_at=expires,
        trigger=request.trigger.value,
        reference_time=reference,
        policies=tuple(Digest(policy.id, policy.sha256) for policy in policies),
        datasets=tuple(Digest(dataset.name, dataset.sha256) for dataset in datasets),
        parts=tuple(
            PlanPart(p.dataset, p.policy, p.action.value, p.due, p.rule, p.cutoff, p.size_bytes) for p in parts
        ),
        records=draft.records,
        records_sha256=draft.records_sha256(),
    )
    envelope = sign(plan_statement(facts), ctx.issuer)
    pairs = tuple((policy.id, policy.sha256) for policy in policies)
    lists = lists_commitment(ctx, pairs)
    _publish_canonical(ctx, [*policies, *datasets])
    with ctx.ledger.begin() as tx:
        reasons = _reasons(ctx, tx, request, forecasts, policies, datasets)
        row = PlanRow(
            id=draft.plan,
            sha256=envelope.sha256,
            state=RunState.WAITING if reasons else RunState.PLANNED,
            trigger=request.trigger,
            created_at=reference,
            expires_at=expires,
            reference_time=reference,
            log_index=tx.entries.stage(plan_entry(envelope.sha256)),
            envelope=canonical_json(envelope.to_json()),
            nonce=draft.nonce,
            policies=pairs,
            datasets=tuple((dataset.name, dataset.sha256) for dataset in datasets),
            records=draft.records,
            approvals_needed=1 if reasons else 0,
            reasons=tuple(reasons),
            forecasts=forecasts,
            closure=request.closure,
            lists=lists,
        )
        tx.plans.finish_draft(row, draft.parts)
        tx.events.append("plan.made", row.id, reference, {"records": row.records, "sha256": row.sha256})
    ctx.log.publish()
    known = {"plan": row.id, "trigger": row.trigger, "records": row.records, "approvals": row.approvals_needed}
    logger().info("plan", **known, reasons=len(reasons))
    return row


def _policies(ctx: Context, ids: Iterable[str]) -> list[Policy]:
    wanted = set(ids)
    return [policy for policy in ctx.policies.policies.values() if policy.id in wanted]


def _reasons(
    ctx: Context,
    tx: Transaction,
    request: Request,
    forecasts: tuple[Forecast, ...],
    policies: list[Policy],
    datasets: list[Dataset],
) -> list[str]:
    if request.trigger is Trigger.CLOSURE:
        return _closure_reasons(ctx, forecasts)
    reasons = guards.approval_reasons(ctx, tx, policies, datasets)
    return reasons + guards.cap_reasons(forecasts, {policy.id: policy.limits for policy in policies})


def _closure_reasons(ctx: Context, forecasts: tuple[Forecast, ...]) -> list[str]:
    percent = ctx.policies.closure.max_percent
    if percent is None:
        return []
    limits = {forecast.policy: Limits(max_percent=percent) for forecast in forecasts}
    return guards.cap_reasons(forecasts, limits)


def _publish_canonical(ctx: Context, declared: Iterable[Policy | Dataset]) -> None:
    for each in declared:
        name = f"canonical:{each.sha256}"
        with ctx.ledger.begin() as tx:
            if tx.facts.get(name) is None:
                tx.entries.stage(policy_entry(each.sha256))
                tx.facts.set(name, each.canonical.decode())  # so that a log that is lost can be written again
        ctx.log.publish_file(f"policies/{each.sha256}.json", each.canonical)


def _remember(ctx: Context, request: Request, forecasts: tuple[Forecast, ...], reference: datetime) -> None:
    """Keep what status says of overdue records: of each policy, how many were due and how old the oldest was."""
    if request.account:
        return
    due: dict[str, int] = {}
    oldest: dict[str, int] = {}
    for forecast in forecasts:
        due[forecast.policy] = due.get(forecast.policy, 0) + forecast.due + forecast.waiting
        if forecast.oldest is not None:
            oldest[forecast.policy] = min(forecast.oldest, oldest.get(forecast.policy, forecast.oldest))
    with ctx.ledger.begin() as tx:
        for policy, count in due.items():
            tx.facts.set(f"overdue:{policy}", f"{count} {oldest.get(policy, '-')} {reference.isoformat()}")
