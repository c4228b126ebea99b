"""A scratch database on disk: what has no bound does not have to lie in memory. It is gone with whoever made it."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from retentiond.errors import ScratchError

_SETTINGS = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -8000;
"""


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise ScratchError(
            f"what a run has to remember while it works cannot be written: {error}",
            where="TMPDIR",
            remedy="name a directory there that can be written and has room; the next run goes on",
        ) from error


class Scratch:
    """Base of what keeps its counts or names there.

    Args:
        schema: Statements that make its tables.
    """

    def __init__(self, schema: str) -> None:
        # The open file goes on, and is gone with its process, however that ends: it may name accounts.
        with _in_words(), tempfile.TemporaryDirectory(prefix="retentiond-") as place:
            self._db = sqlite3.connect(Path(place) / "scratch.db", isolation_level=None)
            self._db.executescript(_SETTINGS + schema)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the database."""
        self.close()

    def close(self) -> None:
        """Remove the database."""
        self._db.close()

    def _transaction(self) -> sqlite3.Connection:
        """Begin a transaction, which ends with the block of what this returns."""
        self._db.execute("BEGIN")
        return self._db

    def _write(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement for each row, in one transaction."""
        with _in_words(), self._transaction():
            self._db.executemany(statement, rows)
