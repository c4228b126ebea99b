"""Tables that would take more than the planned rows, or that cannot be worked on: each is refused with its remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from retentiond.domain.dataset import BlobLink, ClockFormat, ClockSource, Dataset, TombstoneTarget
from retentiond.domain.owner import OwnerSource
from retentiond.errors import DatasetRefused
from tests.connectors.sqlite.app import PURGE, App, decide, requests

TABLE = "CREATE TABLE requests (id INTEGER PRIMARY KEY, created, deleted);"
HIDDEN = requests(tombstone=TombstoneTarget(column="deleted"))
MOVED = requests(tombstone=TombstoneTarget(table="hidden"))
QUARANTINE = "CREATE TABLE hidden (id INTEGER PRIMARY KEY, created, deleted, tombstoned_at);"
TRIGGER = "CREATE TRIGGER t1 {} ON {} BEGIN SELECT 1; END;"

REFUSED: list[tuple[str, Dataset, str, str]] = [
    ("", requests(), "no table 'requests'", "data map"),
    ('CREATE TABLE "Requests" (id INTEGER PRIMARY KEY, created)', requests(), "no table", "'Requests'"),
    ("CREATE VIEW requests AS SELECT 1 AS id, 2 AS created", requests(), "a view", "table that holds the rows"),
    ("CREATE VIRTUAL TABLE requests USING fts5(id, created)", requests(), "a virtual table", "table that holds"),
    ("CREATE VIRTUAL TABLE f USING fts5(x)", requests(table="f_content", key=("id",)), "part of a virtual", "declare"),
    (TABLE, requests(key=("ID",)), "no column 'ID' for its key", "'id'"),
    (TABLE, requests(key=()), "no key", "key: [id]"),
    (TABLE, requests(clock=ClockSource(column="made")), "no column 'made' for its clock", "data map"),
    (TABLE, requests(clock=ClockSource(ClockFormat.MODIFIED)), "stands in a column", "clock: {column"),
    (TABLE, requests(clock=ClockSource(ClockFormat.MODIFIED, "created")), "cannot be read", "format of columns"),
    (TABLE, requests(clock=ClockSource(column="created", zone="Mars/Base")), "'Mars/Base'", "IANA zone"),
    (TABLE, requests(owners=(OwnerSource("owner"),)), "no column 'owner' for its account", "data map"),
    (TABLE, requests(attributes={"tier": "plan"}), "no column 'plan' for its attribute 'tier'", "data map"),
    (TABLE, requests(tombstone=TombstoneTarget(column="gone")), "no column 'gone' for its tombstone", "data map"),
    (TABLE, requests(blobs=BlobLink("payload", "p")), "no column 'payload' for its blobs", "data map"),
    ("CREATE TABLE requests (id, created)", requests(), "unique", 'CREATE UNIQUE INDEX "requests_key"'),
    ("CREATE TABLE requests (id INTEGER, created, PRIMARY KEY (id, created))", requests(), "unique", "CREATE UNIQUE"),
    (
        "CREATE TABLE requests (id, created); CREATE UNIQUE INDEX i ON requests (id) WHERE created > 1",
        requests(),
        "unique",
        "CREATE UNIQUE INDEX",
    ),
    (
        "CREATE TABLE requests (id, created); CREATE UNIQUE INDEX i ON requests (lower(id))",
        requests(),
        "unique",
        "CREATE UNIQUE INDEX",
    ),
    (
        "CREATE TABLE requests (id TEXT, created); CREATE UNIQUE INDEX i ON requests (id COLLATE NOCASE)",
        requests(),
        "no index finds rows",
        "CREATE UNIQUE INDEX",
    ),
    ('CREATE TABLE requests (id UNIQUE, created, rowid, "_ROWID_", oid)', requests(), "row number", "rename"),
    (
        TABLE + "CREATE TABLE c (r REFERENCES requests ON DELETE CASCADE)",
        requests(),
        "CASCADE rows of 'c'",
        "NO ACTION",
    ),
    (TABLE + "CREATE TABLE c (r REFERENCES Requests ON DELETE SET NULL)", requests(), "SET NULL rows", "NO ACTION"),
    (TABLE + "CREATE TABLE c (r REFERENCES requests ON DELETE SET DEFAULT)", requests(), "SET DEFAULT", "NO ACTION"),
    (TABLE + "CREATE TABLE c (r REFERENCES requests (created))", requests(), "cannot prepare", "remove that"),
    (
        TABLE + TRIGGER.format("AFTER DELETE", "requests"),
        requests(),
        "trigger 't1' acts on every DELETE",
        "DROP TRIGGER",
    ),
    (TABLE + TRIGGER.format("/* update */ before\ndelete", "Requests"), requests(), "DELETE", "DROP TRIGGER"),
    (TABLE + 'CREATE TRIGGER "an INSERT" DELETE ON requests BEGIN SELECT 1; END', requests(), "DELETE", "DROP TRIGGER"),
    (TABLE + TRIGGER.format("AFTER UPDATE OF created", "requests"), HIDDEN, "UPDATE of 'requests'", "DROP TRIGGER"),
    (
        TABLE,
        MOVED,
        "no quarantine table 'hidden'",
        'CREATE TABLE "hidden" ("id" INTEGER, "created", "deleted", "tombst',
    ),
    (
        TABLE + "CREATE TABLE hidden (id INTEGER PRIMARY KEY, tombstoned_at)",
        MOVED,
        "has not the columns",
        "CREATE TABLE",
    ),
    (
        TABLE + "CREATE TABLE hidden (id TEXT PRIMARY KEY, created, deleted, tombstoned_at)",
        MOVED,
        "has not the columns",
        "CREATE TABLE",
    ),
    (TABLE + "CREATE TABLE hidden (id INTEGER, created, deleted, tombstoned_at)", MOVED, "key of 'hidden'", "UNIQUE"),
    (TABLE + QUARANTINE + TRIGGER.format("AFTER INSERT", "hidden"), MOVED, "INSERT of 'hidden'", "DROP TRIGGER"),
    (TABLE + QUARANTINE + TRIGGER.format("AFTER DELETE", "hidden"), MOVED, "DELETE of 'hidden'", "DROP TRIGGER"),
]


@pytest.mark.parametrize(("script", "dataset", "what", "remedy"), REFUSED)
def test_a_dangerous_table_is_refused(
    make: Callable[[str], App], script: str, dataset: Dataset, what: str, remedy: str
) -> None:
    refusals = make(script).refusals(dataset)
    assert any(what in found and remedy in advice for found, advice in refusals), refusals


@pytest.mark.parametrize(
    ("script", "dataset"),
    [
        (TABLE, requests()),
        (TABLE, requests(table="main.requests")),
        ("CREATE TABLE requests (id TEXT PRIMARY KEY, created)", requests()),
        ("CREATE TABLE requests (id INTEGER PRIMARY KEY DESC, created)", requests()),
        (
            "CREATE TABLE requests (id, created UNIQUE, x AS (id + 1) STORED, UNIQUE (created, id))",
            requests(key=("id", "created")),
        ),
        ("CREATE TABLE requests (id TEXT PRIMARY KEY, created TEXT) STRICT", requests()),
        ("CREATE TABLE requests (id TEXT PRIMARY KEY, created TEXT) STRICT, WITHOUT ROWID", requests()),
        (TABLE + "CREATE TABLE c (r REFERENCES requests); CREATE INDEX i ON c (r)", requests()),
        (TABLE + TRIGGER.format("AFTER UPDATE", "requests"), requests()),
        (TABLE + TRIGGER.format("AFTER INSERT", "requests"), HIDDEN),
        (TABLE + QUARANTINE, MOVED),
    ],
)
def test_a_harmless_table_is_not(make: Callable[[str], App], script: str, dataset: Dataset) -> None:
    assert make(script).refusals(dataset) == []


@pytest.mark.parametrize(
    ("script", "dataset"),
    [
        ("CREATE TABLE requests (id, created)", requests()),
        ("CREATE TABLE requests (id TEXT, created, kept AS (id || 'x') STORED, size AS (length(id)))", requests()),
        (TABLE, MOVED),
        (
            'CREATE TABLE "a""b" (id TEXT, created, "x y" BLOB)',
            requests(table='a"b', tombstone=TombstoneTarget(table='main.c"d')),
        ),
    ],
)
def test_a_remedy_in_sql_is_one(make: Callable[[str], App], script: str, dataset: Dataset) -> None:
    app = make(script)
    for _ in range(2):
        for _, remedy in app.refusals(dataset):
            app.run(remedy.removeprefix("create it: "))
    assert app.refusals(dataset) == []


def test_a_refused_table_is_neither_scanned_nor_searched(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id, created)")
    ask: list[Callable[[], Any]] = [
        lambda: list(app.open().scan(requests(), decide(requests(), PURGE), frozenset())),
        lambda: app.open().find(requests(), "1"),
    ]
    for question in ask:
        with pytest.raises(DatasetRefused) as raised:
            question()
        assert "CREATE UNIQUE INDEX" in raised.value.remedy


def test_notes_say_what_would_help(make: Callable[[str], App]) -> None:
    app = make(
        TABLE + "CREATE TABLE c (r REFERENCES requests, s REFERENCES requests); CREATE INDEX i ON c (s);"
        "CREATE VIRTUAL TABLE words USING fts5(content)"
    )
    notes = app.open().survey(requests()).notes
    assert any('CREATE INDEX "requests_created" ON "requests" ("created")' in note for note in notes)
    assert any('CREATE INDEX "c_r" ON "c" ("r")' in note for note in notes)
    assert not any('"c_s"' in note for note in notes)
    assert any("'words'" in note for note in notes)
    for note in notes[1:]:
        app.run(note.partition(": ")[2])
    assert len(app.open().survey(requests()).notes) == 1


def test_unmapped_tables_are_all_that_nobody_names(make: Callable[[str], App]) -> None:
    app = make(
        TABLE + QUARANTINE + 'CREATE TABLE "e\'vil ""t" (x); CREATE VIRTUAL TABLE words USING fts5(x);'
        "CREATE VIEW v AS SELECT 1; CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE TABLE BIG (x)"
    )
    unmapped = app.open().unmapped
    assert list(unmapped([MOVED], lambda _name: False)) == ["BIG", "auto", "e'vil \"t", "words"]
    assert list(unmapped([requests()], lambda name: name in ("main.auto", "words"))) == [
        "BIG",
        "e'vil \"t",
        "hidden",
    ]
