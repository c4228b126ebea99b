"""Who makes the tables: one maker for each engine, with nothing of the connector.

A maker makes the tables of a seed, writes their rows, leaves out those that its columns cannot hold, and says which
keys are left.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from tests.shapes.seeds import Real, Row, Table

Key = tuple[Any, ...]


class TableMaker(Protocol):
    """Makes tables in an empty database."""

    def store(self) -> dict[str, Any]:
        """Return the store as the data map declares it; paths are relative to a directory beside the database."""
        ...

    def name(self, table: Table) -> Any:
        """Return a table's name as the data map writes it."""
        ...

    def make(self, table: Table) -> None:
        """Create a table and its indexes, and write its rows; rows that cannot be are taken out of `table.rows`."""
        ...

    def keys(self, table: Table) -> set[Key]:
        """Return the keys of the rows that are left, as `Table.key_of` has them."""
        ...

    def run(self, statement: str) -> None:
        """Run a statement as an application would."""
        ...


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_SQLITE_TYPES = {"int": "INTEGER", "bytes": "BLOB"}  # all else is text


class SqliteMaker:
    """SQLite holds anything anywhere, so every row can be."""

    def __init__(self, root: Path) -> None:
        self._path = root / "app.db"
        with self._open() as db:
            db.execute("PRAGMA journal_mode = wal")

    def _open(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(self._path, isolation_level=None))

    def store(self) -> dict[str, Any]:
        return {"kind": "sqlite", "path": "../app.db", "backups": "none"}

    def name(self, table: Table) -> Any:
        return {"schema": "main", "name": table.name} if table.schema else table.name

    def make(self, table: Table) -> None:
        columns = ", ".join(f"{quoted(name)} {_SQLITE_TYPES.get(kind, 'TEXT')}" for name, kind in table.columns.items())
        key = ", ".join(quoted(name) for name in table.key)
        with self._open() as db:
            db.execute(f"CREATE TABLE {quoted(table.name)} ({columns}, PRIMARY KEY ({key}))")
            for number, index in enumerate(table.indexes):
                listed = ", ".join(quoted(name) for name in index)
                db.execute(f"CREATE INDEX {quoted(f'i{number} {table.name}')} ON {quoted(table.name)} ({listed})")
            marks = ", ".join("?" for _ in table.columns)
            db.execute("BEGIN")
            db.executemany(
                f"INSERT INTO {quoted(table.name)} VALUES ({marks})", [self._values(table, row) for row in table.rows]
            )
            db.execute("COMMIT")

    def _values(self, table: Table, row: Row) -> list[Any]:
        return [self.held(row.values.get(name), kind) for name, kind in table.columns.items()]

    @staticmethod
    def held(value: Any, kind: str) -> Any:
        """Return a value as SQLite holds it."""
        if isinstance(value, Real):
            return value.value
        if kind == "array" and isinstance(value, list):
            return json.dumps(value)
        if isinstance(value, UUID):
            return str(value)
        if isinstance(value, datetime):
            return (value.astimezone(UTC) if value.tzinfo else value).isoformat(" ").replace("+00:00", "Z")
        return value.isoformat() if isinstance(value, date) else value

    def keys(self, table: Table) -> set[Key]:
        listed = ", ".join(quoted(name) for name in table.key)
        with self._open() as db:
            rows = db.execute(f"SELECT {listed} FROM {quoted(table.name)}").fetchall()
        known = {tuple(self.held(part, "") for part in table.key_of(row)): table.key_of(row) for row in table.rows}
        return {known[row] for row in rows}

    def run(self, statement: str) -> None:
        with self._open() as db:
            db.execute(statement)
