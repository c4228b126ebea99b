"""The ledger in every engine that is there: a file of SQLite, and each version of PostgreSQL."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import psycopg
import pytest

from retentiond.ledger import Database, SqlLedger, open_ledger
from retentiond.ledger.database import DEFAULT_SCHEMA
from tests.ledger.processes import Starter, starter
from tests.servers.postgres import Installation, Server, installations

_BYTES = re.compile(r"x'([0-9a-f]*)'")


class Raw(Protocol):
    """The ledger's tables without the ledger."""

    def execute(self, query: str) -> Any: ...

    def rows(self, query: str) -> list[tuple[Any, ...]]: ...


@dataclass(slots=True)
class RawSqlite:
    connection: sqlite3.Connection

    def execute(self, query: str) -> Any:
        return self.connection.execute(query)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()


@dataclass(slots=True)
class RawPostgresql:
    connection: psycopg.Connection[Any]

    def execute(self, query: str) -> Any:
        return self.connection.execute(_BYTES.sub(r"'\\x\1'::bytea", query).encode())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.execute(query).fetchall()]


class Engine(Protocol):
    """Makes empty ledgers, and looks into them."""

    @property
    def server(self) -> Server | None: ...

    def place(self, directory: Path) -> Path | Database: ...

    def raw(self, place: Any) -> Any: ...


class SqliteEngine:
    server = None

    def __init__(self, directory: Path) -> None:
        self._empty = directory / "empty.sqlite"
        open_ledger(self._empty, create=True).close()

    def place(self, directory: Path) -> Path:
        path = directory / "ledger ?%41#'.sqlite"
        shutil.copy(self._empty, path)
        return path

    @contextmanager
    def raw(self, place: Path) -> Iterator[RawSqlite]:
        with closing(sqlite3.connect(place, isolation_level=None)) as connection:
            yield RawSqlite(connection)


class PostgresqlEngine:
    def __init__(self, server: Server) -> None:
        self.server = server
        self._empty = f"empty_{uuid4().hex}"
        with server.session() as connection:
            connection.execute(f"CREATE DATABASE {self._empty} TEMPLATE template0")
        open_ledger(Database(server.dsn(self._empty)), create=True).close()

    def place(self, directory: Path) -> Database:
        del directory
        name = f"ledger_{uuid4().hex}"
        with self.server.session() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {self._empty} STRATEGY file_copy")
        return Database(self.server.dsn(name))

    @contextmanager
    def raw(self, place: Database) -> Iterator[RawPostgresql]:
        with psycopg.connect(place.dsn, autocommit=True) as connection:
            connection.execute(f"SET search_path = {DEFAULT_SCHEMA}")
            yield RawPostgresql(connection)


def _name(installation: Installation | None) -> str:
    return str(installation or "sqlite")


@pytest.fixture(scope="session", params=[None, *installations()], ids=_name)
def engine(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    running: Callable[[Installation], Server],
) -> Engine:
    """Each engine in turn."""
    if request.param is None:
        return SqliteEngine(tmp_path_factory.mktemp("empty"))
    return PostgresqlEngine(running(request.param))


@pytest.fixture
def place(engine: Engine, tmp_path: Path) -> Path | Database:
    """Where an empty ledger is."""
    return engine.place(tmp_path)


@pytest.fixture
def ledger(place: Path | Database) -> Iterator[SqlLedger]:
    """An empty ledger."""
    opened = open_ledger(place)
    yield opened
    opened.close()


@pytest.fixture
def start() -> Iterator[Starter]:
    """Start another process that runs a piece of Python on a ledger."""
    with starter() as start:
        yield start


def findings(ledger: SqlLedger) -> list[str]:
    """What a check finds, but for the durability that servers of tests do without."""
    return [finding for finding in ledger.check() if "setting fsync" not in finding]
