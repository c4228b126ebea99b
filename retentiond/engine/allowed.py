"""Who may sign: the approvers file that is in force, and those that were before it.

The file in the configuration is only what somebody proposes. The first one that names people is taken as it stands, a
later one once people of the one in force have signed it. What was signed is checked against the file of its own time.
"""

from __future__ import annotations

import json
from datetime import datetime

from retentiond.domain.record import EPOCH
from retentiond.engine.context import Approvers, Context, Principal
from retentiond.evidence.canonical import Json
from retentiond.ports.ledger import Transaction

CURRENT = "approvers_sha256"
_HISTORY = "approvers_history"


def in_force(ctx: Context) -> Approvers:
    """Return the approvers file that is in force; one that names nobody before the first was taken."""
    with ctx.ledger.begin() as tx:
        return in_force_in(ctx, tx)


def in_force_in(ctx: Context, tx: Transaction) -> Approvers:
    """Return that inside a transaction."""
    current = tx.facts.get(CURRENT)
    return ctx.approvers if current is None else _read(ctx, tx, current)


def at_the_time(ctx: Context, at: datetime) -> list[Approvers]:
    """Return the files that were in force at a time, the newest first: two where one gave way to another just then."""
    with ctx.ledger.begin() as tx:
        current = in_force_in(ctx, tx)
        history = _history(tx)
        found = []
        for place, (sha256, since) in enumerate(history):
            until = history[place + 1][1] if place + 1 < len(history) else None
            if (place == 0 or since <= at) and (until is None or at <= until):
                found.append(_read(ctx, tx, sha256))
    return found[::-1] or [current]


def take(tx: Transaction, approvers: Approvers, at: datetime) -> None:
    """Put a file in force."""
    propose(tx, approvers)
    current = tx.facts.get(CURRENT)
    known = _history(tx) or ([(current, EPOCH)] if current else [])  # an older program kept none
    history = [[sha256, since.isoformat()] for sha256, since in known]
    tx.facts.set(_HISTORY, json.dumps([*history, [approvers.sha256, at.isoformat()]]))
    tx.facts.set(CURRENT, approvers.sha256)


def propose(tx: Transaction, approvers: Approvers) -> None:
    """Keep a file's text and people: what stands in the configuration may be another one tomorrow."""
    tx.facts.set(_fact(approvers.sha256), json.dumps(write(approvers)))


def complete(ctx: Context, tx: Transaction) -> None:
    """Keep the text of the file that is in force, where an older program kept only its digest."""
    current = tx.facts.get(CURRENT)
    if current and current == ctx.approvers.sha256 and not tx.facts.get(_fact(current)):
        propose(tx, ctx.approvers)


def proposed(ctx: Context, tx: Transaction, sha256: str) -> Approvers:
    """Return a file that was proposed or taken."""
    return _read(ctx, tx, sha256)


def write(approvers: Approvers) -> dict[str, Json]:
    """Return a file as ledger and journal keep it."""
    people: list[Json] = [[each.name, each.key_type, each.key] for each in approvers.principals]
    return {"sha256": approvers.sha256, "text": approvers.text, "people": people}


def read(written: dict[str, object]) -> Approvers:
    """Return the file that `write` wrote; without its people where only the digest is known."""
    people = written.get("people")
    principals = tuple(Principal(*each) for each in people) if isinstance(people, list) else ()
    return Approvers(principals, str(written["sha256"]), str(written.get("text", "")))


def _read(ctx: Context, tx: Transaction, sha256: str) -> Approvers:
    if sha256 == ctx.approvers.sha256:
        return ctx.approvers
    kept = tx.facts.get(_fact(sha256))
    return read(json.loads(kept)) if kept else Approvers(sha256=sha256)


def _history(tx: Transaction) -> list[tuple[str, datetime]]:
    kept = tx.facts.get(_HISTORY)
    return [(sha256, datetime.fromisoformat(since)) for sha256, since in json.loads(kept)] if kept else []


def _fact(sha256: str) -> str:
    return f"approvers:{sha256}"
