"""Files that are no databases, are not there, are locked, or were left by a program that died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from retentiond.connectors.sqlite import SqliteKind, SqliteOptions, connector
from retentiond.domain.dataset import Store
from retentiond.errors import ConnectorError, DatasetRefused
from tests.connectors.sqlite.app import OLD, PURGE, App, decide, requests

WRITER_THAT_DIES = """
import os, signal, sqlite3, sys
app = sqlite3.connect(sys.argv[1], isolation_level=None)
app.execute("PRAGMA cache_size = 1")
app.execute("PRAGMA cache_spill = 1")
app.execute("BEGIN IMMEDIATE")
app.execute("UPDATE requests SET created = '2026-05-31T00:00:00Z', content = randomblob(4000)")
os.kill(os.getpid(), signal.SIGKILL)
"""


def open_error(folder: Path, path: str) -> ConnectorError:
    with pytest.raises(ConnectorError) as raised:
        connector.open(Store("app", "sqlite", {"path": path}), folder)
    assert raised.value.where.startswith("app")
    assert raised.value.remedy
    return raised.value


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert "there is no database file" in open_error(tmp_path, "nowhere.db").what
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    assert "is not a file" in open_error(tmp_path, ".").what


def test_a_file_that_is_no_database_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("dear diary\n" * 100)
    error = open_error(tmp_path, "notes.txt")
    assert "not a database" in error.what
    assert "notes.txt" in error.where
    assert not error.transient


def test_a_locked_file_may_answer_later(make: Callable[[str], App]) -> None:
    app = make("PRAGMA journal_mode = delete; CREATE TABLE requests (id INTEGER PRIMARY KEY, created)")
    with app.connection() as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConnectorError) as raised:
            app.open()
        other.execute("ROLLBACK")
    assert raised.value.transient


def test_an_absolute_path_stays_as_it_is(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created)")
    store = SqliteKind().open(Store("app", "sqlite", {"path": str(app.path)}), Path("/nowhere"))
    assert list(store.unmapped([], lambda _name: False)) == ["requests"]
    store.close()


@pytest.mark.parametrize("options", [{}, {"path": ""}, {"path": "a\x00b"}, {"path": 3}, {"path": "a", "mode": "rw"}])
def test_options_are_exact(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SqliteOptions.model_validate(options)


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_what_a_dead_program_left_half_written_is_not_seen(make: Callable[[str], App], journal: str) -> None:
    app = make(f"PRAGMA journal_mode = {journal}; CREATE TABLE requests (id INTEGER PRIMARY KEY, created, content)")
    app.insert("requests", *((number, OLD, b"x" * 4000) for number in range(50)))
    store = app.open()
    died = subprocess.run([sys.executable, "-c", WRITER_THAT_DIES, os.fspath(app.path)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert len(app.due(requests())) == 50
    assert store.survey(requests()).findings == ()
    app.purge_all(requests())
    assert app.all("SELECT count(*) FROM requests") == [0]


def test_a_table_that_vanished_is_an_error_and_not_empty(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created)")
    app.open()
    app.run("DROP TABLE requests")
    with pytest.raises(DatasetRefused) as raised:
        list(app.open().scan(requests(), decide(requests(), PURGE), frozenset()))
    assert raised.value.remedy


def test_a_file_that_was_replaced_by_rubbish_is_an_error_and_not_empty(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created)")
    app.insert("requests", (1, OLD))
    app.open()
    app.path.unlink()
    app.path.write_bytes(b"rubbish" * 1000)
    with pytest.raises(ConnectorError):
        app.due(requests())
