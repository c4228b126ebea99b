"""What became of the records of an order, judged from a look at their keys; act and verify judge alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from retentiond.connectors.s3.bucket import Bucket, Name
from retentiond.connectors.s3.listing import Version
from retentiond.connectors.s3.look import Look, look
from retentiond.connectors.s3.records import RecordReader
from retentiond.domain.plan import Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Record
from retentiond.domain.versions import MARKER
from retentiond.ports.stores import Order


def name_of(record: Record) -> Name:
    """Return a record's name as requests have it."""
    return Name(str(record.key[0]), record.version.decode())


class Judge:
    """Judges records of one order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._reader = RecordReader(order.dataset)
        self._winner = order.cases.python()

    def look(self, bucket: Bucket, records: Iterable[Record]) -> Sight:
        """Look for records, and return what can be judged of them."""
        seen = look(bucket, (name_of(record).key for record in records))
        return Sight(seen, {key: self._of_key(versions) for key, versions in seen.versions.items()})

    def _of_key(self, versions: Sequence[Version]) -> dict[str, Sighting]:
        if not versions:
            return {}
        holds_data = any(not each.marker for each in versions)
        records = self._reader.records(versions)
        return {
            each.version: self._of_version(record, hidden=versions[0].marker, holds_data=holds_data)
            for each, record in zip(versions, records, strict=True)
        }

    def _of_version(self, record: Record, *, hidden: bool, holds_data: bool) -> Sighting:
        marker = record.place == MARKER
        if self._order.action is Action.TOMBSTONE and hidden and not marker:
            return Sighting.HIDDEN
        # A marker goes last: as long as the key holds data, it is not due.
        stays = marker and (holds_data or self._order.action is Action.TOMBSTONE)
        return Sighting.DUE if not stays and self._winner(record) == self._order.case else Sighting.CHANGED


class Sight:
    """A look, judged."""

    def __init__(self, seen: Look, sightings: dict[str, dict[str, Sighting]]) -> None:
        self._sightings = sightings
        self.seen = seen

    def of(self, record: Record) -> Sighting:
        """Return what was seen of a record."""
        key, version = name_of(record)
        versions = self._sightings.get(key)
        return Sighting.UNKNOWN if versions is None else versions.get(version, Sighting.ABSENT)

    def versions(self, record: Record) -> Sequence[Version] | None:
        """Return all versions of a record's key, newest first; None when the look did not come to it."""
        return self.seen.versions.get(name_of(record).key)

    @property
    def unanswered(self) -> str:
        """Why the look did not come to all keys; empty when it did."""
        return self.seen.failure.what if self.seen.failure else ""
