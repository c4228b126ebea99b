"""Many accounts at once: their records, who asks for them to leave, and what is there of each, by content."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from retentiond.domain.account import AccountState, open_closure
from retentiond.engine.accounts import account_commitment
from retentiond.engine.context import new_id
from retentiond.engine.leaving import seal_account
from retentiond.ports.rows import ClosureRow
from tests.engine.office import Office


def names(count: int) -> list[str]:
    """Name accounts, hostile ones among them."""
    odd = ('it\'s "me"; --', "\u202e\U0001f5d1", "<b>%2e", "line\nbreak", "../x", "__proto__")
    return [f"acct-{number:05d}{odd[number] if number < len(odd) else ''}" for number in range(count)]


def fill(office: Office, accounts: Sequence[str], requests: int = 2, payload_each: int = 10) -> None:
    """Give each account so many requests and one line of feedback; of each tenth one also a payload."""
    rows, lines = [], []
    for number, account in enumerate(accounts):
        for turn in range(requests):
            payload = f"p-{number}" if turn == 0 and number % payload_each == 0 else None
            rows.append((f"r-{number}-{turn}", account, office.ago(1), 0, payload, None))
            if payload:
                office.blob(payload)
        lines.append((number, account, office.ago(1), number))
    with office.db() as db:
        db.execute("BEGIN")
        for row in rows:
            db.execute("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?)", row)
        for line in lines:
            db.execute("INSERT INTO feedback VALUES (?, ?, ?, ?)", line)
        db.execute("COMMIT")


def ask(office: Office, accounts: Sequence[str]) -> list[str]:
    """Put closures of accounts into the ledger whose grace has just ended; return their ids."""
    with office.open() as ctx:
        now = ctx.now()
        rows = []
        for account in accounts:
            closure = open_closure(new_id(now), account, "left", ctx.policies.closure, now)
            rows.append(
                ClosureRow(
                    id=closure.id,
                    commitment=account_commitment(ctx, account),
                    account_sealed=seal_account(ctx, closure.id, account),
                    state=AccountState.GRACE,
                    reason=closure.reason,
                    requested_at=closure.requested_at,
                    due_at=now,
                    deadline_at=closure.deadline_at,
                )
            )
        with ctx.ledger.begin() as tx:
            for row in rows:
                tx.closures.add(replace(row))
    return [row.id for row in rows]


def contents(office: Office) -> dict[str, str]:
    """Return a digest of everything that is there of each account: rows, column by column, and payloads' bytes."""
    digests: defaultdict[str, hashlib._Hash] = defaultdict(hashlib.sha256)
    with office.db() as db:
        requests = db.execute("SELECT id, account, created, flagged, payload, deleted FROM requests ORDER BY id")
        for row in requests.fetchall():
            digests[row[1]].update(repr(tuple(row)).encode())
            if row[4] is not None:
                digests[row[1]].update((office.root / "payloads" / row[4]).read_bytes())
        for row in db.execute("SELECT id, account, created, rating FROM feedback ORDER BY id").fetchall():
            digests[row[1]].update(repr(tuple(row)).encode())
    return {account: digest.hexdigest() for account, digest in digests.items()}


def states(office: Office, closures: Sequence[str]) -> list[AccountState]:
    """Return where closures stand."""
    with office.open() as ctx, ctx.ledger.begin() as tx:
        rows = [tx.closures.get(closure) for closure in closures]
    return [row.state for row in rows if row is not None]
