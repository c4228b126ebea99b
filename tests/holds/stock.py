"""Records to be held, in a real store, and an oracle of its own that says what must be left of them.

`Stock` is what a kind of store must do to take part; the matrix runs once for each entry of `STOCKS`. A stock is filled
and looked into by the store's own driver, never by the connector.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import psycopg

from retentiond.domain.hold import Scope
from retentiond.settings.where import read_where
from tests.engine.office import Office, Timed
from tests.servers.postgres import Server

KEEP, GRACE = timedelta(days=20), timedelta(days=5)
POLICIES = """
policies:
  content:
    class: content
    promise: {live: 40 days}
    rules: [{keep: 20 days, then: tombstone, grace: 5 days}]
    schedule: "every 6 hours"
    limits: {max_records: 1000, max_percent: 95}
closure: {grace: none, deadline: 30 days, limits: {per_day: 500, max_percent: 95}}
floor: 1 hour
"""
HELD, FREE = "acct-'held\"; DROP TABLE requests;--", "acct-free\u202e"
_HOSTILE = ("'", '"; DELETE FROM requests;--', "\n", "../..", "%2e%2e", "\u202e", "\U0001f512", "__proto__", "x" * 1000)


@dataclass(frozen=True, slots=True)
class Row:
    """One record; `hidden` says when it was hidden, None while it is visible."""

    key: str
    account: str
    created: datetime
    tier: str | None
    hidden: datetime | None


Look = Mapping[str, datetime | None]
"""What is there at one moment: each record's key, and when it was hidden."""


class Stock(Protocol):
    """A kind of store under test."""

    def declare(self, office: Office) -> None:
        """Make the store, and describe it as dataset `requests` of store `app` in the data map."""
        ...

    def fill(self, rows: list[Row]) -> None:
        """Put the records there."""
        ...

    def look(self) -> Look:
        """Say what is there now."""
        ...

    def set_tier(self, key: str, tier: str | None) -> None:
        """Change the attribute of a record, as the application would."""
        ...


class SqliteStock:
    """A table with a column for tombstones."""

    def __init__(self, root: Path) -> None:
        self._path = root / "app.db"

    def declare(self, office: Office) -> None:
        (office.config / "datamap.yaml").write_text(_SQLITE, "utf-8")
        with self._open() as db:
            db.executescript(
                "DROP TABLE requests; DROP TABLE feedback;"
                "CREATE TABLE requests (id TEXT PRIMARY KEY, account TEXT, created TEXT, tier TEXT, deleted TEXT)"
            )

    def fill(self, rows: list[Row]) -> None:
        with self._open() as db:
            for row in rows:
                values = (row.key, row.account, _text(row.created), row.tier, row.hidden and _text(row.hidden))
                db.execute("INSERT INTO requests VALUES (?, ?, ?, ?, ?)", values)

    def look(self) -> Look:
        with self._open() as db:
            found = db.execute("SELECT id, deleted FROM requests").fetchall()
        return {key: None if hidden is None else datetime.fromisoformat(hidden) for key, hidden in found}

    def set_tier(self, key: str, tier: str | None) -> None:
        with self._open() as db:
            assert db.execute("UPDATE requests SET tier = ? WHERE id = ?", (tier, key)).rowcount == 1

    def _open(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(self._path, isolation_level=None, timeout=30))


class PostgresStock:
    """A table with a column for tombstones, in a database of its own; one role acts, and another one verifies."""

    def __init__(self, root: Path, server: Server, database: str) -> None:
        self._root = root
        self._server = server
        self._database = database

    def declare(self, office: Office) -> None:
        (office.config / "datamap.yaml").write_text(_POSTGRESQL, "utf-8")
        office.every = lambda connector: Timed(connector, office.clock)
        role, reader = self._server.role(), self._server.role()
        for name, user in (("app.dsn", role), ("reader.dsn", reader)):
            (self._root / name).write_text(self._server.dsn(self._database, user), "utf-8")
        with self._open() as db:
            db.execute("CREATE TABLE requests (id text PRIMARY KEY, account text, created timestamptz NOT NULL)")
            db.execute("ALTER TABLE requests ADD tier text, ADD deleted timestamptz")
            db.execute("CREATE INDEX ON requests (created)")
            db.execute(f"GRANT SELECT, DELETE, UPDATE (deleted) ON requests TO {role}".encode())
            db.execute(f"GRANT SELECT ON requests TO {reader}".encode())

    def fill(self, rows: list[Row]) -> None:
        with self._open() as db:
            for row in rows:
                values = (row.key, row.account, row.created, row.tier, row.hidden)
                db.execute("INSERT INTO requests VALUES (%s, %s, %s, %s, %s)", values)

    def look(self) -> Look:
        with self._open() as db:
            return dict(db.execute("SELECT id, deleted FROM requests").fetchall())

    def set_tier(self, key: str, tier: str | None) -> None:
        with self._open() as db:
            assert db.execute("UPDATE requests SET tier = %s WHERE id = %s", (tier, key)).rowcount == 1

    def set_tier_late(self, key: str, tier: str | None) -> threading.Thread:
        """Begin to change the attribute of a record; commit once a statement of the program waits for its row."""
        db = self._open()
        db.execute("BEGIN")
        db.execute("UPDATE requests SET tier = %s WHERE id = %s", (tier, key))
        thread = threading.Thread(target=self._commit_once_waited_for, args=(db,))
        thread.start()
        return thread

    def _commit_once_waited_for(self, db: psycopg.Connection[Any]) -> None:
        deadline = time.monotonic() + 30
        with db, self._open() as other:
            while not other.execute(_WAITING, [db.info.backend_pid]).fetchall():
                assert time.monotonic() < deadline, "nothing waits for the row"
                time.sleep(0.002)
            db.execute("COMMIT")

    def _open(self) -> psycopg.Connection[Any]:
        return self._server.connect(self._database)


_WAITING = "SELECT FROM pg_stat_activity WHERE application_name = 'retentiond' AND %s = ANY(pg_blocking_pids(pid))"
_DATASET = """
datasets:
  requests:
    store: app
    table: requests
    key: [id]
    clock: {column: created, earliest: 2023-01-01}
    account: account
    class: content
    attributes: {tier: tier}
    tombstone: {column: deleted}
unmapped: refuse
"""
_SQLITE = f"""
stores:
  app: {{kind: sqlite, path: ../app.db, backups: none}}
{_DATASET}"""
_POSTGRESQL = f"""
stores:
  app: {{kind: postgresql, dsn_file: ../app.dsn, verify_dsn_file: ../reader.dsn, backups: none}}
{_DATASET}"""


@contextmanager
def _on_sqlite(root: Path, server: Callable[[], Server]) -> Iterator[Stock]:
    del server
    yield SqliteStock(root)


@contextmanager
def _on_postgresql(root: Path, server: Callable[[], Server]) -> Iterator[Stock]:
    running = server()
    with running.database() as database:
        yield PostgresStock(root, running, database)


STOCKS: dict[str, Callable[[Path, Callable[[], Server]], AbstractContextManager[Stock]]] = {
    "sqlite": _on_sqlite,
    "postgresql": _on_postgresql,
}
"""Each kind of store; a server is asked for where a kind needs one."""


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sample(now: datetime) -> list[Row]:
    """Return records of every sort: both owners, a tier that is held, free or unknown, and each age that matters."""
    return list(_rows(now))


def _rows(now: datetime) -> Iterator[Row]:
    sorts = {"purge": (40, 10), "hide": (30, None), "grace": (30, 3), "young": (2, None)}
    for number, (account, tier, sort) in enumerate(product((HELD, FREE), ("legal", "free", None), sorts)):
        days, hidden = sorts[sort]
        yield Row(
            f"{number:02d} {sort} {_HOSTILE[number % len(_HOSTILE)]}",
            account,
            now - timedelta(days=days),
            tier,
            None if hidden is None else now - timedelta(days=hidden),
        )


def after_run(rows: list[Row], before: Look, now: datetime, kept: frozenset[str] = frozenset()) -> Look:
    """Return what a run at a time must leave of what was there: the promise, reckoned without retentiond."""
    left: dict[str, datetime | None] = {}
    for row in rows:
        if row.key not in before:
            continue
        hidden = before[row.key]
        old = now - row.created > KEEP
        if row.key in kept or not old:
            left[row.key] = hidden
        elif hidden is None:
            left[row.key] = now
        elif now - hidden <= GRACE:
            left[row.key] = hidden
    return left


@dataclass(frozen=True, slots=True)
class Naming:
    """A scope, and which records it names, said twice: to retentiond and to the oracle."""

    scope: Callable[[Office], Scope]
    names: Callable[[Row], bool]

    def of(self, rows: list[Row]) -> frozenset[str]:
        return frozenset(row.key for row in rows if self.names(row))


def _condition(office: Office) -> Scope:
    with office.open() as ctx:
        condition = read_where("{tier: {in: [legal, sealed]}}", "requests", ctx.datamap)
    return Scope("requests", condition=condition)


def _chosen(row: Row) -> bool:
    return int(row.key[:2]) % 3 == 1 or ("purge" in row.key[:8] and int(row.key[:2]) % 2 == 0)


def _keys(office: Office) -> Scope:
    return Scope("requests", keys=tuple(row.key.encode() for row in sample(office.clock.at) if _chosen(row)))


SCOPES = {
    "account": Naming(lambda _: Scope(accounts=(HELD,)), lambda row: row.account == HELD),
    "key": Naming(_keys, _chosen),
    "condition": Naming(_condition, lambda row: row.tier in ("legal", None)),
}
