"""Parts that are put together the same way for whatever is to be done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from pydantic import BaseModel

from retentiond.clock import Clock
from retentiond.domain.dataset import DataMap
from retentiond.engine.keychange import HISTORY
from retentiond.keys import VARIABLE, KeySources, LocalKeys
from retentiond.keys.store import Surroundings
from retentiond.ledger import Database
from retentiond.ports.ledger import Ledger
from retentiond.ports.stores import Connector, ConnectorKind
from retentiond.settings import KeyPlaces, LedgerDatabase, LogBucket, ServiceSettings
from retentiond.tlog import BucketStore, DirectoryStore, LogKeys, TileLog

ENTRY_POINTS = "retentiond.connectors"
SERVICE, DATAMAP, POLICIES, APPROVERS = "retentiond.yaml", "datamap.yaml", "policies.yaml", "approvers"


class ConnectorKinds(Mapping[str, ConnectorKind]):
    """The installed connectors by kind, found through entry points; each is imported when it is first asked for."""

    def __init__(self) -> None:
        self._points = _installed()
        self._loaded: dict[str, ConnectorKind] = {}

    def __getitem__(self, kind: str) -> ConnectorKind:
        """Return a connector by its kind."""
        if kind not in self._loaded:
            self._loaded[kind] = self._points[kind].load()
        return self._loaded[kind]

    def __iter__(self) -> Iterator[str]:
        """Name the kinds that are installed."""
        return iter(self._points)

    def __len__(self) -> int:
        """Count the kinds that are installed."""
        return len(self._points)


@cache
def _installed() -> Mapping[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


class OptionModels(Mapping[str, type[BaseModel]]):
    """The models of the connectors' options by kind."""

    def __init__(self, kinds: ConnectorKinds) -> None:
        self._kinds = kinds

    def __getitem__(self, kind: str) -> type[BaseModel]:
        return self._kinds[kind].options

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


class Stores:
    """Open connectors, each opened when it is first asked for."""

    def __init__(self, datamap: DataMap, kinds: Mapping[str, ConnectorKind], base: Path) -> None:
        self._datamap = datamap
        self._kinds = kinds
        self._base = base
        self._open: dict[str, Connector] = {}

    def open(self, name: str) -> Connector:
        """Return a store's connector."""
        if name not in self._open:
            store = self._datamap.stores[name]
            self._open[name] = self._kinds[store.kind].open(store, self._base)
        return self._open[name]

    def close(self) -> None:
        """Close those that were opened."""
        for connector in self._open.values():
            connector.close()
        self._open.clear()


def ledger_place(service: ServiceSettings) -> Path | Database:
    """Return where the ledger is."""
    place = service.ledger
    return Database(place.dsn, place.schema) if isinstance(place, LedgerDatabase) else place


def key_sources(service: ServiceSettings, environ: Mapping[str, str]) -> KeySources:
    """Return where the keys of an instance are."""
    places = service.keys if isinstance(service.keys, KeyPlaces) else KeyPlaces(service.keys)
    given = {name: value for name, value in environ.items() if name.startswith(VARIABLE)}
    return KeySources(places.directory, places.issuer, places.log, given)


def open_keys(
    service: ServiceSettings, sources: KeySources, ledger: Ledger, clock: Clock, *, mending: bool
) -> LocalKeys:
    """Return the keys of an instance; their history is the one that the ledger logged last.

    Args:
        mending: Whether keys may be missing, since others are to take their place.
    """

    def logged() -> bytes | None:
        with ledger.begin(shared=True) as tx:
            text = tx.facts.get(HISTORY)
        return text.encode() if text else None

    keys = LocalKeys(sources, service.origin, Surroundings(logged, clock.now), mending=mending)
    keys.settle()
    return keys


def make_log(service: ServiceSettings, keys: LocalKeys, ledger: Ledger) -> TileLog:
    """Return the log of an instance."""
    place = service.log
    store = _bucket_store(place) if isinstance(place, LogBucket) else DirectoryStore(place)
    log_keys = LogKeys(keys.log_signers, keys.log_verifiers)
    return TileLog(service.origin, log_keys, ledger.log_state, store)


def _bucket_store(place: LogBucket) -> BucketStore:
    from retentiond.connectors.s3.objects import PublishedObjects  # noqa: PLC0415 - boto3 takes a while
    from retentiond.connectors.s3.options import S3Options  # noqa: PLC0415 - the same

    options = S3Options(bucket=place.bucket, region=place.region, endpoint=place.endpoint, path_style=place.path_style)
    return BucketStore(PublishedObjects(options), place.prefix)
