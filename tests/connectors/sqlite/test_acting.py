"""Acting on rows: exactly those, in one transaction, and honest about each that stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from retentiond.connectors.sqlite.database import Database
from retentiond.domain.dataset import Dataset, TombstoneTarget
from retentiond.domain.owner import OwnerSource
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Record, micros
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Order
from tests.connectors.sqlite.app import NOW, OLD, PURGE, TOMBSTONE, YOUNG, App, closing_order, decide, order, requests

TABLE = "CREATE TABLE requests (id INTEGER PRIMARY KEY, created, deleted);"
HIDDEN = requests(tombstone=TombstoneTarget(column="deleted"))
MOVED = requests(tombstone=TombstoneTarget(table="hidden"))
QUARANTINE = "CREATE TABLE hidden (id INTEGER PRIMARY KEY, created, deleted, tombstoned_at);"
DONE, GONE, CHANGED, REFUSED = Outcome.DONE, Outcome.ALREADY_GONE, Outcome.CHANGED, Outcome.REFUSED


def filled(make: Callable[[str], App], script: str, count: int = 8) -> App:
    app = make(script)
    app.insert("requests (id, created)", *((number, OLD) for number in range(count)))
    return app


@pytest.mark.parametrize("reference", ["", "ON DELETE NO ACTION DEFERRABLE INITIALLY DEFERRED", "ON DELETE RESTRICT"])
def test_a_row_that_another_table_refers_to_is_left_and_the_others_go(
    make: Callable[[str], App], reference: str
) -> None:
    app = filled(make, TABLE + f"CREATE TABLE child (request REFERENCES requests {reference})")
    app.insert("child", (2,), (5,))
    acted, sightings = app.purge(requests(), app.due(requests()))
    assert list(acted.outcomes) == [DONE, DONE, REFUSED, DONE, DONE, REFUSED, DONE, DONE]
    assert "FOREIGN KEY" in acted.reasons[2]
    assert [n for n, sighting in enumerate(sightings) if sighting is not Sighting.ABSENT] == [2, 5]
    assert app.all("SELECT id FROM requests") == [2, 5]
    assert app.all("SELECT count(*) FROM child") == [2]


def test_rows_that_refer_to_each_other_go_together(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created, parent REFERENCES requests)")
    app.insert("requests", (1, OLD, None), (2, OLD, 1), (3, OLD, 2))
    app.purge_all(requests())
    assert app.all("SELECT id FROM requests") == []


DANGERS = [
    "CREATE TABLE c (r INTEGER REFERENCES requests ON DELETE CASCADE); INSERT INTO c VALUES (1)",
    "CREATE TABLE log (x); CREATE TRIGGER t AFTER DELETE ON requests BEGIN INSERT INTO log VALUES (old.id); END",
    "CREATE TRIGGER t BEFORE DELETE ON requests BEGIN SELECT RAISE(IGNORE); END",
]


@pytest.mark.parametrize("danger", DANGERS)
def test_a_danger_that_came_after_the_plan_refuses_the_batch(make: Callable[[str], App], danger: str) -> None:
    app = filled(make, TABLE)
    records = app.due(requests())
    assert list(app.purge(requests(), records[:1])[0].outcomes) == [DONE]
    app.run(danger)
    acted, sightings = app.purge(requests(), records)
    assert set(acted.outcomes) == {REFUSED}
    assert len(acted.reasons) == len(records)
    assert sightings[1:] == [Sighting.DUE] * 7
    assert len(app.all("SELECT id FROM requests")) == 7


@pytest.mark.parametrize("danger", DANGERS)
def test_a_statement_that_reaches_further_is_undone(
    make: Callable[[str], App], danger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count of changed rows is the net beneath the look at the schema."""
    app = filled(make, TABLE + danger)
    monkeypatch.setattr("retentiond.connectors.sqlite.store.dangers", lambda _db, _layout: ())
    acted, _ = app.purge(requests(), app.due(requests()))
    refused = {1} if "CASCADE" in danger else set(range(8))
    assert {n for n, outcome in enumerate(acted.outcomes) if outcome is REFUSED} == refused
    assert set(app.all("SELECT id FROM requests")) == refused


def test_one_closed_fence_undoes_its_whole_batch(make: Callable[[str], App]) -> None:
    app = filled(make, TABLE + QUARANTINE)

    def fence() -> None:
        raise KeyboardInterrupt

    cases = decide(MOVED, TOMBSTONE)
    asked = order(MOVED, app.scan(MOVED, cases)[0], cases, fence)
    with pytest.raises(KeyboardInterrupt):
        app.open().act(asked)
    assert len(app.all("SELECT id FROM requests")) == 8
    assert set(app.open().act(replace(asked, fence=lambda: None)).outcomes) == {DONE}


def test_the_fence_stands_before_each_statement_and_after_the_wait_for_the_lock(make: Callable[[str], App]) -> None:
    app = filled(make, TABLE + QUARANTINE)
    cases = decide(MOVED, TOMBSTONE)
    states: list[tuple[object, object]] = []

    def fence() -> None:
        with app.connection() as other, pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        inside = app.open()._writer.value
        states.append((inside("SELECT count(*) FROM hidden"), inside("SELECT count(*) FROM requests")))

    app.open().act(order(MOVED, app.scan(MOVED, cases)[0], cases, fence))
    assert states == [(0, 8), (8, 8)]


def test_a_store_that_stays_locked_may_answer_later(make: Callable[[str], App]) -> None:
    app = filled(make, TABLE)
    records = app.due(requests())
    with app.connection() as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConnectorError) as raised:
            app.open().act(order(requests(), records))
        other.execute("ROLLBACK")
    assert raised.value.transient
    assert raised.value.remedy
    assert list(app.open().verify(order(requests(), records)).sightings) == [Sighting.DUE] * 8


def test_a_failure_half_way_leaves_what_is_known(make: Callable[[str], App]) -> None:
    app = filled(make, TABLE + QUARANTINE, count=2)
    app.insert("hidden", (7, OLD, None, OLD))
    cases = decide(MOVED, PURGE)
    records = app.scan(MOVED, cases)[0]
    asked = order(MOVED, records, cases)
    calls: list[int] = []

    def fence() -> None:
        calls.append(1)
        if len(calls) > 1:
            raise sqlite3.OperationalError("disk I/O error")

    acted = app.open().act(replace(asked, fence=fence))
    assert list(acted.outcomes) == [DONE, DONE, Outcome.UNKNOWN]
    assert "disk I/O error" in acted.reasons[2]
    assert list(app.open().verify(asked).sightings) == [Sighting.ABSENT, Sighting.ABSENT, Sighting.DUE]


def test_a_file_that_may_only_be_read_refuses(make: Callable[[str], App], monkeypatch: pytest.MonkeyPatch) -> None:
    app = filled(make, TABLE)
    records = app.due(requests())
    store = app.open()
    # As root a file's mode forbids nothing, so SQLite itself is told to open it for reading only.
    reader = Database(app.path, read_only=True, busy_seconds=0.2)
    monkeypatch.setattr(store, "_writer", reader)
    acted = store.act(order(requests(), records))
    reader.close()
    assert set(acted.outcomes) == {REFUSED}
    assert "readonly" in acted.reasons[0]
    assert len(app.all("SELECT id FROM requests")) == 8


def test_reads_have_a_connection_that_cannot_write(make: Callable[[str], App]) -> None:
    app = filled(make, TABLE)
    with app.open()._reader() as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.run("DELETE FROM requests")


def test_a_record_in_an_unknown_place_is_refused(make: Callable[[str], App]) -> None:
    app = filled(make, TABLE)
    (first, *_) = app.due(requests())
    acted, sightings = app.purge(requests(), [first._replace(place="elsewhere")])
    assert (list(acted.outcomes), sightings) == ([REFUSED], [Sighting.DUE])
    assert "'elsewhere'" in acted.reasons[0]


def test_what_no_table_can_be_told_to_do_is_refused(make: Callable[[str], App]) -> None:
    app = filled(make, TABLE)
    records = app.due(requests())
    cases = decide(requests(), PURGE)
    redact = Order(requests(), Action.REDACT, cases, cases.due[0], records, NOW, lambda: None)
    assert set(app.open().act(redact).outcomes) == {REFUSED}
    assert len(app.all("SELECT id FROM requests")) == 8


def test_a_row_named_twice_goes_once(make: Callable[[str], App]) -> None:
    app = filled(make, TABLE)
    (first, *_) = app.due(requests())
    acted, sightings = app.purge(requests(), [first, first])
    assert (list(acted.outcomes), set(sightings)) == ([DONE, DONE], {Sighting.ABSENT})
    assert len(app.all("SELECT id FROM requests")) == 7


def test_a_vanished_table_is_unknown_and_never_absent(make: Callable[[str], App]) -> None:
    app = filled(make, TABLE)
    records = app.due(requests())
    app.run("DROP TABLE requests")
    assert set(app.open().verify(order(requests(), records)).sightings) == {Sighting.UNKNOWN}
    with pytest.raises(ConnectorError):
        app.open().act(order(requests(), records))


# --- hiding ---


@pytest.mark.parametrize(
    ("declared", "written"),
    [("", b"2026-06-01T12:00:00.500000Z"), ("DATETIME", b"2026-06-01T12:00:00.500000Z"), ("BIGINT", 1_780_315_201)],
)
@pytest.mark.parametrize("by", ["column", "table"])
def test_a_tombstone_is_written_as_its_column_holds_times(
    make: Callable[[str], App], declared: str, written: object, by: str
) -> None:
    app = filled(
        make,
        f"CREATE TABLE requests (id INTEGER PRIMARY KEY, created, deleted {declared});"
        f"CREATE TABLE hidden (id INTEGER PRIMARY KEY, created, deleted {declared}, tombstoned_at {declared})",
        count=2,
    )
    dataset = HIDDEN if by == "column" else MOVED
    at = NOW + timedelta(microseconds=500_000)
    hide(app, dataset, at)
    column, table = ("deleted", "requests") if by == "column" else ("tombstoned_at", "hidden")
    assert app.all(f"SELECT {column} FROM {table}") == [written, written]
    later = decide(dataset, TOMBSTONE, at=NOW + timedelta(days=5, seconds=2))
    records = app.scan(dataset, later)[0]
    assert len(records) == 2
    assert all(0 <= (record.tombstoned or 0) - micros(at) <= 500_000 for record in records)
    almost = decide(dataset, TOMBSTONE, at=NOW + timedelta(days=5))
    assert app.scan(dataset, almost)[0] == []


def test_a_moved_row_keeps_all_its_values(make: Callable[[str], App]) -> None:
    columns = "id TEXT PRIMARY KEY, created TEXT, n INTEGER, r REAL, b BLOB, twice AS (n * 2) STORED"
    app = make(f"CREATE TABLE requests ({columns}); CREATE TABLE hidden ({columns}, tombstoned_at TEXT)")
    app.insert("requests (id, created, n, r, b)", ("x\x00'", OLD, 7, 0.1, b"\xff"), ("y", YOUNG, 1, 1.0, b""))
    hide(app, MOVED)
    with app.connection() as connection:
        rows = connection.execute("SELECT id, created, n, r, b, twice FROM hidden").fetchall()
    assert rows == [(b"x\x00'", OLD.encode(), 7, 0.1, b"\xff", 14)]
    (record,) = app.open().find(MOVED, "x\x00'")
    assert (record.place, record.tombstoned) == ("hidden", micros(NOW))


def test_a_row_whose_key_is_hidden_already_is_refused_and_the_others_go(make: Callable[[str], App]) -> None:
    app = filled(make, TABLE + QUARANTINE, count=4)
    app.insert("hidden", (2, OLD, None, OLD))
    cases = decide(MOVED, TOMBSTONE)
    asked = order(MOVED, [record for record in app.scan(MOVED, cases)[0] if not record.place], cases)
    acted = app.open().act(asked)
    assert list(acted.outcomes) == [DONE, DONE, REFUSED, DONE]
    assert list(app.open().verify(asked).sightings) == [*[Sighting.HIDDEN] * 2, Sighting.DUE, Sighting.HIDDEN]
    assert app.all("SELECT id FROM requests") == [2]


def test_no_row_is_replaced_that_is_in_the_way_of_a_tombstone(make: Callable[[str], App]) -> None:
    """SQLite removes it without counting it where a constraint says so, whoever's it is."""
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created, who, deleted, UNIQUE (who, deleted)"
               " ON CONFLICT REPLACE)")  # fmt: skip
    at = NOW.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    app.insert("requests", (1, OLD, "a", None), (2, YOUNG, "a", at), (3, OLD, "b", None))
    cases = decide(HIDDEN, TOMBSTONE)
    asked = order(HIDDEN, app.scan(HIDDEN, cases)[0], cases)
    assert list(app.open().act(asked).outcomes) == [REFUSED, DONE]
    assert app.all("SELECT id FROM requests WHERE deleted IS NULL") == [1]
    assert app.all("SELECT id FROM requests WHERE deleted IS NOT NULL ORDER BY id") == [2, 3]


def test_no_row_is_replaced_that_is_in_the_way_in_a_quarantine(make: Callable[[str], App]) -> None:
    columns = "id INTEGER PRIMARY KEY, created, who UNIQUE ON CONFLICT REPLACE"
    app = make(f"CREATE TABLE requests ({columns}); CREATE TABLE hidden ({columns}, tombstoned_at)")
    app.insert("requests", (1, OLD, "a"), (2, OLD, "b"))
    app.insert("hidden", (3, OLD, "a", YOUNG))
    cases = decide(MOVED, TOMBSTONE)
    asked = order(MOVED, app.scan(MOVED, cases)[0], cases)
    assert list(app.open().act(asked).outcomes) == [REFUSED, DONE]
    assert app.all("SELECT id FROM requests") == [1]
    assert app.all("SELECT id FROM hidden ORDER BY id") == [2, 3]


def test_a_row_that_was_hidden_meanwhile_is_not_gone(make: Callable[[str], App]) -> None:
    app = filled(make, TABLE + QUARANTINE, count=2)
    records = app.due(MOVED)
    app.run(f"INSERT INTO hidden SELECT *, '{YOUNG}' FROM requests WHERE id = 0; DELETE FROM requests WHERE id = 0")
    acted, sightings = app.purge(MOVED, records)
    assert (list(acted.outcomes), sightings) == ([CHANGED, DONE], [Sighting.DUE, Sighting.ABSENT])
    assert app.all("SELECT id FROM hidden") == [0]


def test_a_row_that_was_brought_back_is_not_gone(make: Callable[[str], App]) -> None:
    app = filled(make, TABLE + QUARANTINE, count=2)
    hide(app, MOVED)
    cases = decide(MOVED, TOMBSTONE, at=NOW + timedelta(days=9))
    records = app.scan(MOVED, cases)[0]
    app.run(
        "INSERT INTO requests SELECT id, created, deleted FROM hidden WHERE id = 1; DELETE FROM hidden WHERE id = 1"
    )
    purge = Order(MOVED, Action.PURGE, cases, cases.due[1], records, NOW, lambda: None)
    assert list(app.open().act(purge).outcomes) == [DONE, CHANGED]
    assert list(app.open().verify(purge).sightings) == [Sighting.ABSENT, Sighting.CHANGED]
    assert app.all("SELECT id FROM requests") == [1]


def test_a_closure_takes_rows_of_both_tables_in_one_order(make: Callable[[str], App]) -> None:
    columns = "id INTEGER PRIMARY KEY, created, owner"
    app = make(f"CREATE TABLE requests ({columns}); CREATE TABLE hidden ({columns}, tombstoned_at)")
    app.insert("requests", (1, YOUNG, 42), (2, OLD, "42"), (3, OLD, "43"))
    app.insert("hidden", (4, OLD, "42", OLD), (5, OLD, "", OLD))
    dataset = replace(MOVED, owners=(OwnerSource("owner"),))
    asked = closing_order(dataset, "42", [])
    records = app.scan(dataset, asked.cases)[0]
    assert [(record.key[0], record.account) for record in records] == [(1, "42"), (2, "42"), (4, "42")]
    assert set(app.open().act(replace(asked, records=records)).outcomes) == {DONE}
    assert app.all("SELECT id FROM requests UNION SELECT id FROM hidden") == [3, 5]


def hide(app: App, dataset: Dataset, at: datetime = NOW) -> list[Record]:
    cases = decide(dataset, TOMBSTONE)
    asked = replace(order(dataset, app.scan(dataset, cases)[0], cases), at=at.astimezone(UTC))
    assert set(app.open().act(asked).outcomes) == {DONE}
    assert set(app.open().verify(asked).sightings) == {Sighting.HIDDEN}
    return list(asked.records)
