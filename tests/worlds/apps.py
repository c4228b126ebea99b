"""Databases of applications: filled by plain SQL, and looked at as whoever finds a dump would look at them.

Nothing in this file comes from retentiond. A marker (`mk0007`) names an account in every text that is written for it,
and a row belongs to the accounts whose markers are anywhere in it, in whatever type.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg.types.json import Jsonb

from tests.servers.postgres import Server

Row = Mapping[str, Any]
Contents = dict[str, Counter[bytes]]

_MARKER = re.compile(rb"mk(\d{4})|(?i:6d6b)((?:3\d){4})")
_PERSON = re.compile(rb"(?i:mk)(\d{4})-(?i:us)(\d)")
_HEXADECIMALS = re.compile(rb"\\x((?:[0-9a-f]{2})+)")
_LISTED = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' ORDER BY 1
"""


def marker(account: int) -> str:
    """Return what stands in every text of an account."""
    return f"mk{account:04}"


def person(account: int, user: int) -> str:
    """Return what stands in every text of one user of an account."""
    return f"{marker(account)}-us{user}"


def owners(line: bytes) -> frozenset[int]:
    """Return the accounts that something names, as text or as the hexadecimals of its bytes."""
    found = (plain or bytes(int(digits[n : n + 2], 16) for n in range(0, 8, 2)) for plain, digits in _pairs(line))
    return frozenset(int(each) for each in found)


def people_in(line: bytes) -> frozenset[tuple[int, int]]:
    """Return the single users that something names, likewise."""
    text = line + b" " + b" ".join(bytes.fromhex(each.decode()) for each in _HEXADECIMALS.findall(line))
    return frozenset((int(account), int(user)) for account, user in _PERSON.findall(text))


def _pairs(line: bytes) -> Iterable[tuple[bytes, bytes]]:
    return ((plain, digits) for plain, digits in _MARKER.findall(line))


class App(Protocol):
    """One database."""

    root: Path

    def store(self) -> dict[str, Any]:
        """Return the store as a data map declares it."""
        ...

    def run(self, script: str) -> None:
        """Run a script as the application does."""
        ...

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Insert rows; the table as it stands in SQL."""
        ...

    def contents(self) -> Contents:
        """Return every row of every table, as the database writes it down."""
        ...

    def dump(self) -> bytes:
        """Return a dump of the whole database."""
        ...


class SqliteApp:
    """A file of SQLite."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "app.db"
        with self._open() as db:
            db.execute("PRAGMA journal_mode = wal")

    def _open(self) -> closing[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        return closing(connection)

    def store(self) -> dict[str, Any]:
        return {"kind": "sqlite", "path": "../app.db", "backups": "none"}

    def run(self, script: str) -> None:
        with self._open() as db:
            db.executescript(script)

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        columns = list(rows[0])
        sql = f"INSERT INTO {table} ({', '.join(map(_quoted, columns))}) VALUES ({', '.join('?' for _ in columns)})"
        with self._open() as db:
            db.execute("BEGIN")
            db.executemany(sql, ([_flat(row[name]) for name in columns] for row in rows))
            db.execute("COMMIT")

    def contents(self) -> Contents:
        with self._open() as db:
            names = [
                name
                for name, sql in db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'")
                if not name.startswith("sqlite_") and "VIRTUAL" not in sql
            ]
            return {name: Counter(map(_line, db.execute(f"SELECT * FROM {_quoted(name)}"))) for name in names}

    def dump(self) -> bytes:
        with self._open() as db:
            return "\n".join(db.iterdump()).encode("utf-8", "surrogatepass")

    def bytes_after_vacuum(self) -> bytes:
        """Return the file as it is once nothing that was freed is left in it."""
        self.run("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")
        return b"".join(each.read_bytes() for each in sorted(self.root.glob("app.db*")))


class PostgresApp:
    """A database of a server; the program acts by one role and verifies by another, with the rights they need."""

    def __init__(self, root: Path, server: Server, database: str) -> None:
        self.root = root
        self.server = server
        self.database = database
        self.role, self.reader = server.role(), server.role()
        for name, role in (("app.dsn", self.role), ("reader.dsn", self.reader)):
            (root / name).write_text(server.dsn(database, role), "utf-8")
            (root / name).chmod(0o600)

    def store(self) -> dict[str, Any]:
        files = {"dsn_file": "../app.dsn", "verify_dsn_file": "../reader.dsn"}
        return {"kind": "postgresql", **files, "backups": "none"}

    def connect(self) -> psycopg.Connection[Any]:
        return self.server.connect(self.database)

    def run(self, script: str) -> None:
        with self.connect() as db:
            db.execute(script.encode())

    def grant(self) -> None:
        """Give the roles what `deploy/postgresql` says, of every schema."""
        with self.connect() as db:
            schemas = db.execute("SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname !~ '^(pg_|information)'")
            for (schema,) in schemas.fetchall():
                here = _quoted(schema)
                db.execute(
                    f"GRANT USAGE ON SCHEMA {here} TO {self.role}, {self.reader};"
                    f"GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA {here} TO {self.role};"
                    f"GRANT SELECT ON ALL TABLES IN SCHEMA {here} TO {self.reader}".encode()
                )

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        columns = list(rows[0])
        sql = f"INSERT INTO {table} ({', '.join(map(_quoted, columns))}) VALUES ({', '.join('%s' for _ in columns)})"
        with self.connect() as db, db.cursor() as cursor:
            cursor.executemany(sql.encode(), ([_typed(row[name]) for name in columns] for row in rows))

    def contents(self) -> Contents:
        with self.connect() as db:
            names = [name for (name,) in db.execute(_LISTED)]
            return {name: Counter(self._lines(db, name)) for name in names}

    def _lines(self, db: psycopg.Connection[Any], name: str) -> list[bytes]:
        with db.cursor().copy(f"COPY (SELECT * FROM ONLY {name}) TO STDOUT".encode()) as copy:
            return b"".join(copy).splitlines()

    def dump(self) -> bytes:
        target = self.server.base / "dump.sql"
        self.server.run(
            "pg_dump",
            "-h",
            str(self.server.base),
            "-p",
            str(self.server.port),
            "-U",
            "postgres",
            "-d",
            self.database,
            "-f",
            str(target),
        )
        return target.read_bytes()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _flat(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def _typed(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict) else value


def _line(row: Sequence[Any]) -> bytes:
    parts = (each.hex() if isinstance(each, bytes) else str(each) for each in row)
    return "\t".join(parts).encode("utf-8", "surrogatepass")
