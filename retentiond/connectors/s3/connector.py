"""The connector to buckets: every version, every delete marker and every unfinished upload is a record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from retentiond.connectors.s3.bucket import PAGE, Bucket
from retentiond.connectors.s3.client import Access
from retentiond.connectors.s3.coverage import buckets, uncovered
from retentiond.connectors.s3.failures import told
from retentiond.connectors.s3.fitness import check_fitness
from retentiond.connectors.s3.hiding import Hiding
from retentiond.connectors.s3.judging import Judge, Sight
from retentiond.connectors.s3.labels import Reading
from retentiond.connectors.s3.leftovers import Leftovers
from retentiond.connectors.s3.listing import by_key
from retentiond.connectors.s3.look import look
from retentiond.connectors.s3.names import UPLOAD, text_of
from retentiond.connectors.s3.options import S3Options
from retentiond.connectors.s3.pace import Pace
from retentiond.connectors.s3.probing import probe
from retentiond.connectors.s3.purging import Purge
from retentiond.connectors.s3.returning import Returning
from retentiond.connectors.s3.scanning import windows
from retentiond.connectors.s3.settings import replicas
from retentiond.connectors.s3.sharding import pages_at_once
from retentiond.connectors.s3.surveying import survey
from retentiond.connectors.s3.uploads import lists_none, uploads_below
from retentiond.domain.dataset import Dataset, Shape
from retentiond.domain.decision import Cases
from retentiond.domain.plan import Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Record
from retentiond.errors import ConnectorError, DatasetRefused
from retentiond.evidence.levels import EvidenceLevel
from retentiond.ports.looking import Neighbours
from retentiond.ports.stores import Acted, Order, Pressure, Remnant, Survey, Verified, Window

_ATTEMPTS = 4
# By whether it is an upload, and whether it has a version id.
_METHODS = {
    (False, True): "list-object-versions",
    (False, False): "list-objects",
    (True, True): "list-uploads",
    (True, False): "list-uploads",
}
_REPLICAS = "replication does not carry removals by version id to other buckets"
_LOGS = Remnant("access logs and inventories", "the store's own logs may name keys of removed objects")


class S3Connector:
    """One bucket, through three clients that share its address, its credentials and its pace.

    Args:
        reader: To scan and look.
        writer: To change the store; it sends no request twice by itself, since each sending asks the fence.
        verifier: To verify, on connections of its own.
        pause: Waits so many seconds.
        probe_prefix: Below which probe() may write; empty for nowhere.
        strands: In how many strands a large prefix is listed at once.
    """

    kind = "s3"
    shapes: frozenset[Shape] = frozenset()

    def __init__(
        self,
        reader: Bucket,
        writer: Bucket,
        verifier: Bucket,
        pause: Callable[[float], None] = time.sleep,
        *,
        probe_prefix: str = "",
        strands: int = 1,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._verifier = verifier
        self._pause = pause
        self._probe_prefix = probe_prefix
        self._strands = strands
        self._leftovers: dict[str, Leftovers] = {}

    def survey(self, dataset: Dataset) -> Survey:
        """Look at the bucket and at what the dataset declares of it; changes nothing."""
        return survey(self._reader, dataset)

    def unmapped(self, datasets: Sequence[Dataset], ignored: Callable[[str], bool]) -> Iterator[str]:
        """Yield keys and prefixes at the top, or below a prefix that is covered in part, which no dataset covers."""
        return uncovered(self._reader, [dataset.prefix for dataset in datasets], ignored)

    def neighbours(self) -> Neighbours:
        """Return the other buckets of the account, as far as these credentials may list them."""
        try:
            names = tuple(name for name in buckets(self._reader) if name != self._reader.name)
        except ConnectorError as error:
            return Neighbours("bucket", unseen=error.what)
        return Neighbours("bucket", names)

    def scan(self, dataset: Dataset, cases: Cases, wanted: frozenset[int]) -> Iterator[Window]:
        """Examine every version and delete marker of a dataset once, then every upload that was never completed.

        All versions of one key are in one window, so that one is as large as its key with the most versions.

        Raises:
            ConnectorError: The listing is incomplete.
            DatasetRefused: The dataset declares a clock or an owner that its objects cannot have.
        """
        reading = Reading(self._reader, dataset)
        versioning = check_fitness(dataset, self._reader)
        objects = by_key(pages_at_once(self._reader, dataset.prefix, versioning, self._strands))
        return windows(chain(objects, uploads_below(self._reader, dataset.prefix)), reading, cases, wanted)

    def references(self, dataset: Dataset) -> Iterator[Sequence[str]]:  # noqa: ARG002 - objects name no objects
        """Yield nothing."""
        return iter(())

    def find(self, dataset: Dataset, key: str) -> Sequence[Record]:
        """Return all versions and markers of exactly this key, newest first, and its unfinished uploads.

        Raises:
            ConnectorError: The listing is incomplete.
        """
        if not key or not key.startswith(dataset.prefix):
            return ()
        reading = Reading(self._reader, dataset)
        versioning = self._reader.versioning()
        objects = look(lambda prefix: self._reader.pages(prefix, versioning), [key])
        uploads = look(self._reader.upload_pages, [key])
        records = list[Record]()
        for seen in (objects, uploads):
            if seen.failure and not lists_none(seen.failure):
                raise seen.failure
            records += reading.records([seen.versions.get(key, [])])[0]
        return records

    def act(self, order: Order) -> Acted:
        """Purge exact versions, hide them beneath our delete markers, or take those away again.

        Raises:
            ConnectorError: Nothing can be said of any record.
            DatasetRefused: The action is none that objects know, or the dataset declares no tombstone.
        """
        check_fitness(order.dataset, self._reader)
        if order.action is Action.PURGE:
            return Purge(order, self._reader, self._writer, self._pause).run()
        if order.action is Action.TOMBSTONE and order.dataset.tombstone and order.dataset.tombstone.marker:
            return Hiding(order, self._reader, self._writer).run()
        if order.action is Action.RESTORE and order.dataset.tombstone and order.dataset.tombstone.marker:
            return Returning(order, self._reader, self._writer).run()
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
        return Verified(sightings, method=self._method(order.records))

    def _method(self, records: Sequence[Record]) -> str:
        kinds = {_METHODS[record.place == UPLOAD, bool(record.version)] for record in records}
        return "+".join(sorted(kinds)) or "nothing-to-look-for"

    def _note_leftovers(self, order: Order, sight: Sight, sightings: Sequence[Sighting]) -> None:
        for record, seen in zip(order.records, sightings, strict=True):
            if seen is Sighting.ABSENT and record.place != UPLOAD:
                leftovers = self._leftovers.setdefault(order.dataset.name, Leftovers())
                versions = sight.versions(record) or ()
                held = any(not each.marker for each in versions)
                leftovers.note(text_of(record), holds_data=held, versions=bool(record.version))

    def settle(self, dataset: Dataset) -> EvidenceLevel:
        """Return how gone the purged versions are, by what this connector verified since it last settled.

        That all versions are deleted is said only when each key that it verified held no data any more.
        """
        leftovers = self._leftovers.pop(dataset.name, None)
        return EvidenceLevel.ALL_VERSIONS_DELETED if leftovers and leftovers.none else EvidenceLevel.DELETED

    def remnants(self, dataset: Dataset) -> Sequence[Remnant]:  # noqa: ARG002 - the same for all datasets of a bucket
        """Return where copies may remain that this bucket cannot rule out."""
        try:
            targets = replicas(self._reader)
        except ConnectorError:
            targets = ()  # replicas are among what is not covered in any case
        names = f"replicated to {', '.join(targets)}; " if targets else ""
        return (Remnant("replicas of the bucket", names + _REPLICAS), _LOGS)

    def probe(self) -> Survey:
        """Find out which conditions the server honours, where the operator gave a place to write to."""
        if not self._probe_prefix:
            note = f"{self._reader.where}: which conditions the server honours was not probed: `probe: PREFIX/` lets it"
            return Survey(notes=(note,))
        return probe(self._reader, self._writer, self._probe_prefix)

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
        self._reader.access.close()


def open_connector(options: S3Options, *, page: int = PAGE, attempts: int = _ATTEMPTS) -> S3Connector:
    """Open a bucket.

    Args:
        page: How many entries to ask for in one page of a listing.
        attempts: How often a request that only reads is sent at most.

    Raises:
        ConnectorError: It is not there, or cannot be reached.
    """
    with told(options.bucket, "prepare a connection", "s3:ListBucketVersions"):
        access = Access(options, attempts)
    pace = Pace()
    reader, writer, verifier = (
        Bucket(access, options.bucket, pace, page=page, attempts=most) for most in (attempts, 1, attempts)
    )
    opened = S3Connector(reader, writer, verifier, probe_prefix=options.probe or "", strands=options.listing_strands)
    try:
        reader.exists()
    except BaseException:
        opened.close()
        raise
    return opened
