"""One batch: claim, act, verify, finish. First try and recovery after a crash are this same function."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import Cases, cases_of
from retentiond.domain.hold import Hold, HoldIndex
from retentiond.domain.obligation import leaving_cases
from retentiond.domain.plan import Basis, BatchState, Outcome, Part, Sighting, fixed_cases
from retentiond.domain.policy import Action
from retentiond.domain.record import Record, micros
from retentiond.domain.records import chosen
from retentiond.domain.waiting import read_wait
from retentiond.engine import guards
from retentiond.engine.closed import cases_of_replay
from retentiond.engine.context import Context
from retentiond.engine.docket import holds_in_force
from retentiond.engine.endings import read_ended, seal_ended
from retentiond.engine.holding import UNKNOWN, guarded, held_by_condition, look_at_holds
from retentiond.engine.identifiers import NOT_HIDDEN, Ended, Fate, Final, Hiding, decode_records
from retentiond.engine.leaving import Whom, cases_of_erasure, leavers_among
from retentiond.engine.manual import cases_of_request
from retentiond.engine.positions import encode_verification, note_position
from retentiond.engine.preparing import NOTHING_PREPARED, Prepared
from retentiond.engine.pseudonyms import pseudonyms_of
from retentiond.engine.retrying import TRIES, pause_seconds
from retentiond.engine.verdicts import NOT_VERIFIED, judge_all
from retentiond.engine.waiting import remember
from retentiond.errors import ClaimLost, ConnectorError, LedgerBusy
from retentiond.ports.rows import BatchRow, PlanRow
from retentiond.ports.stores import Acted, Order, Verified
from retentiond.telemetry import logger

RESTARTS = 1_000  # changes of holds during one batch; each of them lets it begin again
STORE_FAILED = "store-failed"
CANARY = "dataset-stopped"
OBJECT_REMAINS = "object-remains"
STOPPING = frozenset((NOT_VERIFIED, STORE_FAILED, UNKNOWN))
_FAILED = frozenset((Outcome.REFUSED, Outcome.UNKNOWN))
_CAUSES = 3  # of a batch that are told; there may be one for each record
_REMEDY = "`retentiond check` names what is in the way; the next run takes up what was carried over"

_STAYED = frozenset(each.wire for each in (Final.CHANGED, Final.HELD, Final.REFUSED, Final.CARRIED_OVER))


class Superseded(Exception):
    """A hold was placed or released since this claim, or the claim was fenced off; the statement was not sent."""


@dataclass(frozen=True, slots=True)
class Work:
    """A run's plan with everything that its batches need.

    Attributes:
        accounts: The accounts that leave, or the people whose data is erased; none where policy decides.
        elsewhere: Tells whether a row that stays names an object.
        prepared: Hears of batches as they end.
    """

    plan: PlanRow
    parts: Sequence[Part]
    accounts: Whom = field(default_factory=dict)
    elsewhere: Callable[[str], bool] = lambda _name: False
    prepared: Prepared = NOTHING_PREPARED

    def part(self, batch: BatchRow) -> Part:
        """Return the part of a batch."""
        return self.parts[batch.part]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed batch: its fence token, and the holds as they stood in the same transaction.

    Attributes:
        at: When it was claimed; a tombstone bears this time.
        packed: The records as the ledger keeps them.
        before: When the batch was claimed before, as far as that is known: what a claim that came to nothing hid
            bears its time.
    """

    token: int
    epoch: int
    holds: Sequence[Hold]
    records: Sequence[Record]
    at: datetime
    packed: bytes = b""
    before: tuple[datetime, ...] = ()


def cases_for(ctx: Context, work: Work, part: Part, records: Iterable[Record]) -> Cases:
    """Return the cases, of which the part's must still win for each of these records.

    Of the accounts that leave, only those that own one of them are asked for: there may be ten thousand.
    """
    if part.basis is Basis.MANUAL:
        return cases_of_request(ctx, work.plan, part)
    if part.basis is Basis.ERASURE:
        return cases_of_erasure(ctx, work.plan, part, work.accounts, records)
    if part.basis is Basis.REPLAY:
        return cases_of_replay(ctx, work.plan, part, records)
    if part.basis is Basis.CLOSURE:
        leaving, policy = leavers_among(work.accounts, records), ctx.policies.policies.get(part.policy)
        return leaving_cases(leaving, policy, ctx.datamap.datasets[part.dataset], work.plan.reference_time)
    if part.basis is not Basis.POLICY:
        return fixed_cases(part.basis)
    policy = ctx.policies.policies[part.policy]
    return cases_of(policy, ctx.datamap.datasets[part.dataset], work.plan.reference_time)


def execute(ctx: Context, work: Work, batch: BatchRow) -> BatchRow:
    """Carry out one batch and return it as it ended.

    Raises:
        GuardStopped: A guard stopped the run; the batch is left as it is, to be executed again.
        LedgerBusy: Another process claimed the batch meanwhile; this one does nothing more to it.
    """
    failed, claim = 0, None
    for _ in range(RESTARTS):
        guards.check_files_unchanged(ctx)
        claim = _claim(ctx, batch, claim, unless_paused=True)
        try:
            return _attempt(ctx, work, replace(batch, token=claim.token), claim)
        except (Superseded, ClaimLost):
            continue
        except ConnectorError as error:
            failed += 1
            if not error.transient or failed >= TRIES:
                ended = _give_up(ctx, batch, claim, STORE_FAILED, error)
                return _tell(ctx, work, ended, [error.what], error.remedy)
            time.sleep(pause_seconds(failed))
    claim = _claim(ctx, batch, claim)
    return _tell(ctx, work, _give_up(ctx, batch, claim, UNKNOWN, None), [])


def carry_over(ctx: Context, batch: BatchRow, reason: str) -> BatchRow:
    """End a batch without acting on it: its records belong to a successor run."""
    claim = _claim(ctx, batch, None)
    return _give_up(ctx, batch, claim, reason, None)


def _claim(ctx: Context, batch: BatchRow, mine: Claim | None, *, unless_paused: bool = False) -> Claim:
    """Claim a batch, for the first time in this process (None) or again after the claim `mine`."""
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        if unless_paused:
            guards.check_paused(tx)
        epoch = tx.holds.epoch()
        holds = holds_in_force(ctx, tx)
        current = tx.claims.get(batch.plan, batch.ordinal)
        if mine and current.token != mine.token and current.state is not BatchState.PLANNED:
            raise LedgerBusy(
                f"batch {batch.ordinal} of plan {batch.plan} was claimed by another process; this one stops",
                remedy="`retentiond status` shows how far the run is",
            )
        token = tx.batches.claim(batch.plan, batch.ordinal, now)
        packed = tx.batches.identifiers(batch.plan, batch.ordinal)
    before = dict.fromkeys((*(mine.before if mine else ()), *((current.claimed_at,) if current.claimed_at else ())))
    return Claim(token, epoch, holds, decode_records(packed), now, packed, tuple(before))


def _attempt(ctx: Context, work: Work, batch: BatchRow, claim: Claim) -> BatchRow:
    part = work.part(batch)
    dataset = ctx.datamap.datasets[part.dataset]
    fate = _excused(ctx, work, batch, dataset, claim)
    places = fate.open_places()
    order = _order(ctx, work, batch, claim, places)
    if part.action is Action.PSEUDONYMISE:
        owners = (owner for record in order.records for owner in record.accounts)
        order = replace(order, pseudonyms=pseudonyms_of(ctx, owners))
    acted = ctx.connector(dataset).act(order)
    with ctx.ledger.begin() as tx:
        tx.batches.mark_acted(batch.plan, batch.ordinal, batch.token)
    verified = ctx.connector(dataset).verify(replace(order, traces=acted.traces))
    _check_lengths(order, acted.outcomes, verified.sightings)
    verdicts = judge_all(part.action, acted.outcomes, verified.sightings)
    fate.settle_all(places, _in_the_store_s_words(acted, verdicts))
    look_at_holds(ctx, order, claim.records, claim.holds, fate)
    stops = _stops(acted, verdicts)
    hiding = _hiding(part, claim, {places[number]: mark for number, mark in acted.marks.items()})
    known = fate.ended(claim.records, claim.packed, hiding)
    ended = _finish(ctx, batch, dataset.name, known, verified, stops)
    work.prepared.take(batch.ordinal, dataset.name, known)
    causes = (cause for place, cause in acted.reasons.items() if acted.outcomes[place] in _FAILED)
    return _tell(ctx, work, ended, causes) if stops else ended


def _in_the_store_s_words(acted: Acted, verdicts: Sequence[tuple[Final, str]]) -> Sequence[tuple[Final, str]]:
    if not acted.reasons:
        return verdicts
    told = enumerate(verdicts)
    return [(final, acted.reasons.get(n, reason) if reason == "refused" else reason) for n, (final, reason) in told]


def _hiding(part: Part, claim: Claim, marks: Mapping[int, str]) -> Hiding:
    """Return by what the tombstones of a batch are known later."""
    if part.action is not Action.TOMBSTONE:
        return NOT_HIDDEN
    return Hiding(tuple(micros(each) for each in (*claim.before, claim.at)), marks)


def _check_lengths(order: Order, outcomes: Sequence[Outcome], sightings: Sequence[Sighting]) -> None:
    if not len(order.records) == len(outcomes) == len(sightings):
        raise ConnectorError(
            f"the connector answered for {len(outcomes)} and {len(sightings)} of {len(order.records)} records",
            where=order.dataset.name,
            remedy="this is a defect of the connector; nothing it said was believed",
        )


def _order(ctx: Context, work: Work, batch: BatchRow, claim: Claim, indexes: Sequence[int]) -> Order:
    part = work.part(batch)
    records = chosen(claim.records, indexes)
    cases, case = guarded(cases_for(ctx, work, part, records), part.case, claim.holds, part.dataset)

    def fence() -> None:
        guards.check_stop(ctx)
        with ctx.ledger.begin() as tx:
            guards.check_paused(tx)
            current = (tx.holds.epoch(), tx.batches.token(batch.plan, batch.ordinal))
        if current != (claim.epoch, claim.token):
            raise Superseded

    return Order(
        dataset=ctx.datamap.datasets[part.dataset],
        action=part.action,
        cases=cases,
        case=case,
        records=records,
        at=claim.at,
        fence=fence,
        change=cases.cases[case].change,
    )


def _excused(ctx: Context, work: Work, batch: BatchRow, dataset: Dataset, claim: Claim) -> Fate:
    """Return what is settled before anything is done: records that are held, and those that another part stops."""
    fate = Fate.open(len(claim.records))
    holds = HoldIndex(claim.holds, dataset.name)
    for place, record in enumerate(claim.records) if holds else ():
        naming = holds.named(record)
        if naming:
            fate.settle(place, Final.HELD, naming[0])
    stopped = {}
    if batch.objects:
        stopped = _stopped_objects(ctx, work, batch, claim)
    elif dataset.blobs is not None:
        stopped = _stopped_rows(ctx, batch, claim)
    for place, (final, reason) in stopped.items():
        if fate.finals[place] is None:
            fate.settle(place, final, reason)
    return fate


def _group(ctx: Context, batch: BatchRow, *, objects: bool) -> list[BatchRow]:
    with ctx.ledger.begin() as tx:
        rows = tx.batches.of_plan(batch.plan)
    return [each for each in rows if each.group == batch.group and each.objects == objects]


def _stopped_rows(ctx: Context, batch: BatchRow, claim: Claim) -> dict[int, tuple[Final, str]]:
    """Rows stay as long as an object that they name is still there: the object goes first."""
    remaining: dict[str, tuple[Final, str]] = {}
    for other in _group(ctx, batch, objects=True):
        ended = read_ended(ctx, other)
        for index, final in enumerate(ended.finals):
            name = str(ended.records[index].key[0])
            if final is Final.HELD:
                remaining[name] = (Final.HELD, ended.reasons[index])
            elif final in (Final.CARRIED_OVER, Final.REFUSED, Final.CHANGED):
                remaining.setdefault(name, (Final.CARRIED_OVER, OBJECT_REMAINS))
    return {
        index: remaining[name]
        for index, record in enumerate(claim.records)
        for name in record.blobs
        if name in remaining
    }


def _stopped_objects(ctx: Context, work: Work, batch: BatchRow, claim: Claim) -> dict[int, tuple[Final, str]]:
    """Objects stay when the row that names them is held by now, or is no longer due: its predicate is read again."""
    verdicts = _kept_elsewhere(ctx, work, batch)
    for other in _group(ctx, batch, objects=False):
        part = work.part(other)
        dataset = ctx.datamap.datasets[part.dataset]
        with ctx.ledger.begin() as tx:
            rows = decode_records(tx.batches.identifiers(other.plan, other.ordinal))
        holds = HoldIndex(claim.holds, dataset.name)
        order = _order(ctx, work, other, replace(claim, records=rows), range(len(rows)))
        sightings = ctx.connector(dataset).verify(order).sightings
        changed = {place: rows[place] for place, each in enumerate(sightings) if each is Sighting.CHANGED}
        by_condition, unknown = held_by_condition(ctx, dataset, changed, claim.holds, ctx.now())
        for place, (row, sighting) in enumerate(zip(rows, sightings, strict=True)):
            naming = holds.named(row) or ((by_condition[place],) if place in by_condition else ())
            verdict = _row_verdict(naming, Sighting.UNKNOWN if place in unknown else sighting)
            verdicts.update(dict.fromkeys(row.blobs, verdict) if verdict else {})
    for name in {str(record.key[0]) for record in claim.records}:
        if work.elsewhere(name):
            verdicts.setdefault(name, (Final.CHANGED, "row-stays"))
    return {
        index: verdicts[str(record.key[0])]
        for index, record in enumerate(claim.records)
        if str(record.key[0]) in verdicts
    }


def _kept_elsewhere(ctx: Context, work: Work, batch: BatchRow) -> dict[str, tuple[Final, str]]:
    """Objects stay, too, for a row of an earlier group that names them and was not removed after all.

    An object stands in the group of the last row that names it, so the others have ended by now; those of which
    everything was removed need not be read.
    """
    verdicts: dict[str, tuple[Final, str]] = {}
    with ctx.ledger.begin() as tx:
        rows = tx.batches.of_plan(batch.plan)
    for other in rows:
        blobs = ctx.datamap.datasets[work.part(other).dataset].blobs
        if blobs is None or blobs.dataset != work.part(batch).dataset or _STAYED.isdisjoint(other.outcomes):
            continue
        ended = read_ended(ctx, other)
        for index, final in enumerate(ended.finals):
            if final.wire in _STAYED:
                reason = ended.reasons[index] if final is Final.HELD else "row-stays"
                verdict = (Final.HELD if final is Final.HELD else Final.CHANGED, reason)
                verdicts.update(dict.fromkeys(ended.records[index].blobs, verdict))
    return verdicts


def _row_verdict(naming: Sequence[str], sighting: Sighting) -> tuple[Final, str] | None:
    if naming:
        return Final.HELD, naming[0]
    if sighting is Sighting.DUE:
        return None
    if sighting is Sighting.UNKNOWN:
        return Final.CARRIED_OVER, UNKNOWN
    return Final.CHANGED, "row-changed"


def _stops(acted: Acted, judged: Sequence[tuple[Final, str]]) -> str:
    """Return why the dataset stops at this batch; empty when it goes on."""
    reasons = {reason for _, reason in judged}
    if NOT_VERIFIED in reasons:
        return NOT_VERIFIED
    if UNKNOWN in reasons:
        return UNKNOWN
    refused = [place for place, (_, reason) in enumerate(judged) if reason == "refused"]
    waits = bool(refused) and all(read_wait(acted.reasons.get(place, "")) for place in refused)
    return STORE_FAILED if judged and len(refused) == len(judged) and not waits else ""


def _finish(
    ctx: Context, batch: BatchRow, dataset: str, ended: Ended, verified: Verified, stops: str
) -> BatchRow:  # fmt: skip
    now = ctx.now()
    result = replace(batch, state=BatchState.VERIFIED, outcomes=ended.counts(), reason=stops)
    with ctx.ledger.begin() as tx:
        tx.batches.finish(result, seal_ended(ctx, batch, ended), now)
        remember(ctx, tx, dataset, ended.records, ended.reasons)
        name = f"verified:{batch.plan}:{batch.part}"
        tx.facts.set(name, encode_verification(verified, now))
        note_position(tx, ctx.datamap.datasets[dataset].store, verified.position, now)
    _log_batch(result)
    return result


def _give_up(ctx: Context, batch: BatchRow, claim: Claim, reason: str, error: ConnectorError | None) -> BatchRow:
    count = len(claim.records)
    ended = Ended(claim.records, [Final.CARRIED_OVER] * count, dict.fromkeys(range(count), reason), claim.packed)
    result = replace(batch, state=BatchState.CARRIED_OVER, token=claim.token, outcomes=ended.counts(), reason=reason)
    with ctx.ledger.begin() as tx:
        tx.batches.finish(result, seal_ended(ctx, batch, ended), ctx.now())
        detail: Mapping[str, object] = {"reason": reason, "error": str(error) if error else ""}
        tx.events.append("batch.carried-over", f"{batch.plan}/{batch.ordinal}", ctx.now(), detail)
    _log_batch(result)
    return result


def _tell(ctx: Context, work: Work, batch: BatchRow, causes: Iterable[str], remedy: str = "") -> BatchRow:
    """Tell people that a dataset stops at a batch, with the commonest causes, and return the batch."""
    found = "; ".join(cause for cause, _ in Counter(causes).most_common(_CAUSES))
    why = f"{batch.reason} ({found})" if found else batch.reason
    stops = f"dataset {work.part(batch).dataset} stops at batch {batch.ordinal}: {why}"
    ctx.reporter.note(f"{stops}\n  what to do: {remedy or _REMEDY}")
    return batch


def _log_batch(batch: BatchRow) -> None:
    known = {"plan": batch.plan, "batch": batch.ordinal, "records": batch.count, "outcomes": dict(batch.outcomes)}
    if batch.reason:
        logger().warning("batch", **known, reason=batch.reason)
    else:
        logger().info("batch", **known)
