"""The contract suite on SQLite tables: tombstones by column and by quarantine table, with and without row numbers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retentiond.connectors.sqlite import SqliteKind
from retentiond.domain.dataset import ClockSource, Dataset, Store, TombstoneTarget
from retentiond.domain.owner import OwnerSource
from retentiond.domain.record import Key
from retentiond.ports.stores import Connector
from retentiond.testing.contract import (
    AttributeContract,
    ChangeContract,
    ConnectorContract,
    DenialContract,
    DoubtContract,
    FailureContract,
    TombstoneContract,
)
from retentiond.testing.contract_redact import PseudonymContract, RedactContract
from retentiond.testing.contract_undo import DeniedRestoreContract, FailingRestoreContract, RestoreContract
from retentiond.testing.harness import Entry

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
KIND = SqliteKind(busy_seconds=0.2, window_rows=7)


class SqliteHarness:
    """A table whose rows are named by one text column."""

    now = NOW
    table = "requests"
    journal = "wal"
    columns = '"id" TEXT, "owner" TEXT, "created" TEXT, "flagged" INTEGER, "deleted" TEXT'
    end = 'PRIMARY KEY ("id")'
    options = ""
    more = ""
    tombstone = TombstoneTarget(column="deleted")
    _young = (NOW - timedelta(days=5)).isoformat()

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "app ü#?%20.db"
        self._sql = '"' + self.table.replace('"', '""') + '"'
        with self.app() as app:
            app.execute(f"PRAGMA journal_mode = {self.journal}")
            app.execute(f"CREATE TABLE {self._sql} ({self.columns}, {self.end}) {self.options}")
            app.executescript(self.more)

    @property
    def dataset(self) -> Dataset:
        return Dataset(
            "requests",
            "app",
            "sqlite",
            "request-content",
            clock=ClockSource(column="created"),
            table=self.table,
            key=("id",),
            owners=(OwnerSource("owner"),),
            attributes={"flagged": "flagged"},
            tombstone=self.tombstone,
        )

    @contextmanager
    def app(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            yield connection

    def connect(self) -> Connector:
        return KIND.open(Store("app", "sqlite", {"path": self._path.name}), self._folder)

    def connect_to_nothing(self) -> Connector:
        return KIND.open(Store("app", "sqlite", {"path": "nowhere.db"}), self._folder)

    def accepts(self, name: str) -> bool:
        return bool(name)

    def put(self, entry: Entry) -> Key:
        created = None if entry.age_days is None else NOW - timedelta(days=entry.age_days)
        values = (entry.name, entry.account, created.isoformat() if created else "soon", entry.flagged)
        with self.app() as app:
            app.execute(f"INSERT INTO {self._sql} (id, owner, created, flagged) VALUES (?, ?, ?, ?)", values)
        return (entry.name,)

    def spell(self, key: Key) -> str:
        return str(key[0])

    def left(self) -> frozenset[Key]:
        with self.app() as app:
            return frozenset(app.execute(f"SELECT id FROM {self._sql}"))

    def visible(self) -> frozenset[Key]:
        with self.app() as app:
            return frozenset(app.execute(f"SELECT id FROM {self._sql} WHERE deleted IS NULL"))

    def take_away(self, key: Key) -> None:
        with self.app() as app:
            app.execute(f"DELETE FROM {self._sql} WHERE id = ?", key)

    def take_away_hidden(self, key: Key) -> None:
        self.take_away(key)

    def reuse(self, key: Key) -> None:
        with self.app() as app:
            app.execute(
                f"INSERT INTO {self._sql} (id, owner, created) VALUES (?, 'account-1', ?)"
                " ON CONFLICT (id) DO UPDATE SET created = excluded.created, deleted = NULL",
                (*key, self._young),
            )

    def is_young(self, key: Key) -> bool:
        with self.app() as app:
            return app.execute(f"SELECT created, deleted FROM {self._sql} WHERE id = ?", key).fetchall() == [
                (self._young, None)
            ]

    def renew(self, key: Key) -> None:
        created = (NOW - timedelta(days=5)).isoformat()
        with self.app() as app:
            app.execute(f"UPDATE {self._sql} SET created = ? WHERE id = ?", (created, *key))

    def add_stray(self) -> str:
        with self.app() as app:
            app.execute('CREATE TABLE "stray ""one""" (x)')
            app.execute('CREATE VIEW "a view" AS SELECT 1')
        return 'stray "one"'

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Hold the file locked against everybody: a read or write waits and then fails."""
        with self.app() as app:
            app.execute("PRAGMA locking_mode = EXCLUSIVE")
            app.execute("BEGIN EXCLUSIVE")
            yield
            app.execute("ROLLBACK")

    @contextmanager
    def denying(self) -> Iterator[None]:
        with self.app() as app:
            app.execute(f"CREATE TRIGGER keep BEFORE DELETE ON {self._sql} BEGIN SELECT RAISE(ABORT, 'no'); END")
            yield
            app.execute("DROP TRIGGER keep")


class MovingHarness(SqliteHarness):
    """Hidden rows move to another table."""

    table = "main.re\"quests'"
    journal = "delete"
    more = f"CREATE TABLE hidden ({SqliteHarness.columns}, tombstoned_at, PRIMARY KEY (id))"
    tombstone = TombstoneTarget(table="main.hidden")

    def left(self) -> frozenset[Key]:
        with self.app() as app:
            return super().left() | frozenset(app.execute("SELECT id FROM hidden"))

    def visible(self) -> frozenset[Key]:
        return super().left()

    def take_away_hidden(self, key: Key) -> None:
        with self.app() as app:
            app.execute("DELETE FROM hidden WHERE id = ?", key)


class KeyedHarness(SqliteHarness):
    """A table without row numbers, found by its primary key."""

    options = "WITHOUT ROWID"


class LockableHarness(SqliteHarness):
    """A table in a journal mode in which a writer keeps others from reading, unlike WAL."""

    journal = "delete"


class _AllContracts(
    ConnectorContract,
    ChangeContract,
    DoubtContract,
    AttributeContract,
    TombstoneContract,
    RestoreContract,
    DenialContract,
    DeniedRestoreContract,
):
    """Everything that is asked of a table in any journal mode."""


class TestTable(_AllContracts):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> SqliteHarness:
        return SqliteHarness(tmp_path)


class TestTableThatFails(FailureContract, FailingRestoreContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> SqliteHarness:
        return LockableHarness(tmp_path)


class TestQuarantine(_AllContracts):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> SqliteHarness:
        return MovingHarness(tmp_path)


class TestTableWithoutRowNumbers(_AllContracts):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> SqliteHarness:
        return KeyedHarness(tmp_path)


class ContentHarness(SqliteHarness):
    """A table whose rows have content: JSON stands in it as text."""

    columns = SqliteHarness.columns + ', "prompt" TEXT, "meta" TEXT, "other" TEXT'

    def write(self, key: Key, prompt: str | None, meta: str | None, other: str | None) -> None:
        with self.app() as app:
            values = (prompt, meta, other, *key)
            app.execute(f"UPDATE {self._sql} SET prompt = ?, meta = ?, other = ? WHERE id = ?", values)

    def read(self, key: Key) -> tuple[str | None, str | None, str | None]:
        with self.app() as app:
            prompt, meta, other = app.execute(
                f"SELECT prompt, meta, other FROM {self._sql} WHERE id = ?", key
            ).fetchone()
        return prompt, meta, other

    def owner(self, key: Key) -> str | None:
        with self.app() as app:
            found: str | None = app.execute(f"SELECT owner FROM {self._sql} WHERE id = ?", key).fetchone()[0]
        return found

    def damage(self, key: Key) -> bool:
        with self.app() as app:
            app.execute(f"UPDATE {self._sql} SET meta = substr(meta, 2) WHERE id = ?", key)
        return True


class TestContent(RedactContract, PseudonymContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> ContentHarness:
        return ContentHarness(tmp_path)
