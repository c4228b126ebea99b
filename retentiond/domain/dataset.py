"""Datasets: the records in one store that share a shape, an owner and a clock; as the data map declares them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from retentiond.domain.jsonpath import JsonPath
from retentiond.domain.owner import OwnerSource, Via
from retentiond.domain.pace import AT_ANY_PACE, Pace
from retentiond.domain.part import Part
from retentiond.domain.period import Period

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


class Shape(StrEnum):
    """What a dataset may ask of its connector beyond plain columns; a connector says which of them it can read."""

    CLOCK_IN_JSON = "a clock inside JSON"
    OWNER_IN_JSON = "an owner inside JSON"
    OWNERS_IN_ARRAY = "owners in an array"
    SEVERAL_OWNERS = "owners in several columns"
    OWNER_VIA_TABLE = "an owner in another table"
    CHILDREN = "children that no foreign key declares"
    CLOCK_VIA_TABLE = "a clock in another table"
    NO_CLOCK = "rows that bear no time"
    PART_OF_TABLE = "a part of a table's rows"
    CLEARS = "columns elsewhere that become empty with its rows"
    USERS = "users inside accounts"
    TRIGGERS = "triggers that act on its deletions"


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
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ClockSource:
    """Where a record's clock stands.

    Attributes:
        format: How the time is written; `AUTO` takes ISO 8601 text and whole Unix seconds.
        column: The column, for tables.
        json: Where in the column's JSON; None where the column itself is the clock.
        field: The named part of the key pattern, for `PATTERN`.
        via: Another table of the store where it stands; `take` names its column there.
        zone: IANA zone of times and dates that name none.
        earliest: Nothing real is older; a clock before it is a finding, not an age.
    """

    format: ClockFormat = ClockFormat.AUTO
    column: str = ""
    field: str = ""
    zone: str = "UTC"
    earliest: datetime = EARLIEST
    json: JsonPath | None = None
    via: Via | None = None

    @property
    def name(self) -> str:
        """The clock as receipts name it: its column and what is inside, its part of the key, `modified` or `none`."""
        if self.via is not None:
            return f"{self.via.table}.{self.via.take}"
        if self.json is not None:
            return f"{self.column}.{self.json.text}"
        return self.column or self.field or self.format.value


@dataclass(frozen=True, slots=True)
class TombstoneTarget:
    """How a record is hidden; exactly one is set.

    Attributes:
        schema: The schema of `table`; empty where the table's name says it, or the store has none.
    """

    column: str = ""
    table: str = ""
    directory: str = ""
    marker: bool = False
    schema: str = ""


@dataclass(frozen=True, slots=True)
class BlobLink:
    """The column in which a row names its object, and the dataset of that object."""

    column: str
    dataset: str


@dataclass(frozen=True, slots=True)
class Child:
    """Rows that must go before the dataset's own: none of these goes while one of them is left.

    Attributes:
        dataset: The name of their dataset, of the same store.
        table: Its table; `schema` as in the dataset.
        quarantine: Its quarantine table, likewise; empty where it has none.
        on: Pairs of a column of the child and the column of the parent that has an equal value.
        where: Which rows of its table are the child's.
    """

    dataset: str
    table: str
    on: tuple[tuple[str, str], ...]
    schema: str = ""
    quarantine: str = ""
    quarantine_schema: str = ""
    where: Part = ()


@dataclass(frozen=True, slots=True)
class Parent:
    """Rows that go after the dataset's own, in the dataset of this name; `on` as in `Child`."""

    dataset: str
    on: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Cleared:
    """A column of another table that the database sets to NULL when a row goes that it refers to."""

    table: str
    column: str
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A table that a trigger writes into.

    Attributes:
        mapped: Whether it is a dataset's, so that rows are added there, and nothing else; else it is ignored.
    """

    table: str
    schema: str
    mapped: bool


@dataclass(frozen=True, slots=True)
class LetTrigger:
    """A trigger that may act on deletions, as long as it is exactly the one of this digest."""

    name: str
    digest: str
    writes: tuple[Written, ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset of the data map.

    Attributes:
        store_kind: The kind of the store, such as `sqlite`; it selects the connector.
        table: The table's name exactly as the database has it; empty for buckets and directories.
        schema: The table's schema; empty where the table's name says it, or the store has none.
        prefix: What the keys of a bucket or the paths of a directory begin with; empty for tables.
        owners: The places in a row or beside it where its owners stand; empty when none is declared.
        nobody: Why its records are nobody's, where the data map says that they are; else empty.
        account_field: Named part of the key pattern that is the owner; empty when none is declared.
        users: The places where the owner's users stand whose data a record is; empty when none is declared.
        user_field: As `account_field`, of the user.
        no_users: Why it holds no data of users; empty where that is not said.
        attributes: Attribute name to column.
        follows: The dataset whose rows name these objects; empty when none does.
        children: Datasets whose rows go first: those that declare this one as their parent, or find their owner in it.
        parents: The same from the other side.
        where: Which rows of its table are its own; empty for all of them.
        clears: What the database may empty elsewhere when a row goes.
        triggers: What the database may do by itself when a row is deleted.
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
    owners: tuple[OwnerSource, ...] = ()
    account_field: str = ""
    users: tuple[OwnerSource, ...] = ()
    user_field: str = ""
    no_users: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    tombstone: TombstoneTarget | None = None
    blobs: BlobLink | None = None
    follows: str = ""
    write_once: bool = False
    canonical: bytes = b""
    schema: str = ""
    children: tuple[Child, ...] = ()
    parents: tuple[Parent, ...] = ()
    where: Part = ()
    clears: tuple[Cleared, ...] = ()
    nobody: str = ""
    triggers: tuple[LetTrigger, ...] = ()

    @property
    def plain_owner(self) -> str:
        """The column that holds the one owner as it is; empty where owners are not declared, or not as simple."""
        return self.owners[0].column if len(self.owners) == 1 and self.owners[0].is_plain else ""

    @property
    def shapes(self) -> frozenset[Shape]:
        """What its connector must be able to do beyond plain columns."""
        asked = {
            Shape.CLOCK_IN_JSON: self.clock.json is not None,
            Shape.SEVERAL_OWNERS: len(self.owners) > 1,
            Shape.OWNER_IN_JSON: any(owner.json for owner in self.owners),
            Shape.OWNERS_IN_ARRAY: any(owner.array for owner in self.owners),
            Shape.OWNER_VIA_TABLE: any(owner.via for owner in self.owners),
            Shape.CHILDREN: bool(self.children),
            Shape.CLOCK_VIA_TABLE: self.clock.via is not None,
            Shape.NO_CLOCK: self.clock.format is ClockFormat.NONE,
            Shape.PART_OF_TABLE: bool(self.where),
            Shape.CLEARS: bool(self.clears),
            Shape.USERS: bool(self.users),
            Shape.TRIGGERS: bool(self.triggers),
        }
        return frozenset(shape for shape, wanted in asked.items() if wanted)

    @property
    def has_owner(self) -> bool:
        """Whether an owner is declared, so that a record without one is undetermined."""
        return bool(self.owners or self.account_field)

    @property
    def tells_users(self) -> bool:
        """Whether it is declared whose of its owner's users a record is."""
        return bool(self.users or self.user_field)

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
        pace: How fast it may be worked on, and when.
    """

    name: str
    kind: str
    options: Mapping[str, object]
    backups_keep: Period | None = None
    backups_declared: bool = False
    pace: Pace = AT_ANY_PACE


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
