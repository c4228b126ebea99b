"""How gone purged rows are: the bytes of the database's files are searched, and the level says no more than that."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from retentiond.evidence.levels import EvidenceLevel
from tests.connectors.sqlite.app import OLD, YOUNG, App, requests

TABLE = "CREATE TABLE requests (id INTEGER PRIMARY KEY, created, prompt TEXT); CREATE INDEX i ON requests (prompt);"
SECRET = "the-secret-prompt-of-somebody"
KEPT = "the-other-prompt-that-is-kept"


def left_in_files(app: App, text: str) -> int:
    return sum(path.read_bytes().count(text.encode()) for path in app.folder.iterdir())


def fill_and_purge(app: App) -> None:
    rows = [(number, OLD if number % 2 else YOUNG, (SECRET if number % 2 else KEPT) * 40) for number in range(400)]
    app.insert("requests", *rows)
    assert left_in_files(app, SECRET) > 200
    app.purge_all(requests())


@pytest.mark.parametrize("journal", ["wal", "delete", "truncate"])
def test_purged_text_is_in_no_live_file(make: Callable[[str], App], journal: str) -> None:
    app = make(f"PRAGMA journal_mode = {journal};" + TABLE)
    fill_and_purge(app)
    assert app.open().settle(requests()) is EvidenceLevel.DELETED
    assert left_in_files(app, SECRET) == 0
    assert left_in_files(app, KEPT) > 0
    assert all(remnant.what != "write-ahead log or journal" for remnant in app.open().remnants(requests()))


def test_a_reader_keeps_the_log_from_being_emptied(make: Callable[[str], App]) -> None:
    app = make(TABLE)
    app.open()
    with app.connection() as reader:
        app.insert("requests", (-1, OLD, SECRET))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM requests").fetchall()
        fill_and_purge(app)
        assert app.open().settle(requests()) is EvidenceLevel.DELETED
        assert left_in_files(app, SECRET) > 0
        assert "write-ahead log or journal" in [remnant.what for remnant in app.open().remnants(requests())]
        reader.execute("ROLLBACK")
    assert app.open().settle(requests()) is EvidenceLevel.DELETED
    assert left_in_files(app, SECRET) == 0


def test_a_journal_that_another_program_left_lying_is_seen(make: Callable[[str], App]) -> None:
    app = make("PRAGMA journal_mode = delete;" + TABLE)
    with app.connection() as other:
        other.execute("PRAGMA journal_mode = persist")
        other.execute("INSERT INTO requests VALUES (1000, ?, ?)", (YOUNG, SECRET * 40))
        other.execute("DELETE FROM requests")
    assert left_in_files(app, SECRET) > 0
    assert app.open().settle(requests()) is EvidenceLevel.DELETED


def test_full_text_indexes_may_keep_fragments(make: Callable[[str], App]) -> None:
    app = make(TABLE + "CREATE VIRTUAL TABLE words USING fts5(prompt)")
    fill_and_purge(app)
    assert app.open().settle(requests()) is EvidenceLevel.DELETED
    (remnant,) = [each for each in app.open().remnants(requests()) if each.what == "full-text index"]
    assert "words" in remnant.reason


def test_before_settling_the_log_is_named(make: Callable[[str], App]) -> None:
    app = make(TABLE)
    fill_and_purge(app)
    assert left_in_files(app, SECRET) > 0
    assert "write-ahead log or journal" in [remnant.what for remnant in app.open().remnants(requests())]
