"""Who else names an object: counted again when a run begins, since a row written after the plan may name an old object.

The counts stand in a scratch database on disk, and hold names of planned objects only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from retentiond.domain.dataset import Dataset
from retentiond.engine.context import Context
from retentiond.engine.identifiers import decode_records
from retentiond.engine.scratch import Scratch
from retentiond.ports.rows import BatchRow

_SCHEMA = """
CREATE TABLE named (name BLOB PRIMARY KEY, planned INTEGER NOT NULL, live INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
"""


class References(Scratch):
    """For the objects of a run: how many rows name each now, and how many of those the run is yet to remove or hide."""

    def __init__(self) -> None:
        super().__init__(_SCHEMA)

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
        self._write(statement, ((name.encode(),) for name in names))
