"""Manual purges: a signed request becomes a plan of exactly what it selects, which another person has to approve."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from retentiond.domain.hold import Scope
from retentiond.domain.plan import Trigger
from retentiond.domain.record import key_bytes
from retentiond.engine import allowed
from retentiond.engine.context import Context
from retentiond.engine.identifiers import decode_records
from retentiond.engine.manual import VERB, Manual, arguments
from retentiond.engine.planning import Planned, Request, make_plan
from retentiond.engine.scopes import check_scope, check_texts
from retentiond.engine.selecting import found_by
from retentiond.engine.signing import request
from retentiond.errors import GuardStopped, UsageError
from retentiond.ports.rows import PlanRow

SAMPLE_KEYS = 5
_PEOPLE = 2


@dataclass(frozen=True, slots=True)
class Sample:
    """Some of what would go of one dataset: how many records, and a few keys as receipts name them."""

    dataset: str
    records: int
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking for a purge.

    Attributes:
        missing: Keys that were named and that no record has.
    """

    manual: Manual
    planned: Planned
    samples: tuple[Sample, ...]
    missing: tuple[bytes, ...]


def ask_purge(ctx: Context, scope: Scope, reason: str, key_file: Path | None) -> Asked:
    """Sign a request to purge what a scope selects, and make the plan of it; nothing is removed.

    Raises:
        UsageError: The scope names nothing, or what can't be purged by itself.
        GuardStopped: Nobody could approve it, a guard forbids planning, or the dataset can't be planned.
        ApprovalError: The key is nobody's.
        LogIntegrityError: Plan and request could not be logged; they are not acknowledged.
    """
    _check(ctx, scope, reason)
    _check_two_people(ctx)
    dataset = ctx.datamap.datasets[scope.dataset]
    signed = request(ctx, VERB, arguments(scope, reason), key_file)
    asked = Manual(scope, reason, signed, ctx.now())
    policy = ctx.policies.of_class(dataset.data_class)
    planned = make_plan(ctx, Request(Trigger.MANUAL, (policy.id,) if policy else (), manual=asked))
    for name, why in planned.failures:
        raise GuardStopped(f"dataset {name} can't be planned: {why}", guard="left-out", where=name)
    plans = (planned.plan, *planned.chain) if planned.plan else ()
    missing = tuple(key for key in dict.fromkeys(scope.keys) if not found_by(ctx.connector(dataset), dataset, key))
    return Asked(asked, planned, samples_of(ctx, plans), missing)


def samples_of(ctx: Context, plans: Iterable[PlanRow]) -> tuple[Sample, ...]:
    """Return some keys of what plans hold, by dataset in the order in which they go."""
    counts: dict[str, int] = {}
    keys: dict[str, list[bytes]] = {}
    for plan in plans:
        with ctx.ledger.begin() as tx:
            parts, batches = tx.plans.parts(plan.id), tx.batches.of_plan(plan.id)
        for batch in batches:
            name = parts[batch.part].dataset
            counts[name] = counts.get(name, 0) + batch.count
            known = keys.setdefault(name, [])
            if len(known) < SAMPLE_KEYS:
                with ctx.ledger.begin() as tx:
                    records = decode_records(tx.batches.identifiers(plan.id, batch.ordinal))
                known.extend(key_bytes(record.key) for record in records[: SAMPLE_KEYS - len(known)])
    return tuple(Sample(name, count, tuple(keys[name])) for name, count in counts.items())


def _check(ctx: Context, scope: Scope, reason: str) -> None:
    if not reason.strip():
        raise UsageError("a purge has a reason, which its receipt bears", where="--reason", remedy="--reason R")
    check_texts("--reason", (reason,))
    check_texts("--account", scope.accounts)
    _check_names_nobody(scope, reason)
    if not scope.dataset:
        raise UsageError("a purge is of one dataset", where="--dataset", remedy="name it: --dataset D")
    check_scope(ctx, scope, "a purge")
    dataset = ctx.datamap.datasets[scope.dataset]
    if dataset.follows:
        raise UsageError(
            f"dataset {dataset.name} follows {dataset.follows}: its objects go with the rows that name them",
            where="--dataset",
            remedy=f"--dataset {dataset.follows}",
        )
    if scope.accounts and not dataset.has_owner:
        raise UsageError(
            f"the data map does not say whose the records of dataset {dataset.name} are",
            where="--account",
            remedy="--key K, or --where EXPR; or declare `account` in the data map",
        )


def _check_names_nobody(scope: Scope, reason: str) -> None:
    """Raise UsageError where a reason, which stands in the plan and its receipt for ever, names an account to go."""
    if any(re.search(rf"(?<!\w){re.escape(account)}(?!\w)", reason) for account in scope.accounts):
        raise UsageError(
            "the reason names the account, and stands in the plan and in its receipt for ever",
            where="--reason",
            remedy="name a ticket or a matter instead",
        )


def _check_two_people(ctx: Context) -> None:
    """Raise GuardStopped where people are named, and nobody but the one who asks could approve."""
    named = {each.name for each in allowed.in_force(ctx).principals}
    if named and len(named) < _PEOPLE:
        raise GuardStopped(
            "a manual purge needs two people, and the approvers file names one",
            guard="two-people",
            where="approvers",
            remedy="name a second person in `approvers`; whoever asks for a purge can't approve it",
        )
