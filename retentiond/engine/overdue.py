"""What plans leave to be said of overdue records: of each policy how many, and how old the oldest is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime

from retentiond.domain.plan import Forecast
from retentiond.engine.context import Context
from retentiond.engine.pending import Pending
from retentiond.ports.ledger import Transaction


def policies_left_out(ctx: Context, names: Iterable[str]) -> set[str]:
    """Return the policies of datasets that could not be looked at."""
    datasets = [ctx.datamap.datasets[name] for name in names]
    return {policy.id for each in datasets if (policy := ctx.policies.of_class(each.data_class))}


def remember_due(
    ctx: Context, forecasts: Iterable[Forecast], unended: Pending, unseen: Collection[str], reference: datetime
) -> None:
    """Keep what a plan of policies found: of each policy, how many records are due and how old the oldest is.

    Args:
        unseen: Policies a dataset of which could not be looked at: of these what was known stays, but no zero does.
    """
    due, oldest = Counter[str](), dict[str, int]()
    for forecast in forecasts:
        due[forecast.policy] += forecast.due + forecast.waiting
        if forecast.oldest is not None:
            oldest[forecast.policy] = min(forecast.oldest, oldest.get(forecast.policy, forecast.oldest))
    due.update(unended.by_policy)
    with ctx.ledger.begin() as tx:
        for policy in {*due, *unseen}:
            known, before, *_ = (tx.facts.get(f"overdue:{policy}") or "0 - -").split(" ")
            count = max(due[policy], int(known)) if policy in unseen else due[policy]
            if before != "-" and (policy in unended.by_policy or policy in unseen):
                oldest[policy] = min(int(before), oldest.get(policy, int(before)))
            said = f"{count} {oldest.get(policy, '-')} {reference.isoformat()}"
            tx.facts.set(f"overdue:{policy}", "" if policy in unseen and not count else said)


def known_overdue(tx: Transaction, policy: str) -> int:
    """Return how many records of a policy were overdue when that was last known."""
    return int((tx.facts.get(f"overdue:{policy}") or "0").split(" ")[0])
