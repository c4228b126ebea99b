"""What holds say of the records of a claimed batch: those they name, and those that a condition holds by now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from retentiond.domain.condition import ALWAYS
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import Case, Cases, Disposition
from retentiond.domain.hold import Hold, holding_cases
from retentiond.domain.plan import Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Record
from retentiond.engine.context import Context
from retentiond.engine.identifiers import Fate, Final
from retentiond.errors import PurgeNotVerified
from retentiond.ports.stores import Order

UNKNOWN = "unknown"
_NOT_HELD = Case(Disposition.KEEP, ALWAYS, "not-held")


def guarded(cases: Cases, case: int, holds: Sequence[Hold], dataset: str) -> tuple[Cases, int]:
    """Return a batch's cases with the conditions of holds before them, and where its own case stands then."""
    before = tuple(held for _, held in holding_cases(holds, dataset))
    return Cases(before + cases.cases), case + len(before)


def held_by_condition(
    ctx: Context, dataset: Dataset, records: Mapping[int, Record], holds: Sequence[Hold], at: datetime
) -> tuple[dict[int, str], set[int]]:
    """Look which records a condition holds now.

    Args:
        records: Records by their place in the batch.

    Returns:
        The id of the first hold of each record that is held, and those of which the store gave no answer; by place.
    """
    found: dict[int, str] = {}
    unknown: set[int] = set()
    for name, held in holding_cases(holds, dataset.name):
        left = [place for place in records if place not in found]
        seen = _look(ctx, dataset, [records[place] for place in left], Cases((held, _NOT_HELD)), at)
        for place, sighting in zip(left, seen, strict=True):
            if sighting is Sighting.DUE:
                found[place] = name
            elif sighting is Sighting.UNKNOWN:
                unknown.add(place)
    return found, unknown - found.keys()


def look_at_holds(ctx: Context, order: Order, records: Sequence[Record], holds: Sequence[Hold], fate: Fate) -> None:
    """Tell what a condition holds from what changed, and what is held from what an earlier claim removed already.

    Args:
        order: What was just carried out on those of the records that nobody held.
    """
    dataset, at = order.dataset, order.at
    changed = {place: records[place] for place in fate.places(Final.CHANGED)}
    held, unknown = held_by_condition(ctx, dataset, changed, holds, at)
    for place in unknown:
        fate.settle(place, Final.CARRIED_OVER, UNKNOWN)
    kept = fate.places(Final.HELD)
    seen = _still_there(ctx, replace(order, records=[records[place] for place in kept]))
    for place, sighting in zip(kept, seen, strict=True):
        if sighting in (Sighting.ABSENT, Sighting.CLEARED):
            fate.settle(place, Final.ALREADY_GONE, "")
        elif sighting is Sighting.HIDDEN:
            fate.settle(place, Final.TOMBSTONED, "")
        elif sighting is Sighting.UNKNOWN:
            fate.settle(place, Final.CARRIED_OVER, UNKNOWN)
    for place, name in held.items():
        fate.settle(place, Final.HELD, name)


def _look(ctx: Context, dataset: Dataset, records: Sequence[Record], cases: Cases, at: datetime) -> Sequence[Sighting]:
    if not records:
        return ()
    return ctx.connector(dataset).verify(Order(dataset, Action.PURGE, cases, 0, records, at, _never)).sightings


def _still_there(ctx: Context, order: Order) -> Sequence[Sighting]:
    """Look whether records that are held are there, and visible: an earlier claim may have come before the hold."""
    if not order.records:
        return ()
    there = replace(order, cases=Cases((_NOT_HELD,)), case=0, fence=_never)
    return ctx.connector(order.dataset).verify(there).sightings


def _never() -> None:
    raise PurgeNotVerified("a look for held records tried to change a store", remedy="report this as a defect")
