"""What our runs hid, as far as the ledger still knows it: by which times and marks their tombstones can be told.

It stands in a scratch database on disk, so that memory does not grow with it. Of a record that was hidden more than
once the newest counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from retentiond.domain.dataset import Dataset
from retentiond.domain.plan import Part
from retentiond.domain.policy import Action
from retentiond.domain.record import Key, Record, key_bytes, key_names
from retentiond.engine.context import Context
from retentiond.engine.endings import read_ended
from retentiond.engine.identifiers import Final
from retentiond.engine.scratch import Scratch
from retentiond.ports.rows import EndedRow

_SCHEMA = """
CREATE TABLE hidden (
    dataset TEXT NOT NULL,
    key BLOB NOT NULL,
    version BLOB NOT NULL,
    place TEXT NOT NULL,
    size INTEGER NOT NULL,
    times TEXT NOT NULL,
    mark TEXT NOT NULL,
    PRIMARY KEY (dataset, key, version)
) WITHOUT ROWID;
"""
_OF = "SELECT version, place, size, times, mark FROM hidden WHERE dataset = ? AND key = ?"


@dataclass(frozen=True, slots=True)
class Hidden:
    """A record that is, or was, hidden.

    Attributes:
        record: As it is now, or as it was planned.
        times: Which times its tombstone may bear, microseconds since the epoch; none where the time does not tell.
        mark: What the store calls its tombstone; empty where it has no name.
    """

    record: Record
    times: tuple[int, ...]
    mark: str = ""

    @property
    def as_hidden(self) -> Record:
        """The record with the time since which it is hidden."""
        since = self.record.tombstoned
        return self.record._replace(tombstoned=max(self.times, default=0) if since is None else since)


@dataclass(frozen=True, slots=True)
class HidingBatch:
    """An ended batch of which records were hidden; `hidden` is how many, `readable` whether they can still be named."""

    row: EndedRow
    part: Part

    @property
    def hidden(self) -> int:
        """How many of its records were hidden."""
        return self.row.batch.outcomes.get(Final.TOMBSTONED.wire, 0)

    def records(self, ctx: Context) -> list[Hidden]:
        """Return the records that were hidden."""
        ended = read_ended(ctx, self.row.batch)
        return [
            Hidden(record, ended.hiding.times, ended.hiding.marks.get(place, ""))
            for place, (record, final) in enumerate(zip(ended.records, ended.finals, strict=True))
            if final is Final.TOMBSTONED
        ]


def hiding_batches(ctx: Context, since: datetime, datasets: Iterable[str], plan: str = "") -> Iterator[HidingBatch]:
    """Give the batches that hid records of some datasets and ended since then, oldest first; of one plan, or of all."""
    wanted = frozenset(datasets)
    with ctx.ledger.begin() as tx:
        rows = [row for row in tx.lookback.ended_since(since) if plan in ("", row.batch.plan)]
    parts: dict[str, tuple[Part, ...]] = {}
    for row in rows:
        if Final.TOMBSTONED.wire not in row.batch.outcomes:
            continue
        if row.batch.plan not in parts:
            with ctx.ledger.begin() as tx:
                parts[row.batch.plan] = tuple(tx.plans.parts(row.batch.plan))
        part = parts[row.batch.plan][row.batch.part]
        if part.action is Action.TOMBSTONE and part.dataset in wanted:
            yield HidingBatch(row, part)


class Hidings(Scratch):
    """What is known of hidden records, by dataset and name."""

    def __init__(self) -> None:
        super().__init__(_SCHEMA)

    def add(self, dataset: str, records: Sequence[Hidden]) -> None:
        """Take records of a batch; batches come oldest first."""
        names = key_names([each.record.key for each in records])
        rows = (
            (dataset, name, each.record.version, each.record.place, each.record.size_bytes, json.dumps(each.times),
             each.mark)
            for name, each in zip(names, records, strict=True)
        )  # fmt: skip
        self._write("INSERT OR REPLACE INTO hidden VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def of(self, dataset: Dataset, record: Record) -> Hidden | None:
        """Return what is known of one record, with the record as it is now."""
        name = (dataset.name, key_bytes(record.key), record.version)
        found = self._db.execute(f"{_OF} AND version = ?", name).fetchone()
        return None if found is None else Hidden(record, tuple(json.loads(found[3])), found[4])

    def named(self, dataset: Dataset, key: Key) -> list[Hidden]:
        """Return what is known of all records of a key: their names, sizes and places as they were planned."""
        rows = self._db.execute(_OF, (dataset.name, key_bytes(key)))
        return [
            Hidden(Record(key, version, size_bytes=size, place=place), tuple(json.loads(times)), mark)
            for version, place, size, times, mark in rows
        ]
