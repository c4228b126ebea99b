"""Accounts that leave: grace, then every dataset of the account, then one closure receipt, which is never partial."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

from retentiond.domain.account import AccountState, ClosureEvent, next_state, open_closure
from retentiond.domain.plan import RunState, Trigger
from retentiond.engine import manifest
from retentiond.engine.accounts import account_commitment
from retentiond.engine.batches import Work
from retentiond.engine.bundles import write_bundle
from retentiond.engine.context import Context, new_id
from retentiond.engine.enforcement import Carried, carry_out, carry_out_chain
from retentiond.engine.failover import confirm
from retentiond.engine.items import commitment_under, item_rows, read_all
from retentiond.engine.planning import Request, make_plan
from retentiond.engine.receipts import issuer, manifest_base, not_covered, receipt_context
from retentiond.engine.signing import deliver, deliver_what_waits, record_state, request
from retentiond.errors import AccountStateError, GuardStopped, NotFound
from retentiond.evidence.annex import RunsAnnex
from retentiond.evidence.canonical import Json, canonical_json, rfc3339
from retentiond.evidence.entry import receipt_entry
from retentiond.evidence.envelope import from_base64, sign
from retentiond.evidence.levels import EvidenceLevel
from retentiond.evidence.statement import Digest, Receipt, receipt_statement
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ClosureRow, PendingRow, PlanRow, ReceiptRow

CLOSE, CANCEL, CLOSED = "closure", "closure-cancel", "closure-closed"
_SETTLED = {CLOSE: "closure.requested", CANCEL: "closure.cancelled"}
_BEFORE = {CLOSE: AccountState.OPEN, CANCEL: AccountState.GRACE}
_LIVE = (AccountState.GRACE, AccountState.CLOSING)
_DAY = timedelta(days=1)


def close_account(ctx: Context, account: str, reason: str, key_file: Path | None) -> ClosureRow:
    """Ask for the closure of an account; it begins with its grace, once its entry is in the log.

    Raises:
        AccountStateError: The account is leaving already.
    """
    if not account or not reason.strip():
        raise AccountStateError("a closure names an account and a reason", remedy="account close ACCOUNT --reason R")
    commitment = account_commitment(ctx, account)
    with ctx.ledger.begin() as tx:
        known = tx.closures.newest_of(commitment)
    if known is not None and known.state in _LIVE:
        raise AccountStateError(
            f"the account is in state {known.state} since {known.requested_at:%Y-%m-%d}",
            remedy="`retentiond account status` tells how far it is; `account cancel` ends a grace",
        )
    ctx.log.compare()
    _check_not_pending(ctx, known)
    signed = request(ctx, "account close", {"verb": "account close", "account": account, "reason": reason}, key_file)
    now = ctx.now()
    closure = open_closure(new_id(now), account, reason, ctx.policies.closure, now)
    row = ClosureRow(
        id=closure.id,
        commitment=commitment,
        account_sealed=seal_account(ctx, closure.id, account),
        state=AccountState.OPEN,  # until its entry is published
        reason=reason,
        requested_at=closure.requested_at,
        due_at=closure.due_at,
        deadline_at=closure.deadline_at,
    )
    record: dict[str, Json] = {
        "kind": CLOSE,
        "id": row.id,
        "account": account,
        "reason": reason,
        "requestedAt": rfc3339(row.requested_at),
        "dueAt": rfc3339(row.due_at),
        "deadlineAt": rfc3339(row.deadline_at),
        **signed.to_json(),
    }
    with ctx.ledger.begin() as tx:
        if tx.closures.newest_of(commitment) != known:  # somebody else asked for it meanwhile
            raise AccountStateError(
                "another closure of that account was asked for at the same time",
                remedy="`retentiond account status` tells how far it is",
            )
        tx.closures.add(row)
        index = record_state(ctx, tx, record)
        tx.pending.add(PendingRow(index, CLOSE, row.id, signed.principal, now))
    settle_closures(ctx, deliver_what_waits(ctx, "the closure"))
    return replace(row, state=closure.state)


def cancel_closure(ctx: Context, account: str, key_file: Path | None) -> ClosureRow:
    """Cancel a closure that is still in its grace.

    Raises:
        AccountStateError: There is none, or its grace is over.
    """
    commitment = account_commitment(ctx, account)
    with ctx.ledger.begin() as tx:
        closure = tx.closures.newest_of(commitment)
    state = closure.state if closure else AccountState.OPEN
    try:
        after = next_state(state, ClosureEvent.CANCEL)
    except ValueError as error:
        raise AccountStateError(str(error), remedy="only a closure in its grace can be cancelled") from error
    if closure is None:
        raise NotFound("there is no closure of that account", remedy="`retentiond account list` names them")
    signed = request(ctx, "account cancel", {"verb": "account cancel", "account": account}, key_file)
    ctx.log.compare()
    with ctx.ledger.begin() as tx:
        _check_still(tx, closure)
        index = record_state(ctx, tx, {"kind": CANCEL, "id": closure.id, **signed.to_json()})
        tx.pending.add(PendingRow(index, CANCEL, closure.id, signed.principal, ctx.now()))
    settle_closures(ctx, deliver_what_waits(ctx, "the cancellation"))
    with ctx.ledger.begin() as tx:
        current = tx.closures.get(closure.id)
    if current is None or current.state is not after:
        raise AccountStateError(
            "the account's grace was over before the cancellation was in the log",
            remedy="`retentiond account status` tells how far the closure is",
        )
    return closure


def settle_closures(ctx: Context, size: int) -> None:
    """Let closures and cancellations count whose entries are published, in a log of so many entries."""
    with ctx.ledger.begin() as tx:
        settle_closures_in(tx, size, ctx.now())


def settle_closures_in(tx: Transaction, size: int, now: datetime) -> None:
    """Do that inside a transaction."""
    for change in tx.pending.all():
        event = _SETTLED.get(change.kind)
        if event is None or change.log_index >= size:
            continue
        tx.pending.remove(change.log_index)
        closure = tx.closures.get(change.subject)
        if closure is None or closure.state is not _BEFORE[change.kind]:
            tx.events.append("closure.too-late", change.subject, now, {"by": change.by, "change": change.kind})
            continue
        if change.kind == CLOSE:
            tx.closures.set_state(closure.id, AccountState.GRACE)
        else:
            tx.closures.cancel(closure.id)
        tx.events.append(event, closure.id, now, {"by": change.by})


def seal_account(ctx: Context, closure_id: str, account: str) -> bytes:
    """Return the account of a closure as the ledger keeps it until it is closed."""
    return ctx.wrapping.seal(account.encode(), _context(closure_id))


def due_closures(ctx: Context) -> list[ClosureRow]:
    """Return the closures whose grace is over, by deadline; at most as many as one day may begin.

    A closure that has begun is always among them.
    """
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        rows = [row for row in tx.closures.in_state(*_LIVE) if row.due_at <= now]
        begun = tx.closures.since(now - _DAY)
    room = max(0, ctx.policies.closure.per_day - begun)
    fresh = [row for row in rows if row.state is AccountState.GRACE]
    return [row for row in rows if row.state is AccountState.CLOSING] + fresh[:room]


def live_closure(ctx: Context, closure_id: str) -> ClosureRow | None:
    """Return a closure as it stands now; None once it was closed or cancelled."""
    with ctx.ledger.begin() as tx:
        closure = tx.closures.get(closure_id)
    return closure if closure is not None and closure.state in _LIVE else None


def advance_closure(ctx: Context, closure: ClosureRow) -> list[Carried]:
    """Carry a closure as far as it goes now: plan, carry out, and close when nothing is left.

    Raises:
        GuardStopped: Its plan waits for approval, or a guard says no.
    """
    account = ctx.wrapping.open(closure.account_sealed, _context(closure.id)).decode()
    if closure.state is AccountState.GRACE:
        _begin(ctx, closure)
    carried = [carry_out(ctx, plan.id, account) for plan in _open_plans(ctx, closure)]
    asked = Request(Trigger.CLOSURE, account=account, closure=closure.id, acting=True)
    planned = make_plan(ctx, asked)
    if planned.plan is not None:
        _check_waiting(planned.plan)
        carried += carry_out_chain(ctx, planned.plan, account)
        planned = make_plan(ctx, asked)
    if planned.plan is not None:
        return carried
    left = sum(each.held + each.undetermined + each.waiting for each in planned.forecasts)
    if not left and not planned.failures:
        _issue_closure_receipt(ctx, closure, account)
    return carried


def account_of(ctx: Context, closure: ClosureRow) -> str:
    """Return the account of a closure that is not closed yet; empty once only its commitment is left."""
    if not closure.account_sealed:
        return ""
    return ctx.wrapping.open(closure.account_sealed, _context(closure.id)).decode()


def list_closures(ctx: Context) -> list[ClosureRow]:
    """Return the closures that are under way, by deadline."""
    with ctx.ledger.begin() as tx:
        return list(tx.closures.in_state(*_LIVE))


def _begin(ctx: Context, closure: ClosureRow) -> None:
    with ctx.ledger.begin() as tx:
        _check_still(tx, closure)
        tx.closures.set_state(closure.id, next_state(closure.state, ClosureEvent.GRACE_OVER))
        tx.events.append("closure.begun", closure.id, ctx.now())


def _check_still(tx: Transaction, closure: ClosureRow) -> None:
    """Raise where a closure is no longer as it was read: a cancellation and a beginning can't both win."""
    current = tx.closures.get(closure.id)
    if current is None or current.state is not closure.state:
        raise AccountStateError(
            f"closure {closure.id} is {current.state if current else 'gone'} by now, no longer {closure.state}",
            remedy="`retentiond account status` tells where it stands",
        )


def _open_plans(ctx: Context, closure: ClosureRow) -> list[PlanRow]:
    with ctx.ledger.begin() as tx:
        plans = tx.plans.of_closure(closure.id)
    now = ctx.now()
    waiting = [plan for plan in plans if plan.state is RunState.WAITING and not plan.has_expired(now)]
    if waiting:
        _check_waiting(waiting[0])
    begun = (RunState.RUNNING, RunState.STOPPED)
    ready = [plan for plan in plans if plan.state is RunState.PLANNED and not plan.has_expired(now)]
    return [plan for plan in plans if plan.state in begun] + ready


def _check_waiting(plan: PlanRow) -> None:
    if plan.state is RunState.WAITING:
        raise GuardStopped(
            f"plan {plan.id} of a closure waits for approval: {'; '.join(plan.reasons)}",
            guard="closure-cap",
            remedy=f"retentiond approve {plan.id}",
        )


def _check_not_pending(ctx: Context, known: ClosureRow | None) -> None:
    with ctx.ledger.begin() as tx:
        waiting = {change.subject for change in tx.pending.all() if change.kind == CLOSE}
    if known is not None and known.id in waiting:
        raise AccountStateError(
            "a closure of that account is pending: its entry is not published yet",
            remedy="make log and journal writable, then `retentiond run`",
        )


def _issue_closure_receipt(ctx: Context, closure: ClosureRow, account: str) -> None:
    now = ctx.now()
    key = secrets.token_bytes(32)
    receipt_id = new_id(now)
    with ctx.ledger.begin() as tx:
        plans = [plan for plan in tx.plans.of_closure(closure.id) if plan.state in (RunState.DONE, RunState.PARTIAL)]
        receipts = [each for each in tx.receipts.all() if each.closure == closure.id]
        works = [Work(plan, tx.plans.parts(plan.id), account) for plan in plans]
        batches = {plan.id: tx.batches.of_plan(plan.id) for plan in plans}
    for work in works:
        confirm(ctx, work)
    rows = chain(
        ([manifest.pack_unnamed(commitment_under(key, account), manifest.PRESENT)],),
        *(item_rows(key, work.parts, read_all(ctx, batches[work.plan.id])) for work in works),
    )
    # What it shares with others stands under them in the receipts of the runs; this one is of the account alone.
    own = manifest.of_account(rows, commitment_under(key, account))
    tree = manifest.write_manifest(manifest_base(ctx, receipt_id), key, own)
    annex = RunsAnnex(
        nonce=secrets.token_bytes(32),
        runs=tuple((each.log_index, each.entry_sha256) for each in receipts),
        evidence=_weakest(receipts),
    )
    policies = dict(pair for plan in plans for pair in plan.policies)
    receipt = Receipt(
        kind="closure",
        receipt_id=receipt_id,
        issued_at=now,
        issuer=issuer(ctx),
        policies=tuple(Digest(name, sha256) for name, sha256 in sorted(policies.items())),
        accounts_size=tree.size,
        accounts_root=tree.root,
        annex=annex,
        not_covered=tuple(dict.fromkeys(each for work in works for each in not_covered(ctx, work, now))),
    )
    ctx.log.compare()
    envelope = sign(receipt_statement(receipt), ctx.issuer)
    with ctx.ledger.begin() as tx:
        index = tx.entries.stage(receipt_entry(None, envelope.sha256))
        row = ReceiptRow(
            id=receipt_id,
            kind="closure",
            plan="",
            closure=closure.id,
            issued_at=now,
            envelope=canonical_json(envelope.to_json()),
            annex=annex.encode(),
            entry_sha256=envelope.sha256,
            log_index=index,
            commitment_key=ctx.wrapping.seal(key, receipt_context(receipt_id)),
        )
        tx.receipts.add(row)
        _close(ctx, tx, closure, receipt_id)
        record_state(ctx, tx, {"kind": CLOSED, "id": closure.id, "receipt": receipt_id})
    deliver(ctx)
    write_bundle(ctx, row)


def _weakest(receipts: list[ReceiptRow]) -> EvidenceLevel:
    statements = [json.loads(from_base64(json.loads(each.envelope)["payload"])) for each in receipts]
    levels = [EvidenceLevel.from_wire(statement["predicate"]["evidence"]) for statement in statements]
    return min(levels, default=EvidenceLevel.HIDDEN)


def _close(ctx: Context, tx: Transaction, closure: ClosureRow, receipt_id: str) -> None:
    next_state(AccountState.CLOSING, ClosureEvent.ALL_GONE)
    tx.closures.close(closure.id, receipt_id)
    tx.events.append("closure.completed", closure.id, ctx.now(), {"receipt": receipt_id})


def _context(closure_id: str) -> bytes:
    return f"closure/{closure_id}".encode()
