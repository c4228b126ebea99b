"""Whether a store went back in time: by where it stands, and by what is there again that the ledger knows to be gone.

A restored dump may leave a store where it was by every number that it gives of itself, so its content is looked at too:
records that were removed in the last days, by their keys; owners whose accounts are closed; and what was past its
retention period when its policy was last carried out. All of it is older than a moment at which the store was seen
without it. That can also be written late by an application, which a look can't tell from a restore; what is younger is
no sign. The look is bounded, so that `check` can be called at any time: `replay` looks at everything.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import TypeVar

from retentiond.domain.condition import ALWAYS, CLOCK, Compare, Operator
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import Case, Cases, Disposition, cases_of
from retentiond.domain.erasure import Person
from retentiond.domain.hold import HoldIndex
from retentiond.domain.plan import Part, Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Record, micros
from retentiond.domain.replay import BACK, ERASED, SINCE, UNCERTAIN, replay_cases
from retentiond.engine.closed import ENDS, Closed
from retentiond.engine.context import Context
from retentiond.engine.docket import holds_in_force
from retentiond.engine.endings import read_ended
from retentiond.engine.failover import has_gone_back
from retentiond.engine.identifiers import Final
from retentiond.engine.sweeping import swept
from retentiond.engine.waiting import waiting
from retentiond.errors import ConnectorError, KeyFileError, PurgeNotVerified
from retentiond.evidence.canonical import rfc3339
from retentiond.ports.rows import BatchRow, EndedRow
from retentiond.ports.stores import UNNAMEABLE, Finding, Order, Owning, Survey

_T = TypeVar("_T")
LOOK_WINDOWS = 50
OWNER_WINDOWS = 500  # of a store that names owners without handing out records
LOOK_BATCHES = 8
LOOK_RECORDS = 500
_GONE = frozenset((Final.PURGED, Final.ALREADY_GONE))
_THEIRS = {
    BACK: "closed accounts, and older than the closure",
    ERASED: "erased users, and older than the erasure",
}
_REMEDY = "`retentiond replay` removes again what had been removed; what is held, or can't be told, stays"


def look(ctx: Context) -> Survey:
    """Find the stores that went back, one finding for each. That a store can't be read is found elsewhere.

    A note tells of each dataset of which only a part was looked at.
    """
    signs: defaultdict[str, list[str]] = defaultdict(list)
    partly: list[str] = []
    for store, sign in (*_places(ctx), *_keys(ctx), *_closed(ctx, partly), *_old(ctx)):
        signs[store].append(sign)
    return Survey(
        tuple(
            Finding(f"it was restored, or written late: {'; '.join(found)}", f"store {store}", _REMEDY)
            for store, found in signs.items()
        ),
        tuple(
            f"{name}: owners of its first records were compared with closed accounts; `retentiond replay` compares all"
            for name in partly
        ),
    )


def _places(ctx: Context) -> Iterator[tuple[str, str]]:
    """Ask each store where it stands."""
    first = {each.store: each for each in reversed(list(ctx.datamap.datasets.values()))}
    for dataset in first.values():
        try:
            if has_gone_back(ctx, dataset):
                yield dataset.store, "it is not where records were last verified, but went back, or elsewhere"
        except (ConnectorError, PurgeNotVerified):
            continue  # it does not say; what is in it may tell


def _keys(ctx: Context) -> Iterator[tuple[str, str]]:
    """Look for some of the records that were removed in the last days, while their names are still known."""
    with ctx.ledger.begin() as tx:
        rows = tx.lookback.ended_since(ctx.terms.identifiers_keep.before(ctx.now()))
    for name, batches in _purged(ctx, [row for row in rows if row.readable]).items():
        dataset = ctx.datamap.datasets[name]
        found = [_back_of(ctx, dataset, *each) for each in _some(batches, LOOK_BATCHES)]
        back, looked = (sum(numbers) for numbers in zip(*found, strict=True))
        if back:
            seen = f"{back:,} of {looked:,} that were looked for"
            yield dataset.store, f"records of {dataset.name} that were removed in the last days are there again, {seen}"


def _purged(ctx: Context, rows: Sequence[EndedRow]) -> dict[str, list[tuple[BatchRow, datetime]]]:
    """Return the batches that removed records for good, each with the reference time of its plan, by dataset."""
    plans: dict[str, tuple[Sequence[Part], datetime]] = {}
    found: dict[str, list[tuple[BatchRow, datetime]]] = {}
    for row in rows:
        name = row.batch.plan
        if name not in plans:
            with ctx.ledger.begin() as tx:
                plan = tx.plans.get(name)
                plans[name] = (tx.plans.parts(name), plan.reference_time if plan else ctx.now())
        parts, reference = plans[name]
        part = parts[row.batch.part]
        if part.action is Action.PURGE and part.dataset in ctx.datamap.datasets:
            found.setdefault(part.dataset, []).append((row.batch, reference))
    return found


def _back_of(ctx: Context, dataset: Dataset, batch: BatchRow, reference: datetime) -> tuple[int, int]:
    """Return how many of some records that a batch removed are there again, and how many were looked for."""
    try:
        ended = read_ended(ctx, batch)
        gone = [record for record, final in zip(ended.records, ended.finals, strict=True) if final in _GONE]
        records = _some(gone, LOOK_RECORDS)
        order = Order(dataset, Action.PURGE, _seen_again(dataset, records, reference), 0, records, ctx.now(), _never)
        sightings = ctx.connector(dataset).verify(order).sightings
    except (ConnectorError, KeyFileError):
        return 0, 0
    return sum(each is Sighting.DUE for each in sightings), len(records)


def _seen_again(dataset: Dataset, records: Sequence[Record], reference: datetime) -> Cases:
    """Return cases of which the first says that a record is the one that was removed, and not one made under its key.

    It is older than its removal, or nothing else can bear its name: a version's, or one that is written once.
    """
    once = dataset.write_once or all(record.version for record in records)
    same = ALWAYS if once else Compare(CLOCK, Operator.LESS, micros(reference))
    return Cases((Case(Disposition.PURGE, same, "seen-again"), Case(Disposition.KEEP, ALWAYS, "made-since")))


def _closed(ctx: Context, partly: list[str]) -> Iterator[tuple[str, str]]:
    """Look for accounts that are closed among the owners of records; where there are any, at their records' clocks."""
    with Closed(ctx) as closed:
        for dataset in ctx.datamap.datasets.values():
            with suppress(ConnectorError):
                if not closed.look_through(dataset, _most(ctx, dataset)):
                    partly.append(dataset.name)
        for dataset in ctx.datamap.datasets.values():
            with suppress(ConnectorError):
                closed.look_for_users(dataset, LOOK_WINDOWS)
        for some in closed.back(ENDS):
            found = list(_of_closed(ctx, some))
            if found:  # one sign of a store is as good as many
                yield from found
                return


def _most(ctx: Context, dataset: Dataset) -> int:
    return OWNER_WINDOWS if isinstance(ctx.connector(dataset), Owning) else LOOK_WINDOWS


def _of_closed(ctx: Context, gone: Mapping[Person, int]) -> Iterator[tuple[str, str]]:
    back: Counter[tuple[str, str]] = Counter()
    since: set[str] = set()
    unsure: defaultdict[str, set[str]] = defaultdict(set)
    datasets = ctx.datamap.datasets
    for dataset in datasets.values():
        for reason, records, count in _reasons(ctx, dataset, gone):
            owners = {owner for record in records for owner in record.accounts if Person(owner) in gone}
            if reason in _THEIRS:
                back[dataset.name, reason] += count
            elif reason == SINCE:
                since |= owners
            elif reason == UNCERTAIN:
                unsure[dataset.name] |= owners
    for (name, reason), count in back.items():
        yield datasets[name].store, f"{count:,} records of {name} are of {_THEIRS[reason]}"
    for name, owners in unsure.items():
        if owners - since:  # of others it is known that they came back
            yield datasets[name].store, f"records of {name} are of closed accounts: written since, or restored"


def _reasons(ctx: Context, dataset: Dataset, gone: Mapping[Person, int]) -> Iterator[tuple[str, Sequence[Record], int]]:
    """Give, of each window of a dataset, why records of closed accounts are there, with some of them, and how many."""
    if not dataset.has_owner:
        return
    cases = replay_cases(gone, dataset, ctx.now(), None)
    told = frozenset(index for index, case in enumerate(cases.cases) if case.reason in (SINCE, UNCERTAIN))
    with suppress(ConnectorError):
        for window in islice(ctx.connector(dataset).scan(dataset, cases, told), _most(ctx, dataset)):
            for index, tally in window.tallies.items():
                if index != UNNAMEABLE and tally.count:
                    records = [found.record for found in window.found if found.case == index]
                    yield cases.cases[index].reason, records, tally.count


def _old(ctx: Context) -> Iterator[tuple[str, str]]:
    """Look for what was due when its policy was last carried out and nothing of it was left, and is there now."""
    for dataset in ctx.datamap.datasets.values():
        at = swept(ctx, dataset)
        if at is None or dataset.follows:
            continue
        with suppress(ConnectorError):
            count = _left_of(ctx, dataset, at)
            if count:
                past = f"{count:,} records of {dataset.name} were past their retention period at {rfc3339(at)}"
                yield dataset.store, f"{past}, when the last of these had been removed"


def _left_of(ctx: Context, dataset: Dataset, at: datetime) -> int:
    policy = ctx.policies.of_class(dataset.data_class)
    if policy is None:
        return 0
    cases = cases_of(policy, dataset, at, ctx.now())
    with ctx.ledger.begin() as tx:
        holds = holds_in_force(ctx, tx)
        related = [dataset.name, dataset.blobs.dataset] if dataset.blobs else [dataset.name]
        locked = [waiting(ctx, tx, name, at) for name in related]
    held = [HoldIndex(holds, name) for name in related]
    if any(locked) or any(held[1:]):  # what waits for objects stays with them, and a look at rows can't tell which
        return 0
    windows = islice(ctx.connector(dataset).scan(dataset, cases, frozenset(cases.due)), LOOK_WINDOWS)
    records = (found.record for window in windows for found in window.found)
    return sum(not record.ties.standing and not held[0].ids(record) for record in records)


def _some(found: Sequence[_T], most: int) -> list[_T]:
    """Return some of a sequence, spread evenly, the last among them."""
    if len(found) <= most:
        return list(found)
    return [found[len(found) - 1 - place * len(found) // most] for place in range(most)]


def _never() -> None:
    raise PurgeNotVerified("a look tried to change a store", remedy="this is a defect of the connector")
