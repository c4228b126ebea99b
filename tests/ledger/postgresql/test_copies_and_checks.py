from __future__ import annotations

import os
import stat
import subprocess
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from retentiond.errors import LedgerError
from retentiond.ledger import Database, SqlLedger, open_ledger, pg_dump
from tests.contracts.ledger.conftest import RawPostgresql, findings
from tests.ledger import samples
from tests.ledger.samples import NOW
from tests.servers.postgres import PASSWORD, Server, installations, started

MARK = "acct-secret-7731"


@contextmanager
def unguarded(place: Database) -> Iterator[RawPostgresql]:
    """Somebody who rules the database, and goes past what protects the ledger."""
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        connection.execute("SET search_path = retentiond")
        connection.execute("SET session_replication_role = replica")
        yield RawPostgresql(connection)


def test_a_sound_ledger_has_no_findings_in_any_state_of_a_run(used: SqlLedger) -> None:
    assert findings(used) == []
    with used.begin() as tx:
        tx.plans.begin_draft("draft", NOW)
        tx.batches.add(samples.batch(0, name="draft"), samples.PLAIN)
        tx.runs.add(samples.run("run-2", "plan-2"))
        tx.batches.claim("plan-2", 0, NOW)
    assert findings(used) == []


@pytest.mark.parametrize(
    ("tampering", "finding"),
    [
        ('DELETE FROM log_entries WHERE "index" = 0', "the log lacks entry 0"),
        ("UPDATE log_entries SET entry = x'ff'", "plan plan-1 is not the one that entry 0 of the log names"),
        ("UPDATE log_entries SET entry = x'00'", "receipt receipt-1 is not the one that entry 1 of the log names"),
        ("DELETE FROM events WHERE sequence = 7", "event 7 is missing"),
        ("UPDATE events SET subject = 'x' WHERE sequence = 1100", "event 1100 is not what it was when it was written"),
        ("UPDATE plans SET records = 6 WHERE id = 'plan-1'", "plan plan-1 counts 6 records, its batches 5"),
        ("UPDATE parts SET due = 6 WHERE plan = 'plan-1'", "plan plan-1 counts 5 records, its parts 6"),
        (
            "UPDATE batches SET outcomes = '{\"purged\":1}' WHERE plan = 'plan-1' AND ordinal = 0",
            "batch 0 of plan plan-1 has 3 records and 1 outcomes",
        ),
        (
            "UPDATE batch_identifiers SET plain = x'00', sealed = NULL WHERE plan = 'plan-1' AND ordinal = 1",
            "batch 1 of plan plan-1 has ended, and still holds plain identifiers",
        ),
        (
            "UPDATE batch_identifiers SET plain = NULL WHERE plan = 'plan-2'",
            "batch 0 of plan plan-2 is planned, and its identifiers are gone",
        ),
        (
            "UPDATE batches SET state = 'acted' WHERE plan = 'plan-1' AND ordinal = 1",
            "run run-1 is done, but batch 1 of it is acted",
        ),
        ("UPDATE runs SET receipt = NULL", "run run-1 is done, and has no receipt"),
        ("UPDATE receipts SET plan = 'plan-2'", "run run-1 names receipt receipt-1, which is of another plan"),
        ("UPDATE receipts SET plan = NULL", "run run-1 names receipt receipt-1, which is of another plan"),
        ("DELETE FROM hold_epoch", "the epoch of holds is missing"),
        ("DELETE FROM receipts", "1 rows of runs name rows of receipts that are not there"),
        (
            "DELETE FROM batches WHERE ordinal = 1",
            "1 rows of batch_identifiers name rows of batches that are not there",
        ),
        ("UPDATE alembic_version SET version_num = '0001'", "the tables are of revision 0001"),
        ("DROP TRIGGER events_fixed ON events", "the trigger events_fixed, which keeps history"),
        ("ALTER TABLE events DISABLE TRIGGER events_stay", "the trigger events_stay, which keeps history"),
        ("DROP TRIGGER plans_kept ON plans", "the trigger plans_kept, which keeps history"),
        ("ALTER TABLE runs DISABLE TRIGGER ALL", "the foreign key runs_plan_fkey of runs is not enforced"),
        ("DROP TABLE facts", "the table facts is gone"),
        ("ALTER TABLE facts SET UNLOGGED", "the table facts is unlogged: a crash empties it"),
    ],
)
def test_tampering_is_found_and_named(used: SqlLedger, place: Database, tampering: str, finding: str) -> None:
    with unguarded(place) as raw:
        raw.execute(tampering)
    assert any(found.startswith(finding) for found in used.check()), list(used.check())


def test_a_server_that_may_forget_a_commit_is_a_finding() -> None:
    with started() as server, server.database() as name:
        ledger = open_ledger(Database(server.dsn(name)), create=True)
        assert ["setting fsync is not on" in found for found in ledger.check()] == [True]
        server.configure(fsync="on")
        server.restart()
        assert list(ledger.check()) == []
        ledger.close()


def test_an_error_and_its_causes_name_no_value(ledger: SqlLedger) -> None:
    with pytest.raises(LedgerError, match="refuses a change") as caught, ledger.begin() as tx:  # noqa: PT012 - one transaction
        tx.plans.begin_draft(MARK, NOW)
        tx.plans.begin_draft(MARK, NOW)
    assert MARK not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(LedgerError, match="refuses a change") as caught, ledger.begin() as tx:
        tx.batches.add(samples.batch(0, name=MARK), MARK.encode())
    assert MARK not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(LedgerError, match="foreign key") as caught, ledger.begin() as tx:  # noqa: PT012 - one transaction
        tx.plans.begin_draft("d", NOW)
        tx.plans.finish_draft(samples.plan("d"), [], [MARK])
    assert MARK not in "".join(traceback.format_exception(caught.value))


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> dict[int, Path]:
    """The programs of each version; none of them is found but by the PATH."""
    monkeypatch.setattr(pg_dump, "_PLACES", ())
    return {each.version: each.programs for each in installations()}


def test_a_backup_is_one_state_and_can_be_restored(
    postgresql: Server, tmp_path: Path, programs: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs[postgresql.version]))
    with postgresql.database() as name, postgresql.database() as other:
        role = postgresql.role(PASSWORD)
        with postgresql.connect(name) as admin:
            admin.execute(f'CREATE SCHEMA "Odd ""x""" AUTHORIZATION {role}')
            admin.execute("CREATE TABLE public.not_ours (a int)")
        place = Database(postgresql.dsn(name, role, PASSWORD), 'Odd "x"')
        ledger = open_ledger(place, create=True)
        samples.make_plan(ledger)
        samples.carry_out(ledger)
        target = tmp_path / "backup 'of' ledger?.dump"
        with ledger.acting(), ledger.begin() as tx:
            tx.facts.set("not", "committed")
            ledger.backup(target)
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        assert list(tmp_path.iterdir()) == [target]
        with pytest.raises(LedgerError, match="such a file already"):
            ledger.backup(target)
        target.chmod(0o644)
        dsn = postgresql.dsn(other)
        done = subprocess.run(
            [programs[postgresql.version] / "pg_restore", "--exit-on-error", f"--dbname={dsn}", target],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        restored = open_ledger(Database(dsn, 'Odd "x"'))
        assert findings(restored) == []
        with ledger.begin() as ours, restored.begin() as theirs:
            assert theirs.plans.get("plan-1") == ours.plans.get("plan-1")
            assert theirs.batches.of_plan("plan-1") == ours.batches.of_plan("plan-1")
            assert theirs.receipts.all() == ours.receipts.all()
            assert theirs.facts.get("not") is None
        samples.make_plan(restored, "plan-2")
        with psycopg.connect(dsn) as raw:
            assert raw.execute("SELECT to_regclass('public.not_ours')").fetchone() == (None,)
        for each in (ledger, restored):
            each.close()


@pytest.mark.parametrize("there", ["none", "older"])
def test_without_a_fitting_pg_dump_there_is_no_backup_and_the_remedy_is_named(
    ledger: SqlLedger, tmp_path: Path, programs: dict[int, Path], monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    newest = max(programs)
    monkeypatch.setenv("PATH", str(programs[min(programs)]) if there == "older" else str(tmp_path))
    with pytest.raises(LedgerError, match=f"no pg_dump of PostgreSQL {newest} or newer") as caught:
        ledger.backup(tmp_path / "copy")
    assert f"postgresql-client-{newest}" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_fails_leaves_no_part_of_it_and_shows_no_password(
    postgresql_newest: Server, database: str, tmp_path: Path, programs: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs[max(programs)]))
    role = postgresql_newest.role(PASSWORD)
    open_ledger(Database(postgresql_newest.dsn(database)), create=True).close()
    with postgresql_newest.connect(database) as admin:
        admin.execute(f"GRANT USAGE ON SCHEMA retentiond TO {role}")
        admin.execute(f"GRANT SELECT ON retentiond.alembic_version TO {role}")
    ledger = open_ledger(Database(postgresql_newest.dsn(database, role, PASSWORD)))
    with pytest.raises(LedgerError, match="pg_dump could not copy the ledger") as caught:
        ledger.backup(tmp_path / "copy")
    assert "permission denied" in caught.value.what
    assert PASSWORD not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    ledger.close()


def test_the_password_stands_in_no_argument(place: Database, tmp_path: Path) -> None:
    spy = tmp_path / "bin" / "pg_dump"
    spy.parent.mkdir()
    spy.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "pg_dump (PostgreSQL) 99.1" && exit\n'
        'for each; do echo "$each"; done >&2; echo "in env: $PGPASSWORD $PGHOST" >&2; exit 1\n',
        encoding="utf-8",
    )
    spy.chmod(0o755)
    dsn = psycopg.conninfo.make_conninfo(place.dsn, password="s3cr3t")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{spy.parent}{os.pathsep}{os.environ['PATH']}")
        patch.setattr(pg_dump, "_PLACES", ())
        with pytest.raises(LedgerError, match="in env: s3cr3t /") as caught:
            pg_dump.dump(Database(dsn), "here", 990_000, tmp_path / "copy")
    assert "s3cr3t" not in caught.value.what.split("in env:")[0]
