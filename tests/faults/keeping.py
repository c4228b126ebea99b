"""Where a world's rows and its ledger lie: in files of SQLite, or on a PostgreSQL server; read with plain drivers."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.servers.postgres import PASSWORD, Server

Row = tuple[Any, ...]
DSN_ENV = "FAULTS_DSN"
LEDGER_ENV = "FAULTS_LEDGER_DSN"


class Keeping(Protocol):
    """A place for the tables `events` and `requests`, and for the ledger."""

    store: str  # what the data map says of the store

    @property
    def environ(self) -> Mapping[str, str]: ...

    def create(self) -> None:
        """Make empty tables."""
        ...

    def insert(self, table: str, rows: Iterable[Row]) -> None: ...

    def read(self) -> dict[str, dict[str, Row]]:
        """Read both tables at one moment, each row by its key, without disturbing what a killed process left."""
        ...

    def configure_ledger(self, config: Path) -> tuple[str, ...]:
        """Return what `init` is told, so that the ledger lies here."""
        ...

    def ask(self, *queries: str) -> list[list[Row]]:
        """Ask the ledger, all at one moment."""
        ...

    def damage(self) -> list[str]:
        """What the database says is wrong with the ledger's file."""
        ...

    def live_files(self) -> Iterable[Path]:
        """The files in which purged text could still stand, where that is claimed not to be so."""
        ...

    def copied(self, root: Path) -> Keeping:
        """Return the same in another world, whose directory was copied already."""
        ...


_COLUMNS = {"events": 4, "requests": 6}


@dataclass(slots=True)
class Sqlite:
    """Two files beneath a world's directory."""

    root: Path
    wal: bool = False
    store: str = "{kind: sqlite, path: ../data/app.db, backups: none}"
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        return self.root / "data" / "app.db"

    @property
    def ledger(self) -> Path:
        return self.root / "config" / "ledger.db"

    def create(self) -> None:
        with closing(sqlite3.connect(self.database)) as db:
            db.execute(f"PRAGMA journal_mode = {'WAL' if self.wal else 'DELETE'}")
            db.executescript(_SCHEMA.format(integer="INTEGER", time="TEXT"))

    def insert(self, table: str, rows: Iterable[Row]) -> None:
        with closing(sqlite3.connect(self.database)) as db:
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * _COLUMNS[table])})", rows)
            db.commit()

    def read(self) -> dict[str, dict[str, Row]]:
        with open_copy(self.database) as db:
            return {
                table: {str(row[0]): tuple(row) for row in db.execute(f"SELECT * FROM {table}")} for table in _COLUMNS
            }

    def configure_ledger(self, config: Path) -> tuple[str, ...]:  # noqa: ARG002 - it lies where `init` puts it
        return ()

    def ask(self, *queries: str) -> list[list[Row]]:
        return ask_file(self.ledger, queries)

    def damage(self) -> list[str]:
        return damage_of_file(self.ledger)

    def live_files(self) -> Iterable[Path]:
        return self.database.parent.glob("app.db*")

    def copied(self, root: Path) -> Sqlite:
        return Sqlite(root, self.wal)


@dataclass(slots=True)
class Postgres:
    """One database: the tables in its schema `public`, the ledger in a schema of its own, or in a file.

    Attributes:
        ledger: The file of a ledger that lies elsewhere; None for one in the same database.
        store_port: A port of 127.0.0.1 that leads to the server, for the store's connections; 0 for its socket.
        ledger_port: The same for the ledger's connections.
    """

    server: Server
    name: str
    ledger: Path | None = None
    store_port: int = 0
    ledger_port: int = 0
    store: str = f"{{kind: postgresql, dsn_env: {DSN_ENV}, backups: none}}"

    @property
    def environ(self) -> Mapping[str, str]:
        return {DSN_ENV: self._dsn(self.store_port), LEDGER_ENV: self._dsn(self.ledger_port)}

    def _dsn(self, port: int) -> str:
        if not port:
            return self.server.dsn(self.name)
        return make_conninfo(self.server.dsn(self.name, password=PASSWORD), port=port)

    def create(self) -> None:
        with self.server.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.name)))
        with self.server.connect(self.name) as connection:
            connection.execute(_SCHEMA.format(integer="bigint", time="timestamptz"))

    def insert(self, table: str, rows: Iterable[Row]) -> None:
        into = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))
        with self.server.connect(self.name) as connection, connection.cursor().copy(into) as copy:
            for row in rows:
                copy.write_row(row)

    def read(self) -> dict[str, dict[str, Row]]:
        with self._snapshot() as db:
            return {
                table: {str(row[0]): tuple(row) for row in _all(db, f"SELECT * FROM {table}")} for table in _COLUMNS
            }

    def configure_ledger(self, config: Path) -> tuple[str, ...]:  # noqa: ARG002 - as above
        return () if self.ledger else ("--ledger-dsn-env", LEDGER_ENV)

    def ask(self, *queries: str) -> list[list[Row]]:
        if self.ledger:
            return ask_file(self.ledger, queries)
        with self._snapshot() as db:
            db.execute("SET LOCAL search_path = retentiond")
            return [_all(db, query) for query in queries]

    def damage(self) -> list[str]:
        return damage_of_file(self.ledger) if self.ledger else []

    def live_files(self) -> Iterable[Path]:
        raise AssertionError("nobody can say of PostgreSQL that nothing is left in its files")

    def copied(self, root: Path) -> Postgres:
        copy = replace(self, name=f"{self.name}_copy", ledger=root / "config" / "ledger.db" if self.ledger else None)
        with self.server.connect() as connection:
            for statement in ("DROP DATABASE IF EXISTS {copy} WITH (FORCE)", "CREATE DATABASE {copy} TEMPLATE {this}"):
                connection.execute(
                    sql.SQL(statement).format(copy=sql.Identifier(copy.name), this=sql.Identifier(self.name))
                )
        return copy

    @contextmanager
    def _snapshot(self) -> Iterator[psycopg.Connection[Any]]:
        with self.server.connect(self.name) as db, db.transaction():
            db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield db


def _all(db: psycopg.Connection[Any], query: str) -> list[Row]:
    found: Sequence[Row] = db.execute(query).fetchall()
    return list(found)


_SCHEMA = """
CREATE TABLE events (
    id {integer} PRIMARY KEY, account TEXT NOT NULL, created_at {time} NOT NULL, prompt TEXT NOT NULL
);
CREATE INDEX events_created_at ON events (created_at);
CREATE TABLE requests (
    id TEXT PRIMARY KEY, account TEXT NOT NULL, created_at {time} NOT NULL, prompt TEXT NOT NULL,
    payload TEXT, deleted_at {time}
);
CREATE INDEX requests_created_at ON requests (created_at);
"""


def ask_file(ledger: Path, queries: Sequence[str]) -> list[list[Row]]:
    """Ask a ledger that lies in a file, all at one moment."""
    with open_copy(ledger) as db:
        return [db.execute(query).fetchall() for query in queries]


def damage_of_file(ledger: Path) -> list[str]:
    """Say what SQLite finds wrong with a ledger."""
    (answers,) = ask_file(ledger, ("PRAGMA integrity_check",))
    return [str(answer) for (answer,) in answers if answer != "ok"]


@contextmanager
def open_copy(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of a database with its journals, so that the original stays as the dead process left it."""
    with tempfile.TemporaryDirectory() as place:
        for suffix in ("", "-journal", "-wal"):
            source = database.with_name(database.name + suffix)
            if source.exists():
                shutil.copy(source, Path(place) / source.name)
        with closing(sqlite3.connect(Path(place) / database.name)) as db:
            yield db
