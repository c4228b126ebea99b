"""What became of the records of an order, judged from a look at their keys; act and verify judge alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from retentiond.connectors.s3.bucket import Bucket, Versioning
from retentiond.connectors.s3.labels import Reading
from retentiond.connectors.s3.listing import Version
from retentiond.connectors.s3.look import Look, look
from retentiond.connectors.s3.names import NULL, UPLOAD, text_of
from retentiond.connectors.s3.records import replaceable
from retentiond.domain.plan import Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Record
from retentiond.domain.versions import MARKER
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Order

Seen = tuple[Record, Sighting]
Judged = tuple[Look, dict[str, dict[str, Seen]]]


class Judge:
    """Judges records of one order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._winner = order.cases.python()
        self._marks = {
            (text_of(record), record.version.decode() or NULL): order.marks.get(index, "")
            for index, record in enumerate(order.records)
        }

    def look(self, bucket: Bucket, records: Iterable[Record]) -> Sight:
        """Look for records, and return what can be judged of them."""
        uploads, objects = list[str](), list[str]()
        named = False
        for record in records:
            if record.place == UPLOAD:
                uploads.append(text_of(record))
            else:
                objects.append(text_of(record))
                named = named or bool(record.version)
        seen = self._objects(bucket, objects, named=named) if objects else Look({}, None)
        begun = look(bucket.upload_pages, uploads)
        reading = Reading(bucket, self._order.dataset)
        return Sight(self._judged(reading, seen), self._judged(reading, begun))

    def _objects(self, bucket: Bucket, keys: Sequence[str], *, named: bool) -> Look:
        try:
            versioning = bucket.versioning()
        except ConnectorError as error:
            return Look({}, error)
        if named and versioning is Versioning.NEVER:
            return Look({}, _lost_versions(bucket))
        return look(lambda prefix: bucket.pages(prefix, versioning), keys)

    def _judged(self, reading: Reading, seen: Look) -> Judged:
        try:
            records = reading.records(list(seen.versions.values()))
        except ConnectorError as error:
            return Look({}, error), {}
        keys = zip(seen.versions.items(), records, strict=True)
        return seen, {key: self._of_key(versions, each) for (key, versions), each in keys}

    def _of_key(self, versions: Sequence[Version], records: Sequence[Record]) -> dict[str, Seen]:
        if self._order.action is Action.RESTORE:
            return self._of_hidden(versions, records)
        holds_data = any(not each.marker for each in versions)
        hidden = bool(versions) and versions[0].marker
        return {
            each.version or NULL: (record, self._of_version(record, hidden=hidden, holds_data=holds_data))
            for each, record in zip(versions, records, strict=True)
        }

    def _of_hidden(self, versions: Sequence[Version], records: Sequence[Record]) -> dict[str, Seen]:
        """Judge what is to be brought back: due is the version right beneath the marker that hid it, the latest."""
        found: dict[str, Seen] = {}
        for place, (each, record) in enumerate(zip(versions, records, strict=True)):
            mark = self._marks.get((each.key, each.version or NULL), "")
            ours = place == 1 and versions[0].marker and mark in ("", versions[0].version)
            sighting = Sighting.CHANGED
            if place == 0 and not each.marker:
                sighting = Sighting.VISIBLE
            elif ours and not each.marker and self._winner(record) == self._order.case:
                sighting = Sighting.DUE
            found[each.version or NULL] = (record, sighting)
        return found

    def _of_version(self, record: Record, *, hidden: bool, holds_data: bool) -> Sighting:
        marker = record.place == MARKER
        if self._order.action is Action.TOMBSTONE and hidden and not marker:
            return Sighting.HIDDEN
        # A marker goes last: as long as the key holds data, it is not due.
        stays = marker and (holds_data or self._order.action is Action.TOMBSTONE)
        return Sighting.DUE if not stays and self._winner(record) == self._order.case else Sighting.CHANGED


class Sight:
    """A look at objects and one at uploads, judged."""

    def __init__(self, objects: Judged, uploads: Judged) -> None:
        self._objects, self._uploads = objects, uploads

    def of(self, record: Record) -> Sighting:
        """Return what was seen of a record."""
        found = (self._uploads if record.place == UPLOAD else self._objects)[1].get(text_of(record))
        if found is None:
            return Sighting.UNKNOWN
        version = record.version.decode() or NULL
        if version not in found:
            return Sighting.ABSENT
        now, sighting = found[version]
        return sighting if _the_same(record, now) else Sighting.CHANGED

    def versions(self, record: Record) -> Sequence[Version] | None:
        """Return all versions of a record's key, newest first; None when the look did not come to it."""
        return (self._uploads if record.place == UPLOAD else self._objects)[0].versions.get(text_of(record))

    @property
    def failure(self) -> ConnectorError | None:
        """Why the look did not come to all keys; None when it did."""
        return self._objects[0].failure or self._uploads[0].failure

    @property
    def nothing(self) -> bool:
        """Whether the look came to no key at all."""
        return not self._objects[0].versions and not self._uploads[0].versions

    @property
    def unanswered(self) -> str:
        """Why the look did not come to all keys, in words; empty when it did."""
        return self.failure.what if self.failure else ""


def _the_same(planned: Record, now: Record) -> bool:
    """Tell whether what bears a planned record's name is what was planned: some names pass to other objects."""
    if replaceable(planned):
        return (planned.place, planned.size_bytes) == (now.place, now.size_bytes)
    return (planned.place == MARKER) == (now.place == MARKER)


def _lost_versions(bucket: Bucket) -> ConnectorError:
    return ConnectorError(
        "the bucket says that it never kept versions, and the plan names versions of its objects",
        where=bucket.where,
        remedy="check `bucket` and `endpoint`: this may be another bucket of the same name",
    )
