"""Residue: a second look for what should be gone, before a receipt says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from retentiond.domain.plan import BatchState, Part, Sighting
from retentiond.domain.policy import Action
from retentiond.engine.batches import Work, cases_for
from retentiond.engine.context import Context
from retentiond.engine.endings import read_ended, seal_ended
from retentiond.engine.holding import UNKNOWN
from retentiond.engine.identifiers import Ended, Final
from retentiond.errors import PurgeNotVerified
from retentiond.evidence.annex import Residue
from retentiond.ports.rows import BatchRow
from retentiond.ports.stores import Order

REAPPEARED = "reappeared"
_GONE = frozenset((Final.PURGED, Final.ALREADY_GONE))


def check_residue(ctx: Context, work: Work, batches: Sequence[BatchRow]) -> Residue | None:
    """Look again for every record that was purged; what is back is carried over, and no longer called purged.

    Returns:
        What was found; None when no part purges.

    Raises:
        PurgeNotVerified: A store gave no complete answer, so nothing can be said yet.
    """
    purging = {part.ordinal for part in work.parts if part.due and part.action is Action.PURGE}
    if not purging:
        return None
    methods = set()
    for batch in batches:
        if batch.part in purging and batch.state is BatchState.VERIFIED:
            methods.add(_look_again(ctx, work, batch))
    return Residue("+".join(sorted(methods)) or "nothing-to-look-for", ctx.now(), 0)


def _look_again(ctx: Context, work: Work, batch: BatchRow) -> str:
    part: Part = work.part(batch)
    dataset = ctx.datamap.datasets[part.dataset]
    ended = read_ended(ctx, batch)
    gone = [index for index, final in enumerate(ended.finals) if final in _GONE]
    records = [ended.records[index] for index in gone]
    order = Order(dataset, part.action, cases_for(ctx, work, part), part.case, records, ctx.now(), _never)
    verified = ctx.connector(dataset).verify(order)
    if Sighting.UNKNOWN in verified.sightings:
        raise PurgeNotVerified(
            f"dataset {dataset.name} could not be looked at again; no receipt is issued yet",
            where=dataset.store,
            remedy="`retentiond run` looks again when the store answers",
        )
    back = [index for index, sighting in zip(gone, verified.sightings, strict=True) if sighting is not Sighting.ABSENT]
    if back:
        amend(ctx, batch, ended, back)
    return f"second-{verified.method}"


def amend(ctx: Context, batch: BatchRow, ended: Ended, back: Sequence[int]) -> None:
    """Carry records of an ended batch over that turned out to be there, by their places in it."""
    finals = list(ended.finals)
    reasons = dict(ended.reasons)
    for index in back:
        finals[index], reasons[index] = Final.CARRIED_OVER, REAPPEARED
    amended = Ended(ended.records, finals, reasons)
    with ctx.ledger.begin() as tx:
        tx.batches.amend(replace(batch, outcomes=amended.counts()), seal_ended(ctx, batch, amended))
        detail = {"records": len(back), "reason": REAPPEARED}
        tx.events.append("residue.found", f"{batch.plan}/{batch.ordinal}", ctx.now(), detail)


def _never() -> None:
    raise PurgeNotVerified("a look for residue tried to change a store", remedy=f"this is a defect ({UNKNOWN})")
