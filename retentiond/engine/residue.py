"""Residue: a second look for what should be gone, before a receipt says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from retentiond.domain.plan import BatchState, Sighting
from retentiond.domain.policy import Action
from retentiond.domain.records import chosen
from retentiond.engine.ahead import asked_ahead
from retentiond.engine.batches import Work, cases_for
from retentiond.engine.context import Context
from retentiond.engine.endings import seal_ended
from retentiond.engine.holding import UNKNOWN
from retentiond.engine.identifiers import Ended, Final
from retentiond.engine.items import read_all
from retentiond.errors import PurgeNotVerified
from retentiond.evidence.annex import Residue
from retentiond.ports.rows import BatchRow
from retentiond.ports.stores import Order, Verified

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
        looks = ((batch, ended, self._order(batch, ended)) for batch, ended in read_all(self._ctx, batches))
        for (batch, ended, order), verified in asked_ahead(looks, self._ask):
            if order is not None and verified is not None:
                self._methods.add(f"second-{verified.method}")
                yield batch, _told_of(self._ctx, batch, ended, order, verified)
            else:
                yield batch, ended

    def _order(self, batch: BatchRow, ended: Ended) -> Order | None:
        """Return what is to be looked for of a batch; None where nothing of it was purged."""
        if batch.part not in self._purging or batch.state is not BatchState.VERIFIED:
            return None
        part = self._work.part(batch)
        dataset = self._ctx.datamap.datasets[part.dataset]
        records = chosen(ended.records, ended.places(_GONE))
        cases = cases_for(self._ctx, self._work, part, records)
        return Order(dataset, part.action, cases, part.case, records, self._ctx.now(), _never)

    def _ask(self, look: tuple[BatchRow, Ended, Order | None]) -> Verified | None:
        *_, order = look
        return self._ctx.connector(order.dataset).verify(order) if order else None

    def residue(self) -> Residue | None:
        """Return what was found once all batches went through; None when no part purges."""
        if not self._purging:
            return None
        return Residue("+".join(sorted(self._methods)) or "nothing-to-look-for", self._ctx.now(), 0)


def _told_of(ctx: Context, batch: BatchRow, ended: Ended, order: Order, verified: Verified) -> Ended:
    """Return what is true of a batch after it was looked at again."""
    if Sighting.UNKNOWN in verified.sightings:
        raise PurgeNotVerified(
            f"dataset {order.dataset.name} could not be looked at again; no receipt is issued yet",
            where=order.dataset.store,
            remedy="`retentiond run` looks again when the store answers",
        )
    back = []
    if verified.sightings.count(Sighting.ABSENT) != len(order.records):
        seen = zip(ended.places(_GONE), verified.sightings, strict=True)
        back = [index for index, sighting in seen if sighting is not Sighting.ABSENT]
    return amend(ctx, batch, ended, back) if back else ended


def amend(ctx: Context, batch: BatchRow, ended: Ended, back: Sequence[int], reason: str = REAPPEARED) -> Ended:
    """Carry records of an ended batch over, by their places in it, that are there or may be; return what is so."""
    finals = list(ended.finals)
    reasons = dict(ended.reasons)
    for index in back:
        finals[index], reasons[index] = Final.CARRIED_OVER, reason
    amended = replace(ended, finals=finals, reasons=reasons)
    with ctx.ledger.begin() as tx:
        tx.batches.amend(replace(batch, outcomes=amended.counts()), seal_ended(ctx, batch, amended))
        detail = {"records": len(back), "reason": reason}
        tx.events.append("residue.found", f"{batch.plan}/{batch.ordinal}", ctx.now(), detail)
    return amended


def _never() -> None:
    raise PurgeNotVerified("a look for residue tried to change a store", remedy=f"this is a defect ({UNKNOWN})")
