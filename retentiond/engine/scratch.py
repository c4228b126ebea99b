"""A scratch database on disk: what has no bound does not have to lie in memory. It is gone with whoever made it."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

_SETTINGS = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -8000;
"""


class Scratch:
    """Base of what keeps its counts or names there.

    Args:
        schema: Statements that make its tables.
    """

    def __init__(self, schema: str) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="retentiond-")
        path = Path(self._directory.name) / "scratch.db"
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(_SETTINGS + schema)
        path.unlink()  # the open file goes on, and is gone with its process, however that ends: it may name accounts

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the database."""
        self.close()

    def close(self) -> None:
        """Remove the database."""
        self._db.close()
        self._directory.cleanup()

    def _transaction(self) -> sqlite3.Connection:
        """Begin a transaction, which ends with the block of what this returns."""
        self._db.execute("BEGIN")
        return self._db

    def _write(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement for each row, in one transaction."""
        with self._transaction():
            self._db.executemany(statement, rows)
