"""What a run that was begun has still to do: nobody else plans it meanwhile, and it stays counted as overdue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from retentiond.domain.plan import BatchState, RunState, Trigger
from retentiond.engine import chains
from retentiond.engine.context import Context
from retentiond.ports.rows import PlanRow

OPEN_BATCHES = (BatchState.PLANNED, BatchState.CLAIMED, BatchState.ACTED)


@dataclass(frozen=True, slots=True)
class Pending:
    """Records whose batches have not ended, of runs that stand still and of chains that were begun.

    Attributes:
        datasets: Those that the batches are of.
        by_policy: How many records, by policy.
        of_closures: How many records that closures and erasures are to remove; nobody else is kept from planning these.
    """

    datasets: frozenset[str] = frozenset()
    by_policy: Counter[str] = field(default_factory=Counter)
    of_closures: int = 0

    @property
    def records(self) -> int:
        """All of them."""
        return self.by_policy.total() + self.of_closures


def pending(ctx: Context) -> Pending:
    """Return what is left of runs that were stopped until later, and of chains of which a plan was begun."""
    datasets: set[str] = set()
    by_policy: Counter[str] = Counter()
    of_closures = 0
    for plan in _unended(ctx):
        for dataset, policy, records in _open_batches(ctx, plan):
            if plan.trigger in (Trigger.CLOSURE, Trigger.ERASURE):
                of_closures += records
            else:
                datasets.add(dataset)
                by_policy[policy] += records
    return Pending(frozenset(datasets), by_policy, of_closures)


def _unended(ctx: Context) -> Iterator[PlanRow]:
    for first in chains.begun(ctx):
        with ctx.ledger.begin() as tx:
            plans = chains.whole(tx, first)
        if len(plans) > 1 or first.state is RunState.STOPPED:
            yield from (plan for plan in plans if plan.state in (*chains.OPEN, *chains.UNFINISHED))


def _open_batches(ctx: Context, plan: PlanRow) -> Iterator[tuple[str, str, int]]:
    with ctx.ledger.begin() as tx:
        parts, batches = tx.plans.parts(plan.id), tx.batches.of_plan(plan.id)
    for batch in batches:
        if batch.state in OPEN_BATCHES:
            yield parts[batch.part].dataset, parts[batch.part].policy, batch.count
