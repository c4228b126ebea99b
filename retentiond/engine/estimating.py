"""What carrying plans out will take: records, bytes, time at the declared or measured rate, write-ahead log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from retentiond.domain.plan import Part
from retentiond.engine.context import Context
from retentiond.errors import ConnectorError

_RUNS = 30
_LEAST_RECORDS = 1_000
_LEAST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A reckoning before the work, for the people who approve it.

    Attributes:
        plans: How many plans the records are in.
        seconds: How long the work takes, the hours outside off-peak windows left out; None where no rate is known.
        finishes_at: When it is over if it begins now, off-peak windows reckoned in; None where that can't be told.
        rate: `declared` (all stores that are worked on have a rate), `measured` (by the last runs), `mixed` or None.
        wal_bytes: Write-ahead log that the databases will write; None where no connector can say.
    """

    records: int
    size_bytes: int
    plans: int
    seconds: int | None
    finishes_at: datetime | None
    rate: str | None
    wal_bytes: int | None


def estimate(ctx: Context, parts: Sequence[Part], plans: int) -> Estimate:
    """Return what plans of these parts will take; stores are worked on one after the other."""
    by_store: Counter[str] = Counter()
    for part in parts:
        by_store[ctx.datamap.datasets[part.dataset].store] += part.due
    seconds, finishes, sources = _times(ctx, by_store)
    return Estimate(
        records=by_store.total(),
        size_bytes=sum(part.size_bytes for part in parts),
        plans=plans,
        seconds=seconds,
        finishes_at=finishes,
        rate=None if seconds is None else (sources.pop() if len(sources) == 1 else "mixed"),
        wal_bytes=_wal_bytes(ctx, parts),
    )


def _times(ctx: Context, by_store: Counter[str]) -> tuple[int | None, datetime | None, set[str]]:
    measured = _measured(ctx)
    total, sources = 0.0, set()
    at: datetime | None = ctx.now()
    for store, records in by_store.items():
        pace = ctx.datamap.stores[store].pace
        rate = min((each for each in (pace.per_second, measured) if each is not None), default=None)
        if rate is None:
            return None, None, set()
        sources.add("declared" if rate == pace.per_second else "measured")
        total += records / rate
        at = pace.finishes(at, records / rate) if at is not None else None
    return int(total + 0.5), at, sources


def _measured(ctx: Context) -> float | None:
    """Return the median of the last runs' records a second; None before the first that says anything."""
    with ctx.ledger.begin() as tx:
        runs = [(run, tx.plans.get(run.plan)) for run in tx.runs.recent(_RUNS) if run.finished_at is not None]
    rates = []
    for run, plan in runs:
        lasted = (run.finished_at - run.started_at).total_seconds() if run.finished_at else 0.0
        if plan is not None and plan.records >= _LEAST_RECORDS and lasted >= _LEAST_SECONDS:
            rates.append(plan.records / lasted)
    return median(rates) if rates else None


def _wal_bytes(ctx: Context, parts: Sequence[Part]) -> int | None:
    each = {part.dataset: _wal_bytes_of_one(ctx, part.dataset) for part in parts}
    known = [part.due * size for part in parts if (size := each[part.dataset]) is not None]
    return sum(known) if known else None


def _wal_bytes_of_one(ctx: Context, name: str) -> int | None:
    dataset = ctx.datamap.datasets[name]
    try:
        return ctx.connector(dataset).survey(dataset).wal_bytes_per_record
    except ConnectorError:
        return None
