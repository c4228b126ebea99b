"""Closures are asked for, and cancelled, by word of somebody; either counts from the moment that it is logged."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from retentiond.domain.account import AccountState, ClosureEvent, next_state, open_closure
from retentiond.domain.policy import ClosureTerms, Jurisdiction
from retentiond.engine.accounts import account_commitments
from retentiond.engine.context import Context, new_id
from retentiond.engine.leaving import seal_account
from retentiond.engine.scopes import check_texts
from retentiond.engine.signing import deliver_what_waits, record_state, request
from retentiond.errors import AccountStateError, NotFound, UsageError
from retentiond.evidence.canonical import Json, rfc3339
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ClosureRow, PendingRow

CLOSE, CANCEL = "closure", "closure-cancel"
_SETTLED = {CLOSE: "closure.requested", CANCEL: "closure.cancelled"}
_BEFORE = {CLOSE: AccountState.OPEN, CANCEL: AccountState.GRACE}
_LIVE = (AccountState.GRACE, AccountState.CLOSING)


def close_account(ctx: Context, account: str, reason: str, key_file: Path | None, jurisdiction: str = "") -> ClosureRow:
    """Ask for the closure of an account; it begins with its grace, once its entry is in the log.

    Args:
        jurisdiction: Where the account belongs; empty where no policy asks, or a list says it.

    Raises:
        AccountStateError: The account is leaving already.
        UsageError: Nobody says where it belongs, or not what a list says; or a text is none that a file can hold.
    """
    check_texts("ACCOUNT_ID", (account,))
    check_texts("--reason", (reason,))
    where, terms = terms_of(ctx.policies.closure, account, jurisdiction)
    if not account or not reason.strip():
        raise AccountStateError("a closure names an account and a reason", remedy="account close ACCOUNT --reason R")
    commitments = account_commitments(ctx, account)
    with ctx.ledger.begin() as tx:
        known = tx.closures.newest_of(*commitments)
    if known is not None and known.state in _LIVE:
        raise AccountStateError(
            f"the account is in state {known.state} since {known.requested_at:%Y-%m-%d}",
            remedy="`retentiond account status` tells how far it is; `account cancel` ends a grace",
        )
    ctx.log.compare()
    _check_not_pending(ctx, known)
    named = {"jurisdiction": where} if where else {}
    asked = {"verb": "account close", "account": account, "reason": reason, **named}
    signed = request(ctx, "account close", asked, key_file)
    now = ctx.now()
    closure = open_closure(new_id(now), account, reason, terms, now)
    row = ClosureRow(
        id=closure.id,
        commitment=commitments[0],
        account_sealed=b"",
        state=AccountState.OPEN,  # until its entry is published
        reason="",  # what a person typed may name the account: it stands in the journal, sealed, and nowhere else
        requested_at=closure.requested_at,
        due_at=closure.due_at,
        deadline_at=closure.deadline_at,
        jurisdiction=where,
    )
    record: dict[str, Json] = {
        "kind": CLOSE,
        "id": row.id,
        "account": account,
        "reason": reason,
        "requestedAt": rfc3339(row.requested_at),
        "dueAt": rfc3339(row.due_at),
        "deadlineAt": rfc3339(row.deadline_at),
        **named,
        **signed.to_json(),
    }
    with ctx.ledger.begin() as tx:
        if tx.closures.newest_of(*commitments) != known:  # somebody else asked for it meanwhile
            raise AccountStateError(
                "another closure of that account was asked for at the same time",
                remedy="`retentiond account status` tells how far it is",
            )
        row = replace(row, account_sealed=seal_account(ctx, row.id, account))
        tx.closures.add(row)
        index = record_state(ctx, tx, record)
        tx.pending.add(PendingRow(index, CLOSE, row.id, signed.principal, now))
    settle_closures(ctx, deliver_what_waits(ctx, "the closure"))
    return replace(row, state=closure.state)


def terms_of(terms: ClosureTerms, account: str, named: str) -> tuple[str, ClosureTerms | Jurisdiction]:
    """Return where an account belongs, and how it leaves: as somebody says, or as a list does; it is never guessed.

    Raises:
        UsageError: Nobody says it, though there are several, or the name is none of them, or a list says another.
    """
    known = terms.jurisdictions
    where = belongs(terms, account, named)
    if known and not where:
        what = "nobody says where the account belongs, and how it leaves depends on that"
        raise UsageError(what, where="--jurisdiction", remedy=f"name one of: {', '.join(known)}")
    return (where, known[where]) if where else ("", terms)


def belongs(terms: ClosureTerms, account: str, named: str) -> str:
    """Return where an account belongs, as somebody says, or as a list does; empty where nobody does.

    Raises:
        UsageError: The name is none of the jurisdictions, or a list says another.
    """
    known = terms.jurisdictions
    listed = next((name for name, each in known.items() if account in each.accounts), "")
    where = named or listed
    names = ", ".join(known) or "there are none: name none"
    if where and where not in known:
        raise UsageError(f"there is no jurisdiction {where!r}", where="--jurisdiction", remedy=f"one of: {names}")
    if listed and where != listed:
        what = f"a list says that the account belongs to {listed}, not to {where}"
        raise UsageError(what, where="--jurisdiction", remedy="correct the list, or what is asked for")
    return where


def cancel_closure(ctx: Context, account: str, key_file: Path | None) -> ClosureRow:
    """Cancel a closure that is still in its grace.

    Raises:
        AccountStateError: There is none, or its grace is over.
    """
    with ctx.ledger.begin() as tx:
        closure = tx.closures.newest_of(*account_commitments(ctx, account))
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


def list_closures(ctx: Context) -> list[ClosureRow]:
    """Return the closures that are under way, by deadline."""
    with ctx.ledger.begin() as tx:
        return list(tx.closures.in_state(*_LIVE))


def _check_still(tx: Transaction, closure: ClosureRow) -> None:
    """Raise where a closure is no longer as it was read: a cancellation and a beginning can't both win."""
    current = tx.closures.get(closure.id)
    if current is None or current.state is not closure.state:
        raise AccountStateError(
            f"closure {closure.id} is {current.state if current else 'gone'} by now, no longer {closure.state}",
            remedy="`retentiond account status` tells where it stands",
        )


def _check_not_pending(ctx: Context, known: ClosureRow | None) -> None:
    with ctx.ledger.begin() as tx:
        waiting = {change.subject for change in tx.pending.all() if change.kind == CLOSE}
    if known is not None and known.id in waiting:
        raise AccountStateError(
            "a closure of that account is pending: its entry is not published yet",
            remedy="make log and journal writable, then `retentiond run`",
        )
