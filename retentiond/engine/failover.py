"""A store that went back in time, by a failover or a restore: what was removed may be there again.

Before each receipt the stores that it speaks of are asked where they stand. Where one can't have come from where it was
verified to where it is now by going on, everything that was verified there in the hours before is looked for again, as
far as the ledger still has its identifiers. Nothing is signed until that look was complete.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from retentiond.domain.content import Change
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import named_cases
from retentiond.domain.plan import BatchState, Part, Sighting
from retentiond.domain.policy import CHANGING, Action
from retentiond.domain.records import chosen
from retentiond.engine.batches import Work, cases_for
from retentiond.engine.context import Context
from retentiond.engine.endings import read_ended
from retentiond.engine.holding import UNKNOWN
from retentiond.engine.identifiers import Ended, Final
from retentiond.engine.positions import Move, forget_move, has_moved, note_position, read_move, read_position
from retentiond.engine.residue import amend
from retentiond.errors import ConnectorError, PurgeNotVerified
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import BatchRow, EndedRow
from retentiond.ports.stores import Order, Verified

SHOWN = timedelta(days=7)
_ROUNDS = 3
_DONE = {
    Action.PURGE: frozenset((Final.PURGED, Final.ALREADY_GONE)),
    Action.TOMBSTONE: frozenset((Final.TOMBSTONED,)),
    Action.REDACT: frozenset((Final.REDACTED, Final.ALREADY_GONE)),
    Action.PSEUDONYMISE: frozenset((Final.PSEUDONYMISED, Final.ALREADY_GONE)),
}
_STILL = {
    Action.PURGE: frozenset((Sighting.ABSENT,)),
    Action.TOMBSTONE: frozenset((Sighting.ABSENT, Sighting.HIDDEN)),
    Action.REDACT: frozenset((Sighting.ABSENT, Sighting.CLEARED)),
    Action.PSEUDONYMISE: frozenset((Sighting.ABSENT, Sighting.CLEARED)),
}


@dataclass(slots=True)
class Look:
    """What a look at a store that moved came to.

    Attributes:
        looked_at: When it was complete; None while it is still to be made.
        batches: How many were looked at.
        unreadable: How many were not: their identifiers are destroyed, or their dataset is no longer declared.
        records: How many that had been removed or hidden are there again.
        uncounted: Those of them in runs that have their receipt, by policy, until a plan counts them as due.
    """

    store: str
    noticed_at: datetime
    looked_at: datetime | None = None
    batches: int = 0
    unreadable: int = 0
    records: int = 0
    uncounted: Counter[str] = field(default_factory=Counter)


def notice(ctx: Context) -> None:
    """Ask all stores where they stand, before anything is planned: what is back is told of before it goes again.

    A store that can't tell stops nobody here; no receipt will speak of it.
    """
    first = {each.store: each for each in reversed(list(ctx.datamap.datasets.values()))}
    for dataset in first.values():
        try:
            move = _observe(ctx, dataset)
            if move is not None:
                _look(ctx, dataset.store, move)
        except (ConnectorError, PurgeNotVerified) as error:
            ctx.reporter.note(error.what)


def look_back(ctx: Context, work: Work) -> None:
    """Ask the stores of which a plan's receipt will speak where they stand, and look again at those that moved.

    Raises:
        PurgeNotVerified: A store gave no complete answer, or moves again and again; nothing may be signed yet.
    """
    for dataset in _spoken_of(ctx, work):
        for _ in range(_ROUNDS):
            move = _observe(ctx, dataset)
            if move is None:
                break
            _look(ctx, dataset.store, move)
        else:
            raise _not_yet(dataset.store, "moves again and again")


def confirm(ctx: Context, work: Work) -> None:
    """Make sure, right before something is signed, that no store has moved since.

    Raises:
        PurgeNotVerified: One has, or doesn't say.
    """
    for dataset in _spoken_of(ctx, work):
        if _observe(ctx, dataset) is not None:
            raise _not_yet(dataset.store, "went back or elsewhere meanwhile")


def has_gone_back(ctx: Context, dataset: Dataset) -> bool:
    """Tell whether a dataset's store can't have come to where it stands by going on; nothing is noted.

    Raises:
        PurgeNotVerified: It doesn't say where it stands, and did before.
    """
    with ctx.ledger.begin() as tx:
        known, pending = read_position(tx, dataset.store), read_move(tx, dataset.store)
    if known is None or pending is not None:
        return pending is not None
    position = _verify(ctx, dataset, Ended((), ()), Action.PURGE, ()).position
    if position is None:
        raise _not_yet(dataset.store, "does not say where it stands")
    return has_moved(known[0], position)


def looks(ctx: Context) -> list[Look]:
    """Return the looks of the last days, and those that are still to be made, by store."""
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        found = [_pending(tx, store) or _read(tx, store) for store in ctx.datamap.stores]
    return [each for each in found if each and (each.looked_at is None or now - each.looked_at < SHOWN)]


def uncounted(ctx: Context) -> Counter[str]:
    """Return how many records are back and in no plan yet, by policy."""
    with ctx.ledger.begin() as tx:
        known = [_read(tx, store) for store in ctx.datamap.stores]
    return sum((look.uncounted for look in known if look), Counter())


def counted(ctx: Context) -> None:
    """Note that a plan of all policies has found what is due, also what was back."""
    with ctx.ledger.begin() as tx:
        for store in ctx.datamap.stores:
            look = _read(tx, store)
            if look is not None and look.uncounted:
                look.uncounted.clear()
                _write(tx, look)


def _spoken_of(ctx: Context, work: Work) -> list[Dataset]:
    """Return a dataset of each store in which the plan has verified something."""
    with ctx.ledger.begin() as tx:
        batches = tx.batches.of_plan(work.plan.id)
    found: dict[str, Dataset] = {}
    for batch in batches:
        dataset = ctx.datamap.datasets[work.part(batch).dataset]
        if batch.state in (BatchState.VERIFIED, BatchState.RECEIPTED):
            found.setdefault(dataset.store, dataset)
    return list(found.values())


def _observe(ctx: Context, dataset: Dataset) -> Move | None:
    """Ask a store where it stands, and return the move that is to be looked into, noticed now or before."""
    store = dataset.store
    with ctx.ledger.begin() as tx:
        known = read_position(tx, store)
    if known is None:
        return None
    position = _verify(ctx, dataset, Ended((), ()), Action.PURGE, ()).position
    if position is None:
        raise _not_yet(store, "does not say where it stands")
    with ctx.ledger.begin() as tx:
        note_position(tx, store, position, ctx.now())
        return read_move(tx, store)


def _look(ctx: Context, store: str, move: Move) -> None:
    ctx.reporter.note(f"store {store} went back, or elsewhere: what was removed since {move.since} is looked for again")
    look = Look(store, move.noticed_at)
    with ctx.ledger.begin() as tx:
        rows = tx.lookback.ended_since(move.since)
    for row, part in _in_store(ctx, store, rows):
        change = _change(ctx, row.batch, part) if part else None
        if part is None or not row.readable or (part.action in CHANGING and change is None):
            look.unreadable += 1
            _doubt(ctx, row.batch)
            continue
        look.batches += 1
        back = _look_at(ctx, row.batch, part, change)
        look.records += back
        if row.batch.state is BatchState.RECEIPTED:
            look.uncounted[part.policy] += back
    now = ctx.now()
    look.looked_at = now
    with ctx.ledger.begin() as tx:
        if read_move(tx, store) != move:  # it moved once more; what was seen before that counts for nothing
            return
        known = _read(tx, store)
        look.uncounted += known.uncounted if known else Counter()
        forget_move(tx, store)
        _write(tx, look)
        detail = {"batches": look.batches, "unreadable": look.unreadable, "records": look.records}
        tx.events.append("store.looked-at-again", store, now, detail)


def _in_store(ctx: Context, store: str, rows: Sequence[EndedRow]) -> Iterator[tuple[EndedRow, Part | None]]:
    """Give the batches of a store with their part; None where its dataset is no longer declared."""
    parts: dict[str, Sequence[Part]] = {}
    for row in rows:
        if row.batch.plan not in parts:
            with ctx.ledger.begin() as tx:
                parts[row.batch.plan] = tx.plans.parts(row.batch.plan)
        part = parts[row.batch.plan][row.batch.part]
        dataset = ctx.datamap.datasets.get(part.dataset)
        if dataset is None:
            yield row, None
        elif dataset.store == store:
            yield row, part


def _change(ctx: Context, batch: BatchRow, part: Part) -> Change | None:
    """Return what a batch redacted; None for other actions, and where policy or dataset are other ones by now."""
    policy, dataset = ctx.policies.policies.get(part.policy), ctx.datamap.datasets[part.dataset]
    with ctx.ledger.begin() as tx:
        plan = tx.plans.get(batch.plan)
    if part.action not in CHANGING or policy is None or plan is None:
        return None
    if (policy.id, policy.sha256) not in plan.policies or (dataset.name, dataset.sha256) not in plan.datasets:
        return None
    return cases_for(ctx, Work(plan, (part,)), part, ()).cases[part.case].change


def _doubt(ctx: Context, batch: BatchRow) -> None:
    """Carry over what a batch did and nobody can look for: no receipt that is to come says that it went."""
    if batch.state is BatchState.VERIFIED:
        ended = read_ended(ctx, batch)
        done = ended.places(frozenset().union(*_DONE.values()))
        if done:
            amend(ctx, batch, ended, done, UNKNOWN)


def _look_at(ctx: Context, batch: BatchRow, part: Part, change: Change | None) -> int:
    """Look for the records of one batch; return how many are back. No receipt that is to come says that these went."""
    dataset = ctx.datamap.datasets[part.dataset]
    ended = read_ended(ctx, batch)
    places = [place for place, final in enumerate(ended.finals) if final in _DONE[part.action]]
    verified = _verify(ctx, dataset, ended, part.action, places, change)
    if Sighting.UNKNOWN in verified.sightings or len(verified.sightings) != len(places):
        raise _not_yet(dataset.store, "could not be looked at again")
    with ctx.ledger.begin() as tx:  # so that a move in the midst of a look is noticed
        note_position(tx, dataset.store, verified.position, ctx.now())
    still = _STILL[part.action]
    back = [place for place, seen in zip(places, verified.sightings, strict=True) if seen not in still]
    if back and batch.state is BatchState.VERIFIED:
        amend(ctx, batch, ended, back)
    return len(back)


def _verify(
    ctx: Context, dataset: Dataset, ended: Ended, action: Action, places: Sequence[int], change: Change | None = None
) -> Verified:
    # Only presence counts here, so no policy is asked; it may be another one by now.
    records = chosen(ended.records, places)
    order = Order(dataset, action, named_cases(), 0, records, ctx.now(), _never, change=change)
    return ctx.connector(dataset).verify(order)


def _never() -> None:
    raise PurgeNotVerified("a look back tried to change a store", remedy="this is a defect of the connector")


def _not_yet(store: str, why: str) -> PurgeNotVerified:
    return PurgeNotVerified(
        f"store {store} {why}; no receipt is issued yet",
        where=store,
        remedy="`retentiond run` looks again when the store answers",
    )


def _pending(tx: Transaction, store: str) -> Look | None:
    move = read_move(tx, store)
    return Look(store, move.noticed_at) if move else None


def _read(tx: Transaction, store: str) -> Look | None:
    fact = tx.facts.get(f"looked:{store}")
    if not fact:
        return None
    value = json.loads(fact)
    noticed_at, looked_at = (datetime.fromisoformat(value.pop(name)) for name in ("noticed_at", "looked_at"))
    return replace(Look(store, noticed_at, looked_at, **value), uncounted=Counter(value["uncounted"]))


def _write(tx: Transaction, look: Look) -> None:
    value = {
        "noticed_at": look.noticed_at.isoformat(),
        "looked_at": (look.looked_at or look.noticed_at).isoformat(),
        "batches": look.batches,
        "unreadable": look.unreadable,
        "records": look.records,
        "uncounted": dict(look.uncounted),
    }
    tx.facts.set(f"looked:{look.store}", json.dumps(value))
