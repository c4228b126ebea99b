"""Which rows wait for others: a parent is planned only when every child that names it goes in the same plan, before it.

No foreign key keeps such a child, so it would be left behind, and with it perhaps the only way to tell whose it is.
What a plan takes of the children is counted in a scratch database on disk, so that memory does not grow with it; how
many of them stand is said by the store with each parent that is due.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from retentiond.domain.dataset import Dataset
from retentiond.domain.policy import Action
from retentiond.domain.record import Record, Standing
from retentiond.engine.scratch import Scratch

CHILD_REMAINS = "child-remains"
_SCHEMA = """
CREATE TABLE going (
    child TEXT NOT NULL,
    parent TEXT NOT NULL,
    link TEXT NOT NULL,
    live INTEGER NOT NULL,
    hidden INTEGER NOT NULL,
    moved INTEGER NOT NULL,
    PRIMARY KEY (parent, child, link)
) WITHOUT ROWID;
CREATE TABLE kept (
    child TEXT NOT NULL,
    parent TEXT NOT NULL,
    link TEXT NOT NULL,
    rows INTEGER NOT NULL,
    reason TEXT NOT NULL,
    until TEXT NOT NULL,
    PRIMARY KEY (parent, child, link)
) WITHOUT ROWID;
"""
_KEEP = """
INSERT INTO kept VALUES (?, ?, ?, 1, ?, ?)
ON CONFLICT DO UPDATE SET rows = rows + 1, reason = iif(excluded.until > until, excluded.reason, reason),
    until = max(until, excluded.until)
"""
_GOING = "SELECT live + hidden FROM going WHERE parent = ? AND child = ? AND link = ?"
_KEPT = "SELECT rows, reason, until FROM kept WHERE parent = ? AND child = ? AND link = ?"
_COUNT = """
INSERT INTO going VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET live = live + excluded.live, hidden = hidden + excluded.hidden, moved = moved + excluded.moved
"""


class Kinship(Scratch):
    """What a plan takes of rows that go before others."""

    def __init__(self) -> None:
        super().__init__(_SCHEMA)

    def take(self, dataset: Dataset, action: Action, records: Iterable[Record]) -> None:
        """Count rows that were planned."""
        moves = action is Action.TOMBSTONE
        if moves and not (dataset.tombstone and dataset.tombstone.table):
            return  # hidden in its place, a row still stands
        rows = (
            (dataset.name, parent, link, not moves and not record.place, not moves and bool(record.place), moves)
            for record in records
            for parent, link in record.ties.parents
        )
        self._write(_COUNT, rows)

    def forget(self, dataset: str) -> None:
        """Take back what was counted of a dataset that cannot be planned after all."""
        self._db.execute("DELETE FROM going WHERE child = ?", (dataset,))
        self._db.execute("DELETE FROM kept WHERE child = ?", (dataset,))

    def keep(self, dataset: Dataset, stays: Sequence[tuple[Record, str, datetime]]) -> None:
        """Count rows that have to be kept, each with reason and date, for whatever waits for them."""
        rows = (
            (dataset.name, parent, link, reason, until.isoformat())
            for record, reason, until in stays
            for parent, link in record.ties.parents
        )
        if dataset.parents:
            self._write(_KEEP, rows)

    def kept_until(self, dataset: Dataset, record: Record) -> tuple[str, datetime] | None:
        """Return reason and date of the rows that a row waits for; None where others are left than have to be kept."""
        told: list[tuple[datetime, str]] = []
        for each in record.ties.standing:
            name = (dataset.name, each.dataset, each.link)
            (going,) = self._db.execute(_GOING, name).fetchone() or (0,)
            kept, reason, until = self._db.execute(_KEPT, name).fetchone() or (0, "", "")
            if each.live + each.hidden > going + kept:
                return None
            if kept:
                told.append((datetime.fromisoformat(until), reason))
        latest = max(told, default=None)
        return None if latest is None else (latest[1], latest[0])

    def waits(self, dataset: Dataset, action: Action, record: Record) -> bool:
        """Tell whether a row that is due has to wait for a child that this plan does not take."""
        if action is Action.TOMBSTONE and not (dataset.tombstone and dataset.tombstone.table):
            return False
        return any(self._left(dataset.name, action, each) for each in record.ties.standing)

    def _left(self, parent: str, action: Action, standing: Standing) -> bool:
        if not standing.live and not standing.hidden:
            return False
        query = "SELECT live, hidden, moved FROM going WHERE parent = ? AND child = ? AND link = ?"
        found = self._db.execute(query, (parent, standing.dataset, standing.link)).fetchone()
        live, hidden, moved = found or (0, 0, 0)
        if action is Action.TOMBSTONE:
            return bool(standing.live > live + moved)
        return bool(standing.live > live or standing.hidden > hidden)
