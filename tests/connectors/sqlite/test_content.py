"""Content windows in SQLite: one predicate in two readings, and files in which nothing is left."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given

from retentiond.connectors.sqlite import SqliteKind
from retentiond.domain.condition import Condition
from retentiond.domain.content import Change, Target
from retentiond.domain.dataset import ClockSource, Dataset, Store, TombstoneTarget
from retentiond.domain.decision import cases_of
from retentiond.domain.period import Period
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action, ContentWindow, Policy, Rule
from retentiond.ports.stores import Order
from tests.connectors import contents
from tests.connectors.sqlite.app import NOW, OLD, App, requests

DATASET = Dataset(
    "rows", "app", "sqlite", "content", ClockSource(column="created"), table="rows", key=("id",),
    attributes={"flagged": "flagged"},
)  # fmt: skip
ROWS = list(product(contents.PLAIN, (*contents.SOUND, *contents.TWICE, *contents.BROKEN)))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("content")
    with closing(sqlite3.connect(folder / "app.db", isolation_level=None)) as app:
        app.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, created TEXT, flagged INTEGER, plain TEXT, meta TEXT)")
        app.execute("BEGIN")
        rows = [(n, OLD, (None, 0, 1)[n % 3], *row) for n, row in enumerate(ROWS)]
        app.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", rows)
        app.execute("COMMIT")
    return folder


@given(condition=contents.conditions)
def test_both_readings_agree_on_every_row(table: Path, condition: Condition) -> None:
    cases = contents.cases_of(condition)
    with closing(SqliteKind().open(Store("app", "sqlite", {"path": "app.db"}), table)) as store:
        found = [each for window in store.scan(DATASET, cases, frozenset((0, 1, 2))) for each in window.found]
    assert len(found) == len(ROWS)
    for record, case in found:
        assert case == contents.expected(condition, record, *ROWS[int(str(record.key[0]))])


PROMPT = Change((Target("prompt"),))


def redaction(app: App, dataset: Dataset) -> Order:
    window = ContentWindow(1, Period(days=7), PROMPT, frozenset((dataset.name,)))
    cases = cases_of(Policy("p", "content", (Rule(1, Period(days=365)),), content=(window,)), dataset, NOW)
    records, _ = app.scan(dataset, cases)
    return Order(dataset, Action.REDACT, cases, cases.due[-1], records, NOW, lambda: None, change=PROMPT)


def test_what_stands_in_the_quarantine_still_is_not_cleared(make: Callable[[str], App]) -> None:
    columns = "id INTEGER PRIMARY KEY, created, prompt"
    app = make(f"CREATE TABLE requests ({columns}); CREATE TABLE hidden ({columns}, tombstoned_at)")
    app.insert("requests", (1, OLD, "the prompt"))
    asked = redaction(app, requests(tombstone=TombstoneTarget(table="hidden")))
    app.insert("hidden", (1, OLD, "the other prompt", OLD))
    assert app.open().act(asked).outcomes == (Outcome.DONE,)
    assert list(app.open().verify(asked).sightings) != [Sighting.CLEARED]


def test_no_row_is_replaced_that_is_in_the_way_of_a_change(make: Callable[[str], App]) -> None:
    said = "said AS (coalesce(prompt, 'nothing')) UNIQUE ON CONFLICT REPLACE"
    app = make(f"CREATE TABLE requests (id INTEGER PRIMARY KEY, created, prompt, {said})")
    app.insert("requests (id, created, prompt)", (1, OLD, "the first of them"), (2, OLD, "the second of them"))
    asked = redaction(app, requests())
    assert app.open().act(asked).outcomes == (Outcome.DONE, Outcome.REFUSED)
    assert app.all("SELECT prompt FROM requests ORDER BY id") == [None, b"the second of them"]
