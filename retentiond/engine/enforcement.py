"""The lower half of the data path: a plan is carried out batch by batch, and ends in exactly one receipt.

After a crash the same function is called again: batches that ended are left alone, a batch found half done is simply
executed again, and the receipt is issued once all have ended.
"""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from retentiond.domain.plan import BatchState, Part, RunState
from retentiond.domain.policy import REMOVING
from retentiond.engine import chains, guards, preparing
from retentiond.engine.approvals import find_plan, void
from retentiond.engine.batches import CANARY, STOPPING, Work, carry_over, execute
from retentiond.engine.context import Context, new_id
from retentiond.engine.leaving import accounts_of
from retentiond.engine.pace import Deferral, Pacer
from retentiond.engine.preparing import NOTHING_PREPARED, Prepared
from retentiond.engine.receipts import issue_run_receipt, manifest_directory, run_context
from retentiond.engine.references import References
from retentiond.errors import ApprovalError, Deferred, GuardStopped, LedgerError
from retentiond.evidence.canonical import rfc3339
from retentiond.ports.rows import BatchRow, PlanRow, ReceiptRow, RunRow

_OPEN = (BatchState.PLANNED, BatchState.CLAIMED, BatchState.ACTED)
_CHANGED = ("policy-changed", "dataset-changed")


@dataclass(frozen=True, slots=True)
class Carried:
    """A run as it ended."""

    run: RunRow
    plan: PlanRow
    receipt: ReceiptRow
    parts: Sequence[Part]
    batches: Sequence[BatchRow]

    def outcomes(self) -> dict[str, Counter[str]]:
        """Return how many records ended in which way, by dataset."""
        found: dict[str, Counter[str]] = {}
        for batch in self.batches:
            found.setdefault(self.parts[batch.part].dataset, Counter()).update(batch.outcomes)
        return found

    def carried_over(self) -> Counter[str]:
        """Return how many records were carried over, by policy."""
        found: Counter[str] = Counter()
        for batch in self.batches:
            found[self.parts[batch.part].policy] += batch.outcomes.get("carriedOver", 0)
        return found


def carry_out(ctx: Context, reference: str) -> Carried:
    """Carry out a plan, or go on with one that was begun, and issue its receipt; one that ended is only told of.

    Args:
        reference: The plan's id or sha256.

    Raises:
        GuardStopped: A guard says no; what was begun can be gone on with once it is content.
        Deferred: A store may not be worked on now; what could be done elsewhere was done, the rest goes on later.
        Interrupted: The operator asked to stop; the batch in hand was finished.
    """
    with ctx.ledger.begin() as tx:
        plan = find_plan(tx, reference)
        parts = tx.plans.parts(plan.id)
        run = tx.runs.of_plan(plan.id)
    if run is not None and plan.state in (RunState.DONE, RunState.PARTIAL):
        return _ended(ctx, plan, run.id)
    if plan.state is RunState.CANCELLED:
        guards.check_fresh(plan, ctx.now())
        raise _void(plan)
    if run is not None and guards.is_cancelled(ctx, plan):
        guards.before_planning(ctx)  # its receipt is signed, and bears the time
        _abandon(ctx, plan, guards.CANCELLED)
    else:
        _check(ctx, plan, begun=run is not None)
    run = _begin(ctx, plan) if run is None else _go_on(ctx, plan, run)
    work = Work(plan, parts, accounts_of(ctx, plan))
    with References() as references, _prepared(ctx, run, plan) as prepared:
        _count_references(ctx, work, references)
        _work_through(ctx, replace(work, elsewhere=references.elsewhere, prepared=prepared))
        issue_run_receipt(ctx, run, replace(work, prepared=prepared))
    return _ended(ctx, plan, run.id)


def _prepared(ctx: Context, run: RunRow, plan: PlanRow) -> Prepared:
    """Return what prepares the receipt's manifest while batches end: nothing for few records, or for what is left."""
    with ctx.ledger.begin() as tx:
        begun = any(batch.state not in _OPEN for batch in tx.batches.of_plan(plan.id))
    if begun or plan.records < preparing.LEAST:
        return NOTHING_PREPARED
    key = ctx.wrapping.open(run.commitment_key, run_context(run.id))
    return preparing.beside(key, manifest_directory(ctx))


def _check(ctx: Context, plan: PlanRow, *, begun: bool) -> None:
    """Ask the guards; what was begun and may not go on as it was planned is ended here."""
    try:
        guards.before_acting(ctx, plan, begun=begun)
    except GuardStopped as stopped:
        if not begun or stopped.guard not in _CHANGED:
            raise
        _abandon(ctx, plan, stopped.guard)


def carry_out_chain(ctx: Context, first: PlanRow, *, told: bool = True) -> Iterator[Carried]:
    """Carry out a plan and those that follow it in its chain, one after the other, each with a receipt of its own.

    A plan that may not begin any more, since its policy or dataset changed, ends void with all that follow it.

    Args:
        told: Whether plans that ended before are given again, too.

    Raises:
        GuardStopped, Interrupted: As `carry_out`; the plans that were given have ended.
        ApprovalError: The next one is void, or is so from now on.
    """
    with ctx.ledger.begin() as tx:
        plans = chains.whole(tx, first)
    for plan in plans:
        if not told and plan.state in (RunState.DONE, RunState.PARTIAL):
            continue
        try:
            yield carry_out(ctx, plan.id)
        except GuardStopped as stopped:
            if plan.id == first.id or stopped.guard not in _CHANGED or _is_begun(ctx, plan):
                raise
            void(ctx, plan, "cancelled")
            raise ApprovalError(
                f"{stopped.what}; what was left of its chain is void", remedy="make a new plan, and approve it"
            ) from stopped


def _is_begun(ctx: Context, plan: PlanRow) -> bool:
    with ctx.ledger.begin() as tx:
        return tx.runs.of_plan(plan.id) is not None


def unfinished(ctx: Context) -> Sequence[PlanRow]:
    """Return the plans that were begun and have no receipt yet."""
    with ctx.ledger.begin() as tx:
        return tx.plans.in_state(RunState.RUNNING, RunState.STOPPED)


def _ended(ctx: Context, plan: PlanRow, run_id: str) -> Carried:
    """Return a run as it ended; the same however often it is asked for."""
    with ctx.ledger.begin() as tx:
        run = tx.runs.get(run_id)
        receipt = tx.receipts.get(run.receipt) if run else None
        if run is None or receipt is None:
            raise LedgerError(f"run {run_id} ended without a receipt", remedy="run `retentiond ledger check`")
        return Carried(run, plan, receipt, tx.plans.parts(plan.id), tx.batches.of_plan(plan.id))


def _begin(ctx: Context, plan: PlanRow) -> RunRow:
    now = ctx.now()
    run_id = new_id(now)
    sealed = ctx.wrapping.seal(secrets.token_bytes(32), run_context(run_id))
    run = RunRow(run_id, plan.id, RunState.RUNNING, now, sealed)
    with ctx.ledger.begin() as tx:
        if find_plan(tx, plan.id).state is not RunState.PLANNED:  # somebody rejected or cancelled it meanwhile
            raise _void(plan)
        tx.runs.add(run)
        tx.plans.set_state(plan.id, RunState.RUNNING)
        tx.events.append("run.started", run_id, now, {"plan": plan.id})
    return run


def _void(plan: PlanRow) -> ApprovalError:
    return ApprovalError(f"plan {plan.id} is void: it was rejected, cancelled or superseded", remedy="make a new plan")


def _go_on(ctx: Context, plan: PlanRow, run: RunRow) -> RunRow:
    """Let a run that stood still be one that runs again."""
    if run.state is not RunState.RUNNING:
        with ctx.ledger.begin() as tx:
            tx.runs.set_state(run.id, RunState.RUNNING)
            tx.plans.set_state(plan.id, RunState.RUNNING)
    return replace(run, state=RunState.RUNNING)


def _count_references(ctx: Context, work: Work, references: References) -> None:
    """Count again who names the objects of the plan: a row written since may name one of them."""
    with ctx.ledger.begin() as tx:
        batches = [batch for batch in tx.batches.of_plan(work.plan.id) if batch.state in _OPEN]
    naming = {work.part(batch).dataset for batch in batches if not batch.objects} if _has_objects(batches) else set()
    for name in naming:
        dataset = ctx.datamap.datasets[name]
        if dataset.blobs is not None:
            own = [each for each in batches if work.part(each).dataset == name and work.part(each).action in REMOVING]
            references.count(ctx, dataset, own)


def _has_objects(batches: Sequence[BatchRow]) -> bool:
    return any(batch.objects for batch in batches)


def _work_through(ctx: Context, work: Work) -> None:
    with ctx.ledger.begin() as tx:
        batches = tx.batches.of_plan(work.plan.id)
    stopped = {work.part(batch).dataset for batch in batches if batch.reason in STOPPING}
    pacer, groups = Pacer(ctx, work.plan.id), _Groups(ctx, work, batches)
    ctx.reporter.start("enforce", sum(batch.count for batch in batches))
    for batch in batches:
        if batch.state in _OPEN:
            pacer.check_interrupted()
            if work.part(batch).dataset in stopped:
                ended = carry_over(ctx, batch, CANARY)
            elif guards.is_cancelled(ctx, work.plan):
                ended = carry_over(ctx, batch, guards.CANCELLED)
            elif groups.admit(pacer, batch):
                ended = execute(ctx, work, batch)
            else:
                continue
            if ended.reason in STOPPING:
                stopped.add(work.part(ended).dataset)
        ctx.reporter.advance(batch.count)
    if pacer.deferred:
        _stand_still(ctx, work.plan, tuple(pacer.deferred.values()))


class _Groups:
    """What batches of one group have in common: the stores that they are in, and whether the group was begun."""

    def __init__(self, ctx: Context, work: Work, batches: Sequence[BatchRow]) -> None:
        self._stores: defaultdict[int, set[str]] = defaultdict(set)
        self._of = {batch.ordinal: ctx.datamap.datasets[work.part(batch).dataset].store for batch in batches}
        for batch in batches:
            self._stores[batch.group].add(self._of[batch.ordinal])
        self._begun = {batch.group for batch in batches if batch.state not in _OPEN}

    def admit(self, pacer: Pacer, batch: BatchRow) -> bool:
        """Tell whether a batch may go now."""
        begun = batch.group in self._begun
        admitted = pacer.admit(self._of[batch.ordinal], self._stores[batch.group], batch.count, begun=begun)
        if admitted:
            self._begun.add(batch.group)
        return admitted


def _stand_still(ctx: Context, plan: PlanRow, deferrals: Sequence[Deferral]) -> None:
    """Leave a run until its stores may be worked on again.

    Raises:
        Deferred: Always; it says when the run can go on.
    """
    with ctx.ledger.begin() as tx:
        run = tx.runs.of_plan(plan.id)
        if run is not None:
            tx.runs.set_state(run.id, RunState.STOPPED)
            tx.plans.set_state(plan.id, RunState.STOPPED)
            tx.events.append("run.stopped", run.id, ctx.now(), {"guards": sorted({each.guard for each in deferrals})})
    moments = [each.until for each in deferrals if each.until is not None]
    when = f"after {rfc3339(min(moments))}" if moments else "when the replicas have caught up"
    raise Deferred(
        f"run of plan {plan.id} stands still: {'; '.join(each.what for each in deferrals)}",
        guard=deferrals[0].guard,
        remedy=f"`retentiond run` goes on {when}",
    )


def _abandon(ctx: Context, plan: PlanRow, reason: str) -> None:
    """End what is left of a run whose policy or dataset changed: it is carried over, what was done gets its receipt."""
    policies, datasets = ctx.policies.policies, ctx.datamap.datasets
    missing = [name for name, _ in plan.policies if name not in policies]
    missing += [name for name, _ in plan.datasets if name not in datasets]
    if missing:
        raise GuardStopped(
            f"{', '.join(missing)} of the unfinished plan {plan.id} is no longer declared",
            guard=reason,
            remedy="declare it again until the run has ended; what is left of it will be carried over",
        )
    with ctx.ledger.begin() as tx:
        batches = tx.batches.of_plan(plan.id)
    for batch in batches:
        if batch.state in _OPEN:
            carry_over(ctx, batch, reason)
