"""Datasets: the records in one store that share a shape, an owner and a clock; as the data map declares them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from retentiond.domain.period import Period

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


class ClockFormat(StrEnum):
    """How a store writes the time at which a record's clock starts."""

    AUTO = "auto"
    TEXT = "text"
    DATE = "date"
    UNIX_SECONDS = "unix-seconds"
    UNIX_MILLISECONDS = "unix-milliseconds"
    UNIX_MICROSECONDS = "unix-microseconds"
    UNIX_NANOSECONDS = "unix-nanoseconds"
    MODIFIED = "modified"
    PATTERN = "pattern"


@dataclass(frozen=True, slots=True)
class ClockSource:
    """Where a record's clock stands.

    Attributes:
        format: How the time is written; `AUTO` takes ISO 8601 text and whole Unix seconds.
        column: The column, for tables.
        field: The named part of the key pattern, for `PATTERN`.
        zone: IANA zone of times and dates that name none.
        earliest: Nothing real is older; a clock before it is a finding, not an age.
    """

    format: ClockFormat = ClockFormat.AUTO
    column: str = ""
    field: str = ""
    zone: str = "UTC"
    earliest: datetime = EARLIEST

    @property
    def name(self) -> str:
        """The clock as receipts name it: its column, its part of the key, or `modified`."""
        return self.column or self.field or self.format.value


@dataclass(frozen=True, slots=True)
class TombstoneTarget:
    """How a record is hidden; exactly one is set."""

    column: str = ""
    table: str = ""
    directory: str = ""
    marker: bool = False


@dataclass(frozen=True, slots=True)
class BlobLink:
    """The column in which a row names its object, and the dataset of that object."""

    column: str
    dataset: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset of the data map.

    Attributes:
        store_kind: The kind of the store, such as `sqlite`; it selects the connector.
        table: The table's name exactly as the database has it; empty for buckets and directories.
        prefix: What the keys of a bucket or the paths of a directory begin with; empty for tables.
        account_column: Column of the owner; empty when none is declared.
        account_field: Named part of the key pattern that is the owner; empty when none is declared.
        attributes: Attribute name to column.
        follows: The dataset whose rows name these objects; empty when none does.
        canonical: The validated declaration, RFC 8785 JSON; its SHA-256 is what approvals approve.
    """

    name: str
    store: str
    store_kind: str
    data_class: str
    clock: ClockSource = ClockSource()
    table: str = ""
    prefix: str = ""
    key: tuple[str, ...] = ()
    key_pattern: str = ""
    account_column: str = ""
    account_field: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    tombstone: TombstoneTarget | None = None
    blobs: BlobLink | None = None
    follows: str = ""
    write_once: bool = False
    canonical: bytes = b""

    @property
    def has_owner(self) -> bool:
        """Whether an owner is declared, so that a record without one is undetermined."""
        return bool(self.account_column or self.account_field)

    @property
    def sha256(self) -> str:
        """Lower-case hex SHA-256 of the canonical form."""
        return hashlib.sha256(self.canonical).hexdigest()


@dataclass(frozen=True, slots=True)
class Store:
    """One store of the data map.

    Attributes:
        options: What the connector of this kind needs to reach it; never a secret.
        backups_keep: How long backups are kept; None when there are none or nothing is declared.
        backups_declared: Whether the data map says anything about backups.
    """

    name: str
    kind: str
    options: Mapping[str, object]
    backups_keep: Period | None = None
    backups_declared: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """Names in a store that no dataset covers on purpose; `pattern` is a shell pattern."""

    store: str
    pattern: str
    reason: str


@dataclass(frozen=True, slots=True)
class Downstream:
    """A copy that retentiond does not reach; every receipt names it as not covered."""

    what: str
    owner: str
    expires: Period | None


@dataclass(frozen=True, slots=True)
class DataMap:
    """All stores and datasets."""

    stores: Mapping[str, Store]
    datasets: Mapping[str, Dataset]
    ignore: tuple[Ignored, ...] = ()
    downstream: tuple[Downstream, ...] = ()
    refuse_unmapped: bool = True

    def followers(self, name: str) -> tuple[Dataset, ...]:
        """Return the datasets whose objects are named by rows of the dataset."""
        return tuple(dataset for dataset in self.datasets.values() if dataset.follows == name)
