"""A plan while it is being drafted: records go into batches, batches into the ledger, items into the digest."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from retentiond.domain.plan import Part
from retentiond.domain.record import Record
from retentiond.engine.context import Context
from retentiond.engine.guards import check_size
from retentiond.engine.identifiers import encode_records, identity
from retentiond.evidence.commitment import PlanDigest, encode_items
from retentiond.ports.rows import BatchRow

BATCH_RECORDS = 5_000


@dataclass(frozen=True, slots=True)
class Bookmark:
    """How far a draft had come, to go back to when a dataset cannot be planned after all."""

    batches: int
    parts: int
    digest: PlanDigest


class Draft:
    """Writes batches as records come in; memory holds at most one unfinished batch for each part."""

    def __init__(self, ctx: Context, plan: str) -> None:
        self._ctx = ctx
        self.plan = plan
        self.nonce = secrets.token_bytes(32)
        self.parts: list[Part] = []
        self._digest = PlanDigest(self.nonce)
        self._batches = 0
        self._groups = 0

    @property
    def records(self) -> int:
        """Records planned so far."""
        return sum(part.due for part in self.parts)

    def records_sha256(self) -> str:
        """Hex digest over the nonce and every planned item, in the plan's order."""
        return self._digest.hexdigest()

    def bookmark(self) -> Bookmark:
        """Remember this point."""
        return Bookmark(self._batches, len(self.parts), self._digest.copy())

    def go_back(self, mark: Bookmark) -> None:
        """Drop everything after a bookmark."""
        with self._ctx.ledger.begin() as tx:
            tx.batches.drop_draft_from(self.plan, mark.batches)
        self._batches = mark.batches
        self._digest = mark.digest
        del self.parts[mark.parts :]

    def add_part(self, part: Part) -> int:
        """Add a part; return its ordinal."""
        self.parts.append(replace(part, ordinal=len(self.parts)))
        return len(self.parts) - 1

    def new_group(self) -> int:
        """Return the number of a new group of batches that belong together."""
        self._groups += 1
        return self._groups

    def write(self, part: int, records: Sequence[Record], *, group: int, objects: bool = False) -> None:
        """Write records of a part as batches.

        Raises:
            GuardStopped: The plan would become too large.
        """
        for start in range(0, len(records), BATCH_RECORDS):
            self._write_batch(part, records[start : start + BATCH_RECORDS], group, objects=objects)

    def _write_batch(self, part: int, records: Sequence[Record], group: int, *, objects: bool) -> None:
        known = self.parts[part]
        size = sum(record.size_bytes for record in records)
        self.parts[part] = replace(known, due=known.due + len(records), size_bytes=known.size_bytes + size)
        check_size(self.records)
        self._digest.extend(encode_items(known.dataset, map(identity, records)))
        batch = BatchRow(self.plan, self._batches, part, group, objects, len(records))
        with self._ctx.ledger.begin() as tx:
            tx.batches.add(batch, encode_records(records))
        self._batches += 1


class Buffer:
    """Records of one part until they fill a batch."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def add(self, record: Record) -> bool:
        """Take a record; tell whether the batch is full."""
        self.records.append(record)
        return len(self.records) >= BATCH_RECORDS

    def take(self) -> list[Record]:
        """Give the records and begin anew."""
        records, self.records = self.records, []
        return records


def oldest_of(clock: int | None, other: int | None) -> int | None:
    """Return the older of two clocks in microseconds, where None is no clock."""
    return min((each for each in (clock, other) if each is not None), default=None)
