"""Tables of PostgreSQL, in the types that applications give to them.

Columns of PostgreSQL hold less than SQLite's. What a column would refuse, or would hold as something else, is left out:
by its type where that tells, and by the server's own answer otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from tests.servers.postgres import Server
from tests.shapes.makers import Key, quoted
from tests.shapes.seeds import Row, Table

TYPES = {
    "int": "bigint",
    "text": "text",
    "uuid": "uuid",
    "bytes": "bytea",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "date": "date",
}
HOLDS: Mapping[str, type] = {
    "int": int,
    "text": str,
    "uuid": UUID,
    "bytes": bytes,
    "json": str,
    "array": list,
    "timestamp": datetime,
    "timestamptz": datetime,
    "date": date,
}
INDEXED = ("int", "timestamp", "timestamptz", "date")  # what an application purges by has an index


class PostgresqlMaker:
    """A database whose tables belong to an application; the program acts by one role and verifies by another.

    Args:
        database: An empty database of the server.
        binary: Whether documents stand in `jsonb` and lists in `jsonb` too, instead of `json` and `text[]`.
    """

    def __init__(self, root: Path, server: Server, database: str, *, binary: bool = False) -> None:
        self._server = server
        self._database = database
        self._types = {**TYPES, "json": "jsonb" if binary else "json", "array": "jsonb" if binary else "text[]"}
        self._binary = binary
        self.role, self.reader = server.role(), server.role()
        for name, role in (("app.dsn", self.role), ("reader.dsn", self.reader)):
            (root / name).write_text(server.dsn(database, role), "utf-8")
            (root / name).chmod(0o600)

    def connect(self) -> psycopg.Connection[Any]:
        """Connect as the application does."""
        return self._server.connect(self._database)

    def store(self) -> dict[str, Any]:
        files = {"dsn_file": "../app.dsn", "verify_dsn_file": "../reader.dsn"}
        return {"kind": "postgresql", **files, "backups": "none"}

    def name(self, table: Table) -> Any:
        return {"schema": table.schema, "name": table.name} if table.schema else table.name

    def make(self, table: Table) -> None:
        with self.connect() as app:
            self._create(app, table)
        self.fill(table)

    def fill(self, table: Table) -> None:
        """Write a table's rows, and let the roles at them, where the table is there already."""
        with self.connect() as app:
            table.rows[:] = self._write(app, table, [row for row in table.rows if self._can_hold(table, row)])
            self._grant(app, table)
            app.execute(f"ANALYZE {_full(table)}".encode())

    def _create(self, app: psycopg.Connection[Any], table: Table) -> None:
        columns = ", ".join(f"{quoted(name)} {self._types[kind]}" for name, kind in table.columns.items())
        key = ", ".join(map(quoted, table.key))
        if table.schema:
            app.execute(f"CREATE SCHEMA {quoted(table.schema)}".encode())
        app.execute(f"CREATE TABLE {_full(table)} ({columns}, PRIMARY KEY ({key}))".encode())
        clocks = [(name,) for name, kind in table.columns.items() if kind in INDEXED]
        for index in (*clocks, *table.indexes):
            app.execute(f"CREATE INDEX ON {_full(table)} ({', '.join(map(quoted, index))})".encode())

    def _grant(self, app: psycopg.Connection[Any], table: Table) -> None:
        schema = quoted(table.schema or "public")
        app.execute(
            f"GRANT USAGE ON SCHEMA {schema} TO {self.role}, {self.reader};"
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {_full(table)} TO {self.role};"
            f"GRANT SELECT ON {_full(table)} TO {self.reader}".encode()
        )

    def _can_hold(self, table: Table, row: Row) -> bool:
        values = ((kind, row.values.get(name)) for name, kind in table.columns.items())
        return all(value is None or self._is_of(kind, value) for kind, value in values)

    def _is_of(self, kind: str, value: Any) -> bool:
        if not isinstance(value, HOLDS[kind]):
            return False
        if kind == "array" and not self._binary:
            return all(each is None or isinstance(each, str) for each in value)
        return not (kind == "json" and self._binary and _says_twice(value))  # jsonb keeps the last, and says it once

    def _write(self, app: psycopg.Connection[Any], table: Table, rows: list[Row]) -> list[Row]:
        """Insert rows; return those that the server took, the others found by halving."""
        marks = ", ".join("%s" for _ in table.columns)
        try:
            with app.transaction(), app.cursor() as cursor:
                statement = f"INSERT INTO {_full(table).replace('%', '%%')} VALUES ({marks})".encode()
                cursor.executemany(statement, [self._values(table, row) for row in rows])
        except psycopg.DataError:
            parts = [rows[: len(rows) // 2], rows[len(rows) // 2 :]] if len(rows) > 1 else []
            return [row for part in parts for row in self._write(app, table, part)]
        return rows

    def _values(self, table: Table, row: Row) -> list[Any]:
        values = ((kind, row.values.get(name)) for name, kind in table.columns.items())
        return [
            Jsonb(value) if self._types[kind] == "jsonb" and isinstance(value, list) else value
            for kind, value in values
        ]

    def keys(self, table: Table) -> set[Key]:
        with self.connect() as app:
            return set(app.execute(f"SELECT {', '.join(map(quoted, table.key))} FROM {_full(table)}".encode()))

    def run(self, statement: str) -> None:
        with self.connect() as app:
            app.execute(statement.encode())


def _full(table: Table) -> str:
    return f"{quoted(table.schema or 'public')}.{quoted(table.name)}"


def _says_twice(document: str) -> bool:
    """Tell whether an object of a document has a name twice."""
    found: list[bool] = []

    def pairs(some: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found.append(len(dict(some)) < len(some))
        return dict(some)

    try:
        json.loads(document, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return False  # the server says what it takes of this
    return any(found)
