"""Undo: tombstoned records are brought back while their grace lasts, at the signed request of one person.

Bringing back is the safe direction, so nobody else has to approve. The request is in journal and log before the first
record is brought back, and what came of it before it is acknowledged. Asking again finishes what was interrupted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retentiond.domain.hold import Scope
from retentiond.domain.scopes import write_scope
from retentiond.engine import chains, guards
from retentiond.engine.approvals import find_plan
from retentiond.engine.context import Context, new_id
from retentiond.engine.hidings import Hidings
from retentiond.engine.returning import Tally, Undone, plain
from retentiond.engine.scopes import check_scope, check_texts
from retentiond.engine.seeking import Search, undo_plans, undo_scope
from retentiond.engine.signing import Signed, deliver, deliver_what_stops, record_state, request
from retentiond.engine.sweeping import forget_swept
from retentiond.errors import GuardStopped, LogIntegrityError, RetentiondError, UsageError
from retentiond.evidence.canonical import Json, rfc3339
from retentiond.ports.rows import PlanRow

VERB, ENDED = "undo", "undo-ended"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked back: what a scope selects, or (then the scope is None) all that a run hid.

    Attributes:
        plan: The id of a run or of its plan; of the first plan of a chain for all of the chain.
    """

    scope: Scope | None = None
    plan: str = ""


@dataclass(frozen=True, slots=True)
class Undo:
    """What came of an undo.

    Attributes:
        forgotten: Records by dataset that were hidden within the grace by batches whose identifiers are destroyed, so
            that nobody can tell any more which they are.
    """

    id: str
    signed: Signed
    tally: Tally
    forgotten: Mapping[str, int]

    @property
    def brought_any(self) -> bool:
        """Whether anything that was selected is there now."""
        total = self.tally.total
        return bool(total[Undone.RESTORED] or total[Undone.THERE])

    @property
    def complete(self) -> bool:
        """Whether everything that was selected is there now, as far as anybody can tell."""
        there = (Undone.RESTORED, Undone.THERE)
        return not self.forgotten and all(each in there or not count for each, count in self.tally.total.items())


def undo(ctx: Context, wanted: Wanted, reason: str, key_file: Path | None) -> Undo:
    """Sign and log a request, and bring back what it names.

    Raises:
        UsageError: It names nothing, or what has no tombstones.
        GuardStopped: The clock is doubtful, the stop file exists, this instance only observes, a run that hid such
            records has not ended, or nobody may sign.
        LogIntegrityError: The request is not in the log, and nothing was brought back; or what was is not yet logged.
        Interrupted: The operator asked to stop; what is back is back.
        LedgerBusy: Another process acts.
    """
    _check(ctx, wanted, reason)
    with ctx.ledger.acting():
        now = _guarded(ctx)
        plans = _plans(ctx, wanted)
        _check_ended(ctx, wanted, plans)
        undo_id, signed = _ask(ctx, wanted, plans, reason, key_file)
        tally, forgotten = Tally(all_by_name=bool(wanted.scope and wanted.scope.keys)), Counter[str]()
        try:
            with Hidings() as hidings:
                search = Search(ctx, now, hidings, tally, forgotten)
                if wanted.scope is None:
                    undo_plans(search, plans)
                else:
                    undo_scope(search, wanted.scope)
        finally:
            _remember(ctx, undo_id, tally)
        deliver_what_stops(ctx, f"the undo {undo_id} is done")
    return Undo(undo_id, signed, tally, forgotten)


def _check(ctx: Context, wanted: Wanted, reason: str) -> None:
    if not reason.strip():
        raise UsageError("an undo has a reason, which the journal bears", where="--reason", remedy="--reason R")
    check_texts("--reason", (reason,))
    if wanted.scope is None:
        return
    if wanted.plan:
        raise UsageError("a run or a selector is undone, not both", where="--plan", remedy="leave one of them out")
    if not wanted.scope.dataset:
        raise UsageError(
            "an undo is of one dataset, or of one run", where="--dataset", remedy="--dataset D, or --plan ID"
        )
    check_texts("--account", wanted.scope.accounts)
    check_scope(ctx, wanted.scope, "an undo")
    _check_dataset(ctx, wanted.scope)


def _check_dataset(ctx: Context, scope: Scope) -> None:
    dataset = ctx.datamap.datasets[scope.dataset]
    if dataset.follows:
        raise UsageError(
            f"dataset {dataset.name} follows {dataset.follows}: its objects come back with the rows that name them",
            where="--dataset",
            remedy=f"--dataset {dataset.follows}; objects that no row names come back with the run: --plan ID",
        )
    if dataset.tombstone is None:
        raise UsageError(
            f"dataset {dataset.name} declares no tombstone: nothing of it is hidden",
            where="--dataset",
            remedy="what was purged is gone",
        )
    if scope.accounts and not dataset.has_owner:
        raise UsageError(
            f"the data map does not say whose the records of dataset {dataset.name} are",
            where="--account",
            remedy="--key K, or --where EXPR; or declare `account` in the data map",
        )


def _guarded(ctx: Context) -> datetime:
    """Return the reference time, once nothing forbids to change a store; a pause does not: it is made for this."""
    now = guards.before_planning(ctx)
    guards.check_stop(ctx)
    guards.check_mode(ctx)
    return now


def _plans(ctx: Context, wanted: Wanted) -> list[PlanRow]:
    """Return the plans of the run that is undone, with the whole chain where it is the first of one."""
    if wanted.scope is not None:
        return []
    if not wanted.plan:
        raise UsageError("nothing is named", where="--dataset", remedy="--dataset D with a key, or --plan ID")
    with ctx.ledger.begin() as tx:
        run = tx.runs.get(wanted.plan)
        plans = chains.whole(tx, find_plan(tx, run.plan if run else wanted.plan))
    for name in sorted({name for plan in plans for name, _ in plan.datasets} - ctx.datamap.datasets.keys()):
        raise UsageError(
            f"dataset {name}, of which the run hid records, is not declared any more",
            where="datamap.yaml",
            remedy="declare it again, and ask again",
        )
    return plans


def _check_ended(ctx: Context, wanted: Wanted, plans: Sequence[PlanRow]) -> None:
    """Raise GuardStopped while a run that hides the same records has not ended: its receipt will say what it hid."""
    named = {name for plan in plans for name, _ in plan.datasets}
    if wanted.scope is not None:
        blobs = ctx.datamap.datasets[wanted.scope.dataset].blobs
        named = {wanted.scope.dataset, *((blobs.dataset,) if blobs else ())}
    with ctx.ledger.begin() as tx:
        unfinished = tx.plans.in_state(*chains.UNFINISHED)
    for plan in unfinished:
        if any(name in named for name, _ in plan.datasets):
            raise GuardStopped(
                f"run of plan {plan.id} works on the same records, and has not ended",
                guard="unfinished-run",
                where=plan.id,
                remedy=f"`retentiond cancel {plan.id}` ends it, also while everything is paused; or `retentiond run` "
                "carries it to its end",
            )


def _ask(
    ctx: Context, wanted: Wanted, plans: Sequence[PlanRow], reason: str, key_file: Path | None
) -> tuple[str, Signed]:
    """Sign the request, and have it in journal and log before anything is brought back; return its id."""
    named: dict[str, Json] = {
        "reason": reason,
        "scope": write_scope(wanted.scope) if wanted.scope else None,
        "plans": [plan.sha256 for plan in plans],
    }
    signed = request(ctx, VERB, {"verb": VERB, **named}, key_file)
    now = ctx.now()
    undo_id = new_id(now)
    with ctx.ledger.begin() as tx:
        record_state(ctx, tx, {"kind": VERB, "id": undo_id, **named, "askedAt": rfc3339(now), **signed.to_json()})
        tx.events.append("undo.asked", undo_id, now, {"by": signed.principal})
        forget_swept(ctx, tx)
    try:
        deliver(ctx)
    except RetentiondError as error:
        raise LogIntegrityError(
            f"nothing was brought back, since the request is not yet logged: {error.what}",
            where=error.where,
            remedy="make log and journal writable, then ask again",
        ) from error
    return undo_id, signed


def _remember(ctx: Context, undo_id: str, tally: Tally) -> None:
    """Have the journal say what came of an undo, however it ended: how many are back, and a digest of their names."""
    counts = plain(tally.counts)
    record: dict[str, Json] = {
        "kind": ENDED,
        "id": undo_id,
        "datasets": {name: dict(count) for name, count in counts.items()},
        "restored": {"count": tally.digest.count, "nonce": tally.nonce.hex(), "sha256": tally.digest.hexdigest()},
    }
    with ctx.ledger.begin() as tx:
        record_state(ctx, tx, record)
        tx.events.append("undo.ended", undo_id, ctx.now(), dict(counts))
        forget_swept(ctx, tx)
