"""Residue: a second look for what should be gone, before a receipt says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from retentiond.domain.plan import BatchState, Part, Sighting
from retentiond.domain.policy import Action
from retentiond.domain.records import chosen
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


class SecondLook:
    """Looks again for every record that was purged; what is back is carried over, and no longer called purged."""

    def __init__(self, ctx: Context, work: Work) -> None:
        self._ctx = ctx
        self._work = work
        self._purging = {part.ordinal for part in work.parts if part.due and part.action is Action.PURGE}
        self._methods: set[str] = set()

    def through(self, batches: Iterable[BatchRow]) -> Iterator[tuple[BatchRow, Ended]]:
        """Give ended batches with what is true of them after the look; each is opened once.

        Raises:
            PurgeNotVerified: A store gave no complete answer, so nothing can be said yet.
        """
        for batch in batches:
            ended = read_ended(self._ctx, batch)
            if batch.part in self._purging and batch.state is BatchState.VERIFIED:
                method, ended = _look_again(self._ctx, self._work, batch, ended)
                self._methods.add(method)
            yield batch, ended

    def residue(self) -> Residue | None:
        """Return what was found once all batches went through; None when no part purges."""
        if not self._purging:
            return None
        return Residue("+".join(sorted(self._methods)) or "nothing-to-look-for", self._ctx.now(), 0)


def _look_again(ctx: Context, work: Work, batch: BatchRow, ended: Ended) -> tuple[str, Ended]:
    part: Part = work.part(batch)
    dataset = ctx.datamap.datasets[part.dataset]
    gone = ended.places(_GONE)
    records = chosen(ended.records, gone)
    order = Order(dataset, part.action, cases_for(ctx, work, part, records), part.case, records, ctx.now(), _never)
    verified = ctx.connector(dataset).verify(order)
    if Sighting.UNKNOWN in verified.sightings:
        raise PurgeNotVerified(
            f"dataset {dataset.name} could not be looked at again; no receipt is issued yet",
            where=dataset.store,
            remedy="`retentiond run` looks again when the store answers",
        )
    back = []
    if verified.sightings.count(Sighting.ABSENT) < len(gone):
        seen = zip(gone, verified.sightings, strict=True)
        back = [index for index, sighting in seen if sighting is not Sighting.ABSENT]
    return f"second-{verified.method}", amend(ctx, batch, ended, back) if back else ended


def amend(ctx: Context, batch: BatchRow, ended: Ended, back: Sequence[int]) -> Ended:
    """Carry records of an ended batch over that turned out to be there, by their places in it; return what is so."""
    finals = list(ended.finals)
    reasons = dict(ended.reasons)
    for index in back:
        finals[index], reasons[index] = Final.CARRIED_OVER, REAPPEARED
    amended = replace(ended, finals=finals, reasons=reasons)
    with ctx.ledger.begin() as tx:
        tx.batches.amend(replace(batch, outcomes=amended.counts()), seal_ended(ctx, batch, amended))
        detail = {"records": len(back), "reason": REAPPEARED}
        tx.events.append("residue.found", f"{batch.plan}/{batch.ordinal}", ctx.now(), detail)
    return amended


def _never() -> None:
    raise PurgeNotVerified("a look for residue tried to change a store", remedy=f"this is a defect ({UNKNOWN})")
