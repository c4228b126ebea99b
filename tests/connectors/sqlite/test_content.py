"""Content windows in SQLite: one predicate in two readings, and files in which nothing is left."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given

from retentiond.connectors.sqlite import SqliteKind
from retentiond.domain.condition import Condition
from retentiond.domain.dataset import ClockSource, Dataset, Store
from tests.connectors import contents
from tests.connectors.sqlite.app import OLD

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
