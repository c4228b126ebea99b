"""The connector to buckets that keep versions: every version and every delete marker is a record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from retentiond.connectors.s3.bucket import PAGE, Bucket
from retentiond.connectors.s3.client import open_clients
from retentiond.connectors.s3.coverage import uncovered
from retentiond.connectors.s3.hiding import Hiding
from retentiond.connectors.s3.judging import Judge, Sight, name_of
from retentiond.connectors.s3.leftovers import Leftovers
from retentiond.connectors.s3.listing import by_key
from retentiond.connectors.s3.look import look
from retentiond.connectors.s3.options import S3Options
from retentiond.connectors.s3.purging import Purge
from retentiond.connectors.s3.records import RecordReader
from retentiond.connectors.s3.scanning import windows
from retentiond.connectors.s3.surveying import survey
from retentiond.domain.dataset import Dataset, Shape, Store
from retentiond.domain.decision import Cases
from retentiond.domain.plan import Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Record
from retentiond.errors import DatasetRefused
from retentiond.evidence.levels import EvidenceLevel
from retentiond.ports.stores import Acted, Order, Pressure, Remnant, Survey, Verified, Window

_ATTEMPTS = 4
_REMNANTS = (
    Remnant("replicas of the bucket", "replication does not carry removals by version id to other buckets"),
    Remnant("access logs and inventories", "the store's own logs may name keys of removed objects"),
)


class S3Connector:
    """One bucket, through three clients.

    Args:
        reader: To scan and look.
        writer: To change the store; it sends no request twice by itself, since each sending asks the fence.
        verifier: To verify, on connections of its own.
        pause: Waits so many seconds.
    """

    kind = "s3"
    shapes: frozenset[Shape] = frozenset()

    def __init__(
        self, reader: Bucket, writer: Bucket, verifier: Bucket, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._verifier = verifier
        self._pause = pause
        self._leftovers: dict[str, Leftovers] = {}

    def survey(self, dataset: Dataset) -> Survey:
        """Look at the bucket and at what the dataset declares of it; changes nothing."""
        return survey(self._reader, dataset)

    def unmapped(self, datasets: Sequence[Dataset], ignored: Callable[[str], bool]) -> Iterator[str]:
        """Yield keys and prefixes at the top, or below a prefix that is covered in part, which no dataset covers."""
        return uncovered(self._reader, [dataset.prefix for dataset in datasets], ignored)

    def scan(self, dataset: Dataset, cases: Cases, wanted: frozenset[int]) -> Iterator[Window]:
        """Examine every version and delete marker of a dataset once.

        All versions of one key are in one window, so that one is as large as its key with the most versions.

        Raises:
            ConnectorError: The listing is incomplete.
            DatasetRefused: The dataset declares a clock or an owner that its objects cannot have.
        """
        return windows(by_key(self._reader.pages(dataset.prefix)), RecordReader(dataset), cases, wanted)

    def references(self, dataset: Dataset) -> Iterator[Sequence[str]]:  # noqa: ARG002 - objects name no objects
        """Yield nothing."""
        return iter(())

    def find(self, dataset: Dataset, key: str) -> Sequence[Record]:
        """Return all versions and markers of exactly this key, newest first.

        Raises:
            ConnectorError: The listing is incomplete.
        """
        if not key or not key.startswith(dataset.prefix):
            return ()
        seen = look(self._reader, [key])
        if seen.failure:
            raise seen.failure
        versions = seen.versions[key]
        return RecordReader(dataset).records(versions) if versions else ()

    def act(self, order: Order) -> Acted:
        """Purge exact versions, or hide them beneath our delete markers.

        Raises:
            ConnectorError: Nothing can be said of any record.
            DatasetRefused: The action is none that objects know, or the dataset declares no tombstone.
        """
        if order.action is Action.PURGE:
            return Purge(order, self._reader, self._writer, self._pause).run()
        if order.action is Action.TOMBSTONE and order.dataset.tombstone and order.dataset.tombstone.marker:
            return Hiding(order, self._reader, self._writer).run()
        raise DatasetRefused(
            f"this dataset cannot {order.action} objects",
            where=order.dataset.name,
            remedy="purge them, or declare `tombstone: marker` to hide them first",
        )

    def verify(self, order: Order) -> Verified:
        """Look for the order's records in complete listings by a client of its own."""
        sight = Judge(order).look(self._verifier, order.records)
        sightings = [sight.of(record) for record in order.records]
        if order.action is Action.PURGE:
            self._note_leftovers(order, sight, sightings)
        return Verified(sightings, method="list-object-versions")

    def _note_leftovers(self, order: Order, sight: Sight, sightings: Sequence[Sighting]) -> None:
        leftovers = self._leftovers.setdefault(order.dataset.name, Leftovers())
        for record, seen in zip(order.records, sightings, strict=True):
            if seen is Sighting.ABSENT:
                versions = sight.versions(record) or ()
                leftovers.note(name_of(record).key, holds_data=any(not each.marker for each in versions))

    def settle(self, dataset: Dataset) -> EvidenceLevel:
        """Return how gone the purged versions are, by what this connector verified since it last settled.

        That all versions are deleted is said only when each key that it verified held no data any more.
        """
        leftovers = self._leftovers.pop(dataset.name, None)
        return EvidenceLevel.ALL_VERSIONS_DELETED if leftovers and leftovers.none else EvidenceLevel.DELETED

    def remnants(self, dataset: Dataset) -> Sequence[Remnant]:  # noqa: ARG002 - the same for all datasets of a bucket
        """Return where copies may remain that this bucket cannot rule out."""
        return _REMNANTS

    def pressure(self) -> Pressure:
        """Tell of no replicas: no request says how far a bucket's replication is behind."""
        return Pressure(looked_at="a bucket does not say how far its replicas are behind")

    def now(self) -> datetime | None:
        """Return the server's time, as its answers bear it."""
        return self._reader.now()

    def close(self) -> None:
        """Let go of the connections."""
        for bucket in (self._reader, self._writer, self._verifier):
            bucket.close()


def open_connector(options: S3Options, *, page: int = PAGE, attempts: int = _ATTEMPTS) -> S3Connector:
    """Open a bucket.

    Args:
        page: How many entries to ask for in one page of a listing.
        attempts: How often a request that only reads is sent at most.

    Raises:
        ConnectorError: It is not there, or cannot be reached.
    """
    reader, writer, verifier = (
        Bucket(client, options.bucket, page=page) for client in open_clients(options, (attempts, 1, attempts))
    )
    opened = S3Connector(reader, writer, verifier)
    try:
        reader.exists()
    except BaseException:
        opened.close()
        raise
    return opened


class S3Kind:
    """What the entry point `s3` names."""

    kind = "s3"
    options: type[BaseModel] = S3Options

    def open(self, store: Store, base: Path) -> S3Connector:  # noqa: ARG002 - a bucket has no relative paths
        """Open a store.

        Raises:
            ConnectorError: The bucket is not there, or cannot be reached.
        """
        return open_connector(S3Options.model_validate(dict(store.options)))


connector = S3Kind()
