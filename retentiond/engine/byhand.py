"""Manual purges after a restore: what is there again of exactly what they removed, as long as its names are known."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from retentiond.domain.condition import ALWAYS
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import manual_cases
from retentiond.domain.hold import Scope
from retentiond.domain.plan import BatchState, RunState, Sighting, Trigger
from retentiond.domain.policy import Action
from retentiond.domain.record import Key, key_bytes
from retentiond.engine.context import Context
from retentiond.engine.endings import read_ended
from retentiond.engine.identifiers import Final
from retentiond.engine.manual import Manual, manual_of
from retentiond.errors import ConnectorError, PurgeNotVerified
from retentiond.ports.rows import BatchRow, PlanRow
from retentiond.ports.stores import Order

_SOON = timedelta(days=1)
_GONE = frozenset((Final.PURGED, Final.ALREADY_GONE))
_CARRIED_OUT = (RunState.DONE, RunState.PARTIAL)


def back(ctx: Context) -> tuple[list[Manual], int]:
    """Return what manual purges had removed and is there again, and of how many purges nobody can tell any more.

    Each is what was asked for then, of the records by their keys, as of the time of that purge: what was made under
    such a key since is not meant.

    Raises:
        ConnectorError: A store gave no complete answer.
    """
    with ctx.ledger.begin() as tx:
        known = [tx.plans.get(name) for name in tx.plans.asked_before(ctx.now() + _SOON)]
        total = tx.plans.count_ended(Trigger.MANUAL)
    plans = [plan for plan in known if plan and plan.trigger is Trigger.MANUAL and plan.state in _CARRIED_OUT]
    looked = [_of_plan(ctx, plan) for plan in plans]
    told = [each for each in looked if each is not None]
    return [each for each in told if each.exact], total - len(told)


def _of_plan(ctx: Context, plan: PlanRow) -> Manual | None:
    """Return what one purge had removed and is there again, perhaps nothing; None where nobody can tell."""
    with ctx.ledger.begin() as tx:
        asked = manual_of(ctx, tx, plan)
        parts, batches = tx.plans.parts(plan.id), tx.batches.of_plan(plan.id)
    dataset = ctx.datamap.datasets.get(asked.scope.dataset) if asked else None
    if asked is None or dataset is None or not dataset.table:  # objects that are put again have other versions
        return None
    if any(part.policy not in ctx.policies.policies for part in parts):
        return None
    cutoffs = {part.cutoff for part in parts if part.dataset == dataset.name}
    if len(cutoffs) != 1:  # of all rows of a purge the floor was the same
        return None
    (cutoff,) = cutoffs
    found: set[Key] = set()
    for batch in batches:
        part = parts[batch.part]
        if batch.state is BatchState.RECEIPTED and part.dataset == dataset.name:
            found.update(_keys_back(ctx, plan, cutoff, batch, dataset))
    keys = tuple(sorted(map(key_bytes, found)))
    scope, as_of = Scope(dataset.name, keys=keys), plan.reference_time
    return replace(asked, scope=scope, as_of=as_of, cutoff=cutoff, exact=frozenset(found))


def _keys_back(ctx: Context, plan: PlanRow, cutoff: datetime, batch: BatchRow, dataset: Dataset) -> list[Key]:
    ended = read_ended(ctx, batch)
    records = [record for record, final in zip(ended.records, ended.finals, strict=True) if final in _GONE]
    cases = manual_cases(ALWAYS, dataset, plan.reference_time, cutoff)
    (due,) = cases.due  # not the part's: the data map may say more, or less, of the dataset by now
    order = Order(dataset, Action.PURGE, cases, due, records, ctx.now(), _never)
    sightings = ctx.connector(dataset).verify(order).sightings
    if Sighting.UNKNOWN in sightings:
        raise ConnectorError(
            f"what a manual purge had removed of {dataset.name} could not be looked for",
            where=dataset.store,
            remedy="`retentiond replay` looks again when the store answers",
        )
    return [record.key for record, seen in zip(records, sightings, strict=True) if seen is Sighting.DUE]


def _never() -> None:
    raise PurgeNotVerified("a look tried to change a store", remedy="this is a defect of the connector")
