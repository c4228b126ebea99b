"""The lower half of the data path: a plan is carried out batch by batch, and ends in exactly one receipt.

After a crash the same function is called again: batches that ended are left alone, a batch found half done is simply
executed again, and the receipt is issued once all have ended.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from retentiond.domain.plan import BatchState, Part, RunState
from retentiond.engine import guards
from retentiond.engine.approvals import find_plan
from retentiond.engine.batches import CANARY, STOPPING, Work, carry_over, execute
from retentiond.engine.context import Context, new_id
from retentiond.engine.receipts import issue_run_receipt
from retentiond.engine.references import References
from retentiond.errors import ApprovalError, GuardStopped, Interrupted, LedgerError
from retentiond.ports.rows import BatchRow, PlanRow, ReceiptRow, RunRow

_OPEN = (BatchState.PLANNED, BatchState.CLAIMED, BatchState.ACTED)


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


def carry_out(ctx: Context, reference: str, account: str = "") -> Carried:
    """Carry out a plan, or go on with one that was begun, and issue its receipt; one that ended is only told of.

    Args:
        reference: The plan's id or sha256.
        account: The account that leaves, where the plan serves a closure.

    Raises:
        GuardStopped: A guard says no; what was begun can be gone on with once it is content.
        Interrupted: The operator asked to stop; the batch in hand was finished.
    """
    with ctx.ledger.begin() as tx:
        plan = find_plan(tx, reference)
        parts = tx.plans.parts(plan.id)
        run = tx.runs.of_plan(plan.id)
    if run is not None and plan.state in (RunState.DONE, RunState.PARTIAL):
        return _ended(ctx, plan, run.id)
    if plan.state is RunState.CANCELLED:
        raise ApprovalError(f"plan {plan.id} is void: it expired or was rejected", remedy="make a new plan")
    try:
        guards.before_acting(ctx, plan, begun=run is not None)
    except GuardStopped as stopped:
        if run is None or stopped.guard not in ("policy-changed", "dataset-changed"):
            raise
        _abandon(ctx, plan, stopped.guard)
    if run is None:
        run = _begin(ctx, plan)
    work = Work(plan, parts, account)
    with References() as references:
        _count_references(ctx, work, references)
        _work_through(ctx, replace(work, elsewhere=references.elsewhere))
    issue_run_receipt(ctx, run, work)
    return _ended(ctx, plan, run.id)


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
    sealed = ctx.wrapping.seal(secrets.token_bytes(32), f"run/{run_id}".encode())
    run = RunRow(run_id, plan.id, RunState.RUNNING, now, sealed)
    with ctx.ledger.begin() as tx:
        tx.runs.add(run)
        tx.plans.set_state(plan.id, RunState.RUNNING)
        tx.events.append("run.started", run_id, now, {"plan": plan.id})
    return run


def _count_references(ctx: Context, work: Work, references: References) -> None:
    """Count again who names the objects of the plan: a row written since may name one of them."""
    with ctx.ledger.begin() as tx:
        batches = [batch for batch in tx.batches.of_plan(work.plan.id) if batch.state in _OPEN]
    naming = {work.part(batch).dataset for batch in batches if not batch.objects} if _has_objects(batches) else set()
    for name in naming:
        dataset = ctx.datamap.datasets[name]
        if dataset.blobs is not None:
            own = [batch for batch in batches if work.part(batch).dataset == name]
            references.count(ctx, dataset, own)


def _has_objects(batches: Sequence[BatchRow]) -> bool:
    return any(batch.objects for batch in batches)


def _work_through(ctx: Context, work: Work) -> None:
    with ctx.ledger.begin() as tx:
        batches = tx.batches.of_plan(work.plan.id)
    stopped = {work.part(batch).dataset for batch in batches if batch.reason in STOPPING}
    ctx.reporter.start("enforce", sum(batch.count for batch in batches))
    for batch in batches:
        if batch.state in _OPEN:
            ended = _one(ctx, work, batch, stopped)
            if ended.reason in STOPPING:
                stopped.add(work.part(ended).dataset)
                ctx.reporter.note(f"dataset {work.part(ended).dataset} stops at batch {ended.ordinal}: {ended.reason}")
        ctx.reporter.advance(batch.count)


def _one(ctx: Context, work: Work, batch: BatchRow, stopped: set[str]) -> BatchRow:
    if ctx.stop_requested():
        raise Interrupted(
            f"run of plan {work.plan.id} was interrupted; the batch in hand was finished",
            remedy=f"`retentiond apply {work.plan.id}` goes on",
        )
    if work.part(batch).dataset in stopped:
        return carry_over(ctx, batch, CANARY)
    return execute(ctx, work, batch)


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
