from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from retentiond.domain.account import AccountState
from retentiond.errors import LedgerError
from retentiond.ledger import SqlLedger, open_ledger, schema, upgrade
from retentiond.ledger import ledger as ledgers
from retentiond.ledger.backend import transaction
from retentiond.ledger.connection import open_file
from retentiond.ledger.sqlite import SqliteBackend
from tests.ledger import samples
from tests.ledger.processes import Starter


def test_a_ledger_that_is_not_there_is_not_made_by_opening_it(path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger") as caught:
        open_ledger(path)
    assert "`retentiond init`" in caught.value.remedy
    assert str(path) in str(caught.value)
    assert list(path.parent.iterdir()) == []


def test_a_new_ledger_is_its_owners_only_and_durable(path: Path) -> None:
    mask = os.umask(0)
    try:
        ledger = open_ledger(path, create=True)
        with ledger.begin() as tx:
            tx.facts.set("a", "b")
            assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    finally:
        os.umask(mask)
    ledger.close()
    assert list(path.parent.iterdir()) == [path]
    with closing(open_file(path)) as raw:
        settings = {
            name: raw.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_create_opens_what_is_there(path: Path) -> None:
    first = open_ledger(path, create=True)
    with first.begin() as tx:
        tx.facts.set("a", "b")
    second = open_ledger(path, create=True)
    with second.begin() as tx:
        assert tx.facts.get("a") == "b"
    first.close()
    second.close()


def test_processes_that_make_one_ledger_at_once_leave_one_whole_ledger(path: Path, start: Starter) -> None:
    processes = [start("", path, "create") for _ in range(4)]
    results = [process.communicate() for process in processes]
    assert any(process.returncode == 0 for process in processes), results
    for process, (_, errors) in zip(processes, results, strict=True):
        assert process.returncode == 0 or "there is such a file already" in errors
    ledger = open_ledger(path)
    assert list(ledger.check()) == []
    ledger.close()
    assert list(path.parent.iterdir()) == [path]


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="No such file or directory") as caught:
        open_ledger(tmp_path / "no" / "ledger.sqlite", create=True)
    assert "directory exists" in caught.value.remedy


def test_a_directory_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be opened") as caught:
        open_ledger(tmp_path, create=True)
    assert caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to look like one" * 100])
def test_a_foreign_file_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="not a ledger") as caught:
        open_ledger(path, create=True)
    assert caught.value.remedy


def test_the_database_of_another_program_is_refused_and_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE alembic_version (version_num TEXT)")
        raw.execute("INSERT INTO alembic_version VALUES ('0001')")
        raw.commit()
    with pytest.raises(LedgerError, match="not a ledger of retentiond") as caught:
        open_ledger(path, create=True)
    assert "name another file" in caught.value.remedy
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT name FROM sqlite_master").fetchall() == [("alembic_version",)]


def test_a_ledger_of_a_newer_program_is_refused_with_a_remedy(ledger: SqlLedger) -> None:
    with closing(sqlite3.connect(Path(ledger.where))) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
    with pytest.raises(LedgerError, match="revision 9999, which this program does not know") as caught:
        open_ledger(Path(ledger.where), create=True)
    assert "or a newer one" in caught.value.remedy


def test_the_migrations_make_the_tables_that_the_program_knows(ledger: SqlLedger) -> None:
    with transaction(SqliteBackend(Path(ledger.where))) as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []
        triggers = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all()
    assert set(triggers) == schema.GUARDS
    assert upgrade.newest_revision() == schema.REVISION


def test_an_older_ledger_keeps_what_it_said_of_closures(path: Path, tmp_path: Path) -> None:
    older = tmp_path / "migrations"
    shutil.copytree(upgrade._MIGRATIONS, older)
    for later in (older / "versions").glob("v*.py"):
        if later.name >= "v0004":
            later.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upgrade, "_MIGRATIONS", older)
        patch.setattr(ledgers, "REVISION", upgrade.newest_revision())
        open_ledger(path, create=True).close()
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("PRAGMA foreign_keys = ON")
        for number, state in enumerate(("closed", "closing", "grace")):
            row = (f"c{number}", "x", b"", state, "left", 1, 1_000_000 + number, 3)
            raw.execute("INSERT INTO closures VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, NULL)", row)
        for number, closure in enumerate(("c0", "c0", None)):
            raw.execute("INSERT INTO drafts VALUES (?, 0)", (f"p{number}",))
            raw.execute(_OLD_PLAN, (f"p{number}", f"sha-{number}", number, closure))
    with closing(open_ledger(path)) as ledger:
        with ledger.begin() as tx:
            assert tx.plans.of_closures(["c0", "c1", "c2"]) == [("c0", "p0"), ("c0", "p1")]
            begun = [row.begun_at for row in tx.closures.in_state(*AccountState)]
        assert [at and at.microsecond for at in begun] == [0, 1, None]


_OLD_PLAN = (
    'INSERT INTO plans (id, sha256, state, "trigger", created_at, expires_at, reference_time, log_index, envelope,'
    " nonce, policies, datasets, records, approvals_needed, reasons, forecasts, closure, lists)"
    " VALUES (?, ?, 'cancelled', 'closure', 0, 0, 0, ?, x'00', x'00', '[]', '[]', 0, 0, '[]', '[]', ?, '')"
)


def test_a_migration_that_fails_leaves_no_ledger(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = upgrade.upgrade

    def half(connection: Connection) -> None:
        real(connection)
        connection.exec_driver_sql("SELECT * FROM nowhere")

    monkeypatch.setattr(upgrade, "upgrade", half)
    with pytest.raises(LedgerError, match="nowhere"):
        open_ledger(path, create=True)
    assert list(path.parent.iterdir()) == []
    monkeypatch.undo()
    open_ledger(path, create=True).close()


def test_a_damaged_beginning_is_an_error_that_names_the_backup(ledger: SqlLedger) -> None:
    ledger.close()
    with Path(ledger.where).open("r+b") as file:
        file.write(b"\x00" * 100)
    with pytest.raises(LedgerError, match="damaged") as caught:
        open_ledger(Path(ledger.where))
    assert "restore the newest backup" in caught.value.remedy


def test_a_truncated_ledger_is_an_error(ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    ledger.close()
    with Path(ledger.where).open("r+b") as file:
        file.truncate(Path(ledger.where).stat().st_size // 2)
    with pytest.raises(LedgerError, match="damaged") as caught:
        list(open_ledger(Path(ledger.where)).check())
    assert "restore the newest backup" in caught.value.remedy


@contextmanager
def unprivileged() -> Iterator[None]:
    """Run a block as somebody whom the permissions of files concern, also where the tests run as root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="ledger-"))
    directory.chmod(0o777)
    yield directory
    directory.chmod(0o777)
    shutil.rmtree(directory)


def test_a_ledger_that_may_not_be_written_is_an_error_with_a_remedy(open_directory: Path) -> None:
    path = open_directory / "ledger.sqlite"
    open_ledger(path, create=True).close()
    path.chmod(0o444)
    open_directory.chmod(0o555)
    with unprivileged(), pytest.raises(LedgerError) as caught:  # noqa: PT012 - one transaction
        ledger = open_ledger(path)
        with ledger.begin() as tx:
            tx.facts.set("a", "b")
    assert "the user that runs retentiond" in caught.value.remedy


def test_a_ledger_that_cannot_be_seen_is_not_taken_for_absent(open_directory: Path) -> None:
    hidden = open_directory / "hidden"
    hidden.mkdir()
    path = hidden / "ledger.sqlite"
    open_ledger(path, create=True).close()
    hidden.chmod(0o000)
    try:
        with unprivileged(), pytest.raises(LedgerError, match="Permission denied") as caught:
            open_ledger(path)
    finally:
        hidden.chmod(0o755)
    assert "init" not in caught.value.remedy


def test_opening_a_ledger_that_is_up_to_date_needs_no_migration_machinery(ledger: SqlLedger, start: Starter) -> None:
    process: subprocess.Popen[str] = start('say("alembic" in sys.modules)', Path(ledger.where))
    assert process.communicate()[0].strip() == "False"
