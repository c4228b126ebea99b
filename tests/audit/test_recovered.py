"""After a ledger was lost and recovered an audit finds nothing wrong, and says what it could not look at."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from retentiond.domain.hold import Scope
from retentiond.engine.holds import add_hold
from retentiond.engine.recovery import recover, sign_list
from retentiond.engine.running import run_all
from tests.audit.instance import audited, copied, found, unguarded
from tests.engine.office import Office, carry


def recovered(root: Path) -> tuple[Office, str]:
    """An instance whose ledger is as old as before a hold, a run and two anchors; nobody has signed the list yet."""
    office = copied(root)
    with office.open() as ctx:
        ctx.ledger.backup(root / "old.db")
        add_hold(ctx, Scope(accounts=("acct-late",)), "Case-3", "", None)
    office.request("late", 30)
    carry(office)
    for _ in range(2):
        office.clock.at += timedelta(days=1)
        with office.open() as ctx:
            run_all(ctx)
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (root / name).unlink(missing_ok=True)
    (root / "old.db").rename(root / "ledger.db")
    with office.open() as ctx:
        return office, recover(ctx).reference


def test_a_recovered_ledger_is_whole_once_its_list_is_signed(tmp_path: Path) -> None:
    office, reference = recovered(tmp_path)
    assert [line for line in found(office) if line.startswith("recovery ")]
    with office.open() as ctx:
        sign_list(ctx, reference, None)
    said = audited(office)
    assert said.findings == []
    assert any("an older ledger made, which was lost" in line for line in said.unchecked)
    office.clock.at += timedelta(days=1)
    with office.open() as ctx:
        run_all(ctx)
    assert found(office) == []


def test_nobody_can_say_that_events_were_lost_who_did_not_recover(tmp_path: Path) -> None:
    office = copied(tmp_path)
    with unguarded(office) as db:
        db.execute("UPDATE anchors SET first_event = 0, last_event = 0")
    assert any("its row says that its events were lost, and no recovery says so" in line for line in found(office))
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
        db.execute(
            "INSERT INTO events SELECT max(sequence) + 1, max(at), 'ledger.recovered', 'me', "
            '\'{"from": 0, "to": 999}\', NULL, zeroblob(32) FROM events'
        )
        db.commit()
    assert any(line.startswith("recovery me: ") for line in found(office))
