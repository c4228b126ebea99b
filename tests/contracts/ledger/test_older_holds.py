"""Holds of a ledger before revision 0009, whose matters stood there as they were typed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from retentiond.domain.hold import Scope
from retentiond.domain.scopes import write_scope
from retentiond.errors import LedgerError
from retentiond.ledger import Database, open_for_upgrade, open_ledger, upgrade
from retentiond.ledger import ledger as ledgers
from retentiond.ledger.database import DEFAULT_SCHEMA
from retentiond.ports.rows import HoldRow
from tests.contracts.ledger.conftest import Engine

REFUSED = (sqlite3.IntegrityError, psycopg.IntegrityError)
TEXTS = ("Doe 'v.' \"Example\"; DROP TABLE holds;--", "\u202enul\x00 and \x1a0 \x1a", "because\n🧹 \\u0000")
SCOPES = (Scope(accounts=("nul\x00\u202e", "a'b")), Scope("d", keys=(b"\x00\xff",)), Scope("requests", ("é",)))


def empty_place(engine: Engine, directory: Path) -> Path | Database:
    if engine.server is None:
        return directory / "older.sqlite"
    name = f"older_{uuid4().hex}"
    with engine.server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    return Database(engine.server.dsn(name))


def make_older(place: Path | Database, directory: Path) -> None:
    """Make a ledger by the migrations up to 0008."""
    older = directory / "migrations"
    shutil.copytree(upgrade._MIGRATIONS, older)
    for later in (older / "versions").glob("v*.py"):
        if later.name >= "v0009":
            later.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upgrade, "_MIGRATIONS", older)
        patch.setattr(ledgers, "REVISION", upgrade.newest_revision())
        open_ledger(place, create=True).close()


def test_older_holds_keep_what_they_are_of_and_history_keeps_guarding_them(engine: Engine, tmp_path: Path) -> None:
    place = empty_place(engine, tmp_path)
    make_older(place, tmp_path)
    with engine.raw(place) as raw:
        for number, (text, scope) in enumerate(zip(TEXTS, SCOPES, strict=True)):
            stored = text.replace("\x1a", "\x1a1").replace("\x00", "\x1a0") if engine.server else text
            values = (f"h{number}", stored, json.dumps(write_scope(scope)), number, stored[::-1] if not number else "")
            released = "NULL" if number else "1000000"
            marks = ", ".join(["%s" if engine.server else "?"] * 5)
            raw.connection.execute(  # type: ignore[attr-defined]
                f"INSERT INTO holds (id, matter, scope, placed_at, reason, released_at) VALUES ({marks}, {released})",
                values,
            )
    if engine.server is not None:
        with pytest.raises(LedgerError, match=r"has to be upgraded|revision 0008"):
            open_ledger(place)
    with closing(open_for_upgrade(place)) as ledger:
        ledger.upgrade()
    with closing(open_ledger(place)) as ledger:
        with ledger.begin() as tx:
            rows, active = tx.holds.all(), tx.holds.active()
            assert [row.id for row in tx.holds.unsealed()] == ["h0", "h1", "h2"]
        assert [row.id for row in active] == ["h1", "h2"]
        assert rows[0].released_at is not None
        said = [json.loads(row.sealed[1:]) for row in rows]
        assert [each["matter"] for each in said] == list(TEXTS)
        assert [each["reason"] for each in said] == [TEXTS[0][::-1], "", ""]
        assert [each["scope"] for each in said] == [write_scope(scope) for scope in SCOPES]
        assert [(row.review_at, row.removed_meanwhile, row.may_be_gone) for row in rows] == [(None, None, None)] * 3
        assert [each for each in ledger.check() if "fsync" not in each] == []
        with ledger.begin() as tx:
            tx.holds.add(HoldRow("new", b"\x02sealed", rows[0].placed_at))
            assert [row.id for row in tx.holds.all()] == ["h0", "h1", "h2", "new"]
    with engine.raw(place) as raw:
        for change in ("UPDATE holds SET placed_at = 9", "DELETE FROM holds", "UPDATE holds SET sealed = x''"):
            with pytest.raises(REFUSED):
                raw.execute(change)
        names = "SELECT column_name FROM information_schema.columns WHERE table_name = 'holds' AND table_schema = "
        query = f"{names}'{DEFAULT_SCHEMA}'" if engine.server else "SELECT name FROM pragma_table_info('holds')"
        assert {"matter", "scope", "reason"}.isdisjoint(row[0] for row in raw.rows(query))
