"""When nothing was left any more of what a policy makes due: what is there again of it came from somewhere."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from datetime import datetime

from retentiond.domain.dataset import Dataset
from retentiond.domain.plan import Forecast
from retentiond.engine.context import Context
from retentiond.ports.ledger import Transaction


def remember_swept(ctx: Context, policies: Collection[str], at: datetime, forecasts: Iterable[Forecast]) -> None:
    """Keep that of some policies all was removed that was due at a reference time, in the datasets that were seen."""
    found = list(forecasts)
    with ctx.ledger.begin() as tx:
        holds = sorted(hold.id for hold in tx.holds.active())
        for policy in policies:
            datasets = {each.dataset for each in found if each.policy == policy and not each.follows}
            value = {
                "at": at.isoformat(),
                "policy": ctx.policies.policies[policy].sha256,
                "datasets": {name: ctx.datamap.datasets[name].sha256 for name in sorted(datasets)},
                "holds": holds,
            }
            tx.facts.set(_name(policy), json.dumps(value))


def forget_swept(ctx: Context, tx: Transaction) -> None:
    """Note that people brought records back, so that what is there again is no sign of anything."""
    for policy in ctx.policies.policies:
        if tx.facts.get(_name(policy)):
            tx.facts.set(_name(policy), "")


def swept(ctx: Context, dataset: Dataset) -> datetime | None:
    """Return the last reference time of which nothing was left that was due in a dataset, but for what is held.

    None where nobody knows: it was never so; policy or dataset are others by now; or a hold was released since, and
    nobody can tell from the ledger alone what it had kept.
    """
    policy = ctx.policies.of_class(dataset.data_class)
    if policy is None:
        return None
    with ctx.ledger.begin() as tx:
        fact = tx.facts.get(_name(policy.id))
        active = {hold.id for hold in tx.holds.active()}
    value = json.loads(fact) if fact else {}
    same = value.get("policy") == policy.sha256 and value["datasets"].get(dataset.name) == dataset.sha256
    return datetime.fromisoformat(value["at"]) if same and active.issuperset(value["holds"]) else None


def _name(policy: str) -> str:
    return f"swept:{policy}"
