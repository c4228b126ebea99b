"""Waiting for claims that are older than a hold, and counting what they removed of what it names.

A claim reads the holds in its own transaction, so one that is younger than a hold knows it. An older one is waited for
until its batch has ended. Where nobody works on it any more, or its lease is out, a newer token fences it off: whoever
wakes up with it finds that out before the next statement. One statement may be on its way even then, so such a batch
is named: what the hold names of it may be gone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from retentiond.domain.hold import Hold, HoldIndex
from retentiond.domain.plan import BatchState
from retentiond.domain.record import Record
from retentiond.engine.context import Context
from retentiond.engine.endings import read_ended
from retentiond.engine.identifiers import Final, decode_records
from retentiond.errors import LedgerBusy
from retentiond.ports.rows import BatchRow, ClaimRow

LEASE = timedelta(seconds=60)
_POLL_SECONDS = 0.1
_FLYING = (BatchState.CLAIMED, BatchState.ACTED)
_GONE = frozenset(
    (Final.PURGED, Final.TOMBSTONED, Final.REDACTED, Final.PSEUDONYMISED, Final.KEY_DESTROYED, Final.ALREADY_GONE)
)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A batch that was taken from its claim: `records` of it are named by the holds, and may be gone."""

    plan: str
    ordinal: int
    records: int


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What became of the batches that were in flight when holds were placed.

    Attributes:
        removed: Records that the holds name in batches that ended, and that were gone then, whoever removed them.
        may_be_gone: Batches whose end could not be waited for, as far as they hold such records.
        by_hold, open_by_hold: Both by the id of a hold; what several name counts for each.
    """

    removed: int = 0
    may_be_gone: tuple[Unfinished, ...] = ()
    by_hold: Counter[str] = field(default_factory=Counter)
    open_by_hold: Counter[str] = field(default_factory=Counter)


def wait_for_older(ctx: Context, holds: Sequence[Hold], claims: Sequence[ClaimRow]) -> Meanwhile:
    """Wait until each claim's batch has ended or is fenced off, and count what the holds name of them."""
    removed = 0
    unfinished = []
    by_hold: Counter[str] = Counter()
    open_by_hold: Counter[str] = Counter()
    for claim in claims:
        ended = _wait_for(ctx, claim)
        named = _named(ctx, holds, claim, ended)
        (by_hold if ended is not None else open_by_hold).update(name for names in named for name in names)
        if ended is not None:
            removed += len(named)
        elif named:
            unfinished.append(Unfinished(claim.plan, claim.ordinal, len(named)))
    return Meanwhile(removed, tuple(unfinished), by_hold, open_by_hold)


def _wait_for(ctx: Context, claim: ClaimRow) -> BatchRow | None:
    """Return a claim's batch once it has ended; None when it was fenced off."""
    began = ctx.clock.monotonic()
    while True:
        with ctx.ledger.begin() as tx:
            now = tx.claims.get(claim.plan, claim.ordinal)
            if now.state not in _FLYING and now.state is not BatchState.PLANNED:
                return next(each for each in tx.batches.of_plan(claim.plan) if each.ordinal == claim.ordinal)
        if _lease_is_out(ctx, now, began) or _nobody_acts(ctx):
            with ctx.ledger.begin() as tx:
                if now.state is BatchState.PLANNED or tx.claims.fence_off(now.plan, now.ordinal, now.token):
                    return None
        else:
            time.sleep(_POLL_SECONDS)


def _lease_is_out(ctx: Context, claim: ClaimRow, began: float) -> bool:
    waited = timedelta(seconds=ctx.clock.monotonic() - began)
    return waited >= LEASE or (claim.claimed_at is not None and ctx.now() - claim.claimed_at >= LEASE)


def _nobody_acts(ctx: Context) -> bool:
    try:
        with ctx.ledger.acting():
            return True
    except LedgerBusy:
        return False


def _named(
    ctx: Context, holds: Sequence[Hold], claim: ClaimRow, ended: BatchRow | None
) -> list[tuple[str, ...]]:  # fmt: skip
    """Return the holds of each record of a batch that any of them names, of an ended one of those that were gone.

    A condition is asked of the attributes that the plan saw, since what is gone can't be read; unknown counts.
    """
    with ctx.ledger.begin() as tx:
        dataset = tx.plans.parts(claim.plan)[claim.part].dataset
        plain = tx.batches.identifiers(claim.plan, claim.ordinal) if ended is None else b""
    index = HoldIndex(holds, dataset)
    if not index:
        return []
    records: Sequence[Record]
    if ended is None:
        records = decode_records(plain)
    else:
        known = read_ended(ctx, ended)
        records = [record for record, final in zip(known.records, known.finals, strict=True) if final in _GONE]
    return [names for record in records if (names := index.ids(record))]
