"""An instance with a bit of everything in its log, made once and copied for each way to alter it."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path

from retentiond.cli.auditing import Found, audit_context
from retentiond.domain.hold import Scope
from retentiond.domain.plan import RunState
from retentiond.engine.approvals import approve, void
from retentiond.engine.closures import cancel_closure, close_account
from retentiond.engine.holds import add_hold, release_hold
from retentiond.engine.running import run_all
from retentiond.evidence.entry import key_entry
from tests.engine.office import Office, carry, make_office, plan

FILLING = 300
"""Entries of no effect, so that the log has complete tiles."""


def audited(office: Office, location: str = "") -> Found:
    with office.open() as ctx:
        return audit_context(ctx, location)


def found(office: Office) -> list[str]:
    """What an audit finds, one line for each finding."""
    return [f"{where}: {what}" for where, what in audited(office).findings]


def copied(root: Path) -> Office:
    """Copy the instance."""
    before = _made()
    shutil.copytree(before.root, root, dirs_exist_ok=True)
    office = Office(root)
    office.clock.at = before.clock.at
    return office


@contextmanager
def unguarded(office: Office) -> Iterator[sqlite3.Connection]:
    """Give the ledger's file to somebody who takes its triggers away, and puts them back when all is done."""
    with closing(sqlite3.connect(office.root / "ledger.db", isolation_level=None)) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f'DROP TRIGGER "{name}"')
        yield db
        for _, sql in triggers:
            db.execute(sql)


@cache
def _made() -> Office:
    root = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, root)
    office = make_office(root)
    for number in range(4):
        office.request(f"r{number}", 30 + number, account="acct-a" if number % 2 else "acct-b")
        office.feedback(number, 40 + number)
    carry(office)
    _people(office)
    _days(office)
    with office.open() as ctx:
        history = hashlib.sha256(ctx.keys.files()["keys/history.json"]).hexdigest()
        with ctx.ledger.begin() as tx:
            for _ in range(FILLING):
                tx.entries.stage(key_entry(history))
        ctx.log.publish()
    for number in range(3):
        office.request(f"s{number}", 30 + number)
    carry(office)
    office.clock.at += timedelta(days=1)
    with office.open() as ctx:
        run_all(ctx)
    return office


def _people(office: Office) -> None:
    """Place two holds and release one, ask for two closures and cancel one, make a plan and let it be void."""
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=("acct-kept",)), "Case-1", "a reason", None)
        add_hold(ctx, Scope(accounts=("acct-free",)), "Case-2", "", None)
        release_hold(ctx, "Case-2", None)
    office.edit("policies.yaml", "grace: none, deadline", "grace: 20 days, deadline")
    with office.open() as ctx:
        close_account(ctx, "acct-stays", "by mistake", None)
        close_account(ctx, "acct-leaves", "wants to", None)
        cancel_closure(ctx, "acct-stays", None)
    office.feedback(90, 40)
    with office.open() as ctx:
        planned = plan(ctx)
        assert planned.plan is not None
        approve(ctx, planned.plan.id, None)
    with office.open() as ctx, ctx.ledger.begin() as tx:
        row = tx.plans.get(planned.plan.id)
    assert row is not None
    with office.open() as ctx:
        void(ctx, row, "cancelled")
    with office.db() as db:
        db.execute("DELETE FROM feedback WHERE id = 90")


def _days(office: Office) -> None:
    """Let days pass, each with a run of its own: events are anchored, tombstones end, the account leaves."""
    for days in (1, 6, 21):
        office.clock.at += timedelta(days=days)
        with office.open() as ctx:
            run_all(ctx)
        with office.open() as ctx, ctx.ledger.begin() as tx:
            waiting = tx.plans.in_state(RunState.WAITING)
        for each in waiting:
            with office.open() as ctx:
                approve(ctx, each.id, None)
                run_all(ctx)


def entries(office: Office) -> list[str]:
    """The kind lines of all entries that the ledger has."""
    with closing(sqlite3.connect(office.root / "ledger.db")) as db:
        rows = db.execute('SELECT entry FROM log_entries ORDER BY "index"').fetchall()
    return [bytes(row[0]).decode().split("\n")[1] for row in rows]
