"""Stopping by word: a pause of everything, and the end of one run. A pause counts from its ledger commit.

To resume, and to cancel what was begun, lets go of something, so it counts once its entry is published.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retentiond.domain.plan import RunState, Trigger
from retentiond.engine import chains
from retentiond.engine.approvals import find_plan, void_in
from retentiond.engine.context import Context
from retentiond.engine.enforcement import Carried, carry_out
from retentiond.engine.guards import CANCELLED, PAUSED
from retentiond.engine.scopes import check_texts
from retentiond.engine.signing import deliver_what_stops, deliver_what_waits, record_state, record_unstaged, request
from retentiond.errors import ApprovalError, LedgerBusy, RetentiondError
from retentiond.evidence.canonical import Json, rfc3339
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import PendingRow, PlanRow

PAUSE, RESUME, CANCEL = "pause", "resume", "run-cancel"


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is changed in any store since then; `reason` may be empty."""

    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A plan that was cancelled.

    Attributes:
        carried: Its run as it ended, where it was begun; None where it was not, or where another process ends it.
        begun: Whether it was begun.
    """

    plan: PlanRow
    carried: Carried | None
    begun: bool


def pause(ctx: Context, reason: str) -> Pause:
    """Stop everything before the next statement; it needs no signature, as the stop file needs none.

    Raises:
        LogIntegrityError: The pause is in force, and not yet in journal and log.
    """
    check_texts("--reason", (reason,))
    now = ctx.now()
    sound = _log_is_sound(ctx)
    record: dict[str, Json] = {"kind": PAUSE, "reason": reason}
    with ctx.ledger.begin() as tx:
        index = None
        if sound:
            index = record_state(ctx, tx, record)
        else:
            record_unstaged(ctx, tx, record)
        set_paused(tx, Pause(now, reason), index)
        tx.events.append("paused", "instance", now)
    deliver_what_stops(ctx, "the pause is in force")
    return Pause(now, reason)


def resume(ctx: Context, key_file: Path | None) -> None:
    """Let everything go on, with a signature, once its entry is published; does nothing where nothing is paused.

    Raises:
        LogIntegrityError: It is pending: its entry is not published yet, and the pause stays in force.
    """
    if paused(ctx) is None:
        return
    signed = request(ctx, RESUME, {"verb": RESUME}, key_file)
    ctx.log.compare()
    with ctx.ledger.begin() as tx:
        index = record_state(ctx, tx, {"kind": RESUME, **signed.to_json()})
        tx.pending.add(PendingRow(index, RESUME, "instance", signed.principal, ctx.now()))
    settle_stops(ctx, deliver_what_waits(ctx, "the end of the pause"))


def cancel(ctx: Context, reference: str, key_file: Path | None) -> Cancelled:
    """End a run, or a plan that was not begun, with a signature: what was done gets its receipt, the rest stays.

    Args:
        reference: The id of a run, or of its plan.

    Raises:
        ApprovalError: It has ended.
        LogIntegrityError: It is pending: its entry is not published yet.
    """
    with ctx.ledger.begin() as tx:
        run = tx.runs.get(reference)
        plan = find_plan(tx, run.plan if run else reference)
    _check_not_ended(plan)
    begun = plan.state in chains.UNFINISHED
    arguments: dict[str, Json] = {"verb": "cancel", "plan": plan.sha256}
    signed = request(ctx, "cancel", arguments, key_file)
    ctx.log.compare()
    with ctx.ledger.begin() as tx:
        index = record_state(ctx, tx, {"kind": CANCEL, "plan": plan.sha256, **signed.to_json()})
        tx.pending.add(PendingRow(index, CANCEL, plan.id, signed.principal, ctx.now()))
    settle_stops(ctx, deliver_what_waits(ctx, "the cancellation"))
    return Cancelled(plan, _ended(ctx, plan) if begun else None, begun)


def paused(ctx: Context) -> Pause | None:
    """Return the pause that is in force, or None."""
    with ctx.ledger.begin() as tx:
        kept = tx.facts.get(PAUSED)
    if not kept:
        return None
    written = json.loads(kept)
    return Pause(datetime.fromisoformat(written["at"]), written["reason"])


def set_paused(tx: Transaction, found: Pause, index: int | None) -> None:
    """Put a pause in force; `index` of its entry, None where it has none yet."""
    tx.facts.set(PAUSED, json.dumps({"at": rfc3339(found.at), "reason": found.reason, "index": index}))


def settle_stops(ctx: Context, size: int) -> None:
    """Let count what resumes or cancels and is published, in a log of so many entries."""
    with ctx.ledger.begin() as tx:
        changes = [each for each in tx.pending.all() if each.kind in (RESUME, CANCEL) and each.log_index < size]
        for change in changes:
            tx.pending.remove(change.log_index)
            if change.kind == RESUME:
                _resume(tx, change)
            else:
                _cancel(ctx, tx, change)
            tx.events.append(change.kind, change.subject, ctx.now(), {"by": change.by})
    if changes:
        ctx.log.publish()


def _resume(tx: Transaction, change: PendingRow) -> None:
    """End the pause, unless a newer one was asked for meanwhile."""
    written = json.loads(tx.facts.get(PAUSED) or "{}")
    index = written.get("index")
    if index is None and written and written["at"] > rfc3339(change.at):
        return
    if index is None or index < change.log_index:
        tx.facts.set(PAUSED, "")


def _cancel(ctx: Context, tx: Transaction, change: PendingRow) -> None:
    """End a plan that was not begun; have one that was begun ended before its next batch, and void what follows it."""
    plan = tx.plans.get(change.subject)
    if plan is None:
        return
    if plan.state in chains.UNFINISHED:
        tx.facts.set(f"{CANCELLED}:{plan.id}", change.by)
    if chains.unbegun(tx, plan):
        void_in(ctx, tx, plan, "cancelled")


def _ended(ctx: Context, plan: PlanRow) -> Carried | None:
    """End a run here and now, unless another process is at it, which does so itself."""
    try:
        with ctx.ledger.acting():
            return carry_out(ctx, plan.id)
    except LedgerBusy:
        return None


def _check_not_ended(plan: PlanRow) -> None:
    if plan.state not in (*chains.OPEN, *chains.UNFINISHED):
        raise ApprovalError(f"plan {plan.id} is {plan.state}: it has ended", remedy="nothing needs doing")
    if plan.trigger is Trigger.CLOSURE and plan.state is not RunState.WAITING:
        raise ApprovalError(
            f"plan {plan.id} serves a closure, which would make it again",
            remedy="`retentiond pause` stops everything; `account cancel` ends a closure in its grace",
        )
    if plan.trigger is Trigger.ERASURE and plan.state is not RunState.WAITING:
        raise ApprovalError(
            f"plan {plan.id} serves a request for erasure, which would make it again",
            remedy="`retentiond pause` stops everything; `erasure refuse` ends a request",
        )


def _log_is_sound(ctx: Context) -> bool:
    try:
        ctx.log.compare()
    except RetentiondError:
        return False
    return True
