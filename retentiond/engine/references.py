"""Who else names an object: counted again when a run begins, since a row written after the plan may name an old object.

The counts stand in a scratch database on disk, and hold names of planned objects only.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from retentiond.domain.dataset import Dataset
from retentiond.engine.context import Context
from retentiond.engine.identifiers import decode_records
from retentiond.ports.rows import BatchRow

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -8000;
CREATE TABLE named (name BLOB PRIMARY KEY, planned INTEGER NOT NULL, live INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
"""


class References:
    """For the objects of a run: how many rows name each now, and how many of those the run is yet to remove or hide."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="retentiond-")
        self._db = sqlite3.connect(Path(self._directory.name) / "names.db", isolation_level=None)
        self._db.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the scratch database."""
        self._db.close()
        self._directory.cleanup()

    def count(self, ctx: Context, dataset: Dataset, batches: Iterable[BatchRow]) -> None:
        """Count the rows of a dataset that name objects.

        Args:
            batches: The batches of its rows that have not ended.

        Raises:
            ConnectorError: The rows could not be read completely.
        """
        for batch in batches:
            with ctx.ledger.begin() as tx:
                rows = decode_records(tx.batches.identifiers(batch.plan, batch.ordinal))
            self._add(
                "INSERT INTO named (name, planned) VALUES (?, 1) ON CONFLICT DO UPDATE SET planned = planned + 1",
                [name for row in rows for name in row.blobs],
            )
        for names in ctx.connector(dataset).references(dataset):
            self._add("UPDATE named SET live = live + 1 WHERE name = ?", names)

    def elsewhere(self, name: str) -> bool:
        """Tell whether a row names an object that this run will neither remove nor hide."""
        found = self._db.execute("SELECT live > planned FROM named WHERE name = ?", (name.encode(),)).fetchone()
        return bool(found and found[0])

    def _add(self, statement: str, names: Sequence[str]) -> None:
        self._db.execute("BEGIN")
        self._db.executemany(statement, ((name.encode(),) for name in names))
        self._db.execute("COMMIT")
