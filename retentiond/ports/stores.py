"""The port to stores. Every connector must pass `retentiond.testing.contract`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, Protocol, overload, runtime_checkable

from pydantic import BaseModel

from retentiond.domain.content import Change, Content
from retentiond.domain.dataset import Dataset, Shape, Store
from retentiond.domain.decision import Cases
from retentiond.domain.part import Part
from retentiond.domain.period import Period
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Record
from retentiond.domain.records import Records, columns_of
from retentiond.evidence.levels import EvidenceLevel

UNNAMEABLE = -1
"""In place of a case: a record that no receipt could name, or that can't be read; it is counted, and never given."""


class Found(NamedTuple):
    """A record of a scan, and the index of the case that won."""

    record: Record
    case: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How many records a case won, their bytes, and the oldest clock among them (microseconds since the epoch)."""

    count: int = 0
    size_bytes: int = 0
    oldest: int | None = None

    def plus(self, other: Tally) -> Tally:
        """Return both together."""
        clocks = [clock for clock in (self.oldest, other.oldest) if clock is not None]
        return Tally(self.count + other.count, self.size_bytes + other.size_bytes, min(clocks, default=None))


class Grouped(Sequence[Found]):
    """What a scan found, in columns: the records of each case, one case after the other."""

    __slots__ = ("groups",)

    def __init__(self, groups: Sequence[tuple[int, Records]]) -> None:
        self.groups = groups

    def __len__(self) -> int:
        """Return how many records there are."""
        return sum(len(records) for _, records in self.groups)

    def __iter__(self) -> Iterator[Found]:
        """Give each record with its case."""
        return (Found(record, case) for case, records in self.groups for record in records)

    @overload
    def __getitem__(self, index: int) -> Found: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Found]: ...
    def __getitem__(self, index: int | slice) -> Found | Sequence[Found]:
        """Return one of them, or some."""
        return tuple(self)[index]


@dataclass(frozen=True, slots=True)
class Window:
    """One step of a scan: everything examined in it, counted by winning case, and the records that were wanted."""

    found: Sequence[Found]
    tallies: Mapping[int, Tally]

    def groups(self) -> Iterable[tuple[int, Records]]:
        """Give what was found case by case, as it stands there."""
        if isinstance(self.found, Grouped):
            return self.found.groups
        several = groupby(self.found, itemgetter(1))
        return ((case, columns_of([record for record, _ in some])) for case, some in several)


@dataclass(frozen=True, slots=True)
class Order:
    """One batch to act on or to verify: exact records, and the predicate that must still be true of each.

    Attributes:
        cases: The decision's cases; `case` must be the one that wins for a record, else the record has changed.
        at: The time that a tombstone bears.
        fence: Called right before each statement or request that changes the store; it raises when a hold, a stop
            or a newer claim forbids going on, and the connector lets that pass through without acting.
        marks: For `Action.RESTORE`: what `Acted.marks` said of each record when it was hidden, by index.
        change: For `Action.REDACT` and `Action.PSEUDONYMISE`: what is done to each record.
        pseudonyms: For `Action.PSEUDONYMISE`: the pseudonym of each account; a record of another one is left.
        traces: To verify that: what `Acted.traces` said of each record, by index.
    """

    dataset: Dataset
    action: Action
    cases: Cases
    case: int
    records: Sequence[Record]
    at: datetime
    fence: Callable[[], None]
    marks: Mapping[int, str] = field(default_factory=dict)
    change: Change | None = None
    traces: Mapping[int, frozenset[str]] = field(default_factory=dict, repr=False)
    pseudonyms: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Acted:
    """One outcome per record of the order, in its order.

    Attributes:
        reasons: Words for those that need them, by index.
        marks: For `Action.TOMBSTONE`: by index, what tells the store later that a tombstone is this one, where neither
            its place nor its time does. The engine keeps it sealed, and hands it back in `Order.marks`.
        traces: For those that change parts: by index, samples of the texts that were removed. They stay in memory, go
            to `verify` in `Order.traces`, and are written nowhere.
    """

    outcomes: Sequence[Outcome]
    reasons: Mapping[int, str] = field(default_factory=dict)
    marks: Mapping[int, str] = field(default_factory=dict)
    traces: Mapping[int, frozenset[str]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Verified:
    """One sighting per record of the order, in its order, from a read that is separate from the act.

    Attributes:
        method: How it was looked at, such as `select-by-key`.
        role: As whom, such as `same role` or `separate role`.
        position: Where the store stood (system id, timeline, LSN), where it can tell.
    """

    sightings: Sequence[Sighting]
    method: str
    role: str = "same role"
    position: Mapping[str, str | int] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that `check` reports of a store or dataset; one that `refuses` keeps the dataset from being planned.

    Attributes:
        guard: The guard that says so, by its name in the table of guards; empty where none does.
    """

    what: str
    where: str
    remedy: str
    refuses: bool = False
    guard: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a connector sees of a dataset before it is planned.

    Attributes:
        lock: How long the store locks what is written into it, whatever a policy says; None for not at all.
        wal_bytes_per_record: What the removal of one record is expected to add to the store's write-ahead log; None
            where it has none, or nothing is known of it.
    """

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    lock: Period | None = None
    wal_bytes_per_record: int | None = None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key as a database has it.

    Attributes:
        child, parent: Datasets of these tables; empty where a table is nobody's.
        child_table, parent_table: The tables as findings call them.
        on: Pairs of a column of the child's table and the column of the parent's that it names.
    """

    child: str
    parent: str
    child_table: str
    parent_table: str
    on: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Pressure:
    """How a store bears what is done to it.

    Attributes:
        replica_lag: How far the slowest of its replicas is behind; None where that is unknown.
        looked_at: What was asked, and what is missing, for people; such as `pg_stat_replication: no standby`.
    """

    replica_lag: timedelta | None = None
    looked_at: str = ""


@dataclass(frozen=True, slots=True)
class Remnant:
    """Where a copy may remain after the store says that a record is gone."""

    what: str
    reason: str
    until: datetime | None = None


class Connector(Protocol):
    """One open store. Methods raise `ConnectorError`; `DatasetRefused` where a dataset cannot be worked on safely.

    Attributes:
        shapes: What it reads of datasets beyond plain columns, keys and patterns; a dataset that asks for more is
            refused before this connector sees it. `Shape.CHILDREN`: a scan fills `Record.parents` and, for records
            that are due, `Record.standing`; an act leaves rows of which children stand, as `Outcome.BLOCKED`.
    """

    kind: str
    shapes: frozenset[Shape]

    def survey(self, dataset: Dataset) -> Survey:
        """Look at a dataset's shape, permissions and dangers; changes nothing."""
        ...

    def unmapped(self, datasets: Sequence[Dataset], ignored: Callable[[str], bool]) -> Iterator[str]:
        """Yield names (tables, top-level prefixes) that hold data and that no dataset of this store covers."""
        ...

    def scan(self, dataset: Dataset, cases: Cases, wanted: frozenset[int]) -> Iterator[Window]:
        """Examine every record of a dataset once, tombstoned ones included, in windows of bounded memory.

        Records whose winning case is in `wanted` are handed out, in an order that is good for acting. A record whose
        key or owner cannot be written as a name in a receipt is never handed out; it is tallied under index -1.
        No lock is held between windows.

        Raises:
            ConnectorError: The listing is incomplete; it never ends early without this.
        """
        ...

    def references(self, dataset: Dataset) -> Iterator[Sequence[str]]:
        """Yield the keys of objects that the dataset's rows name (`blobs`), one for each row that names one."""
        ...

    def find(self, dataset: Dataset, key: str) -> Sequence[Record]:
        """Return the records of a key as an operator types it: one row, or all versions of an object, or none."""
        ...

    def act(self, order: Order) -> Acted:
        """Carry out the order's action on exactly its records, the predicate repeated where the store can.

        `Action.RESTORE` brings back what a tombstone of the dataset's kind hides, wherever it was hidden to:
        `Record.place` does not count. Whatever stands under its key or path by now is never overwritten (`CHANGED`);
        nothing but the tombstone that the predicate, or the record's mark, names is taken away.
        """
        ...

    def verify(self, order: Order) -> Verified:
        """Look for the order's records in a read of its own; an error or partial answer is `UNKNOWN`."""
        ...

    def settle(self, dataset: Dataset) -> EvidenceLevel:
        """Do what the store needs after its last batch, and return how gone its purged records are by now."""
        ...

    def remnants(self, dataset: Dataset) -> Sequence[Remnant]:
        """Return where copies may remain that this store cannot rule out."""
        ...

    def pressure(self) -> Pressure:
        """Say how far replicas are behind; asked before each batch where the data map limits it, so it must be cheap.

        The lag is of the slowest replica that is to be waited for, by the time that its replay is behind; zero only
        where each of them is known to have replayed everything. None, never zero, where it can't be told: no replica
        is connected, the role may not see them, or the store has none. Whoever asks waits then.
        """
        ...

    def now(self) -> datetime | None:
        """Return the time by the store's own clock, aware; None where it has none but this machine's.

        It is compared with this machine's clock, to within minutes, before anything is removed.
        """
        ...

    def close(self) -> None:
        """Let go of connections and files."""
        ...


@runtime_checkable
class Redacting(Protocol):
    """A connector that can change parts of records and leave the rest: its `act` and `verify` know those actions."""

    def survey_changes(self, dataset: Dataset, changes: Sequence[Change]) -> Sequence[Finding]:
        """Look at what changes need of a dataset, and at whatever reacts to them; changes nothing.

        Of a change that is not `required`, a dataset that has none of its columns is no finding.
        """
        ...

    def has_any(self, dataset: Dataset, change: Change) -> bool:
        """Tell whether a dataset has any of a change's columns."""
        ...

    def contents(
        self, dataset: Dataset, changes: Sequence[Change], records: Sequence[Record]
    ) -> Sequence[Mapping[Change, Content]]:
        """Tell of each record whether what each change would remove stands in it; None where that can't be read."""
        ...


@runtime_checkable
class Probing(Protocol):
    """A connector that can find out by trying what its store honours; it writes only where the operator lets it."""

    def probe(self) -> Survey:
        """Try, on things of its own, and remove them again; where it may not write, say so."""
        ...


@runtime_checkable
class Referring(Protocol):
    """A connector whose store knows which tables name rows of which others."""

    def foreign_keys(self, datasets: Sequence[Dataset]) -> Sequence[ForeignKey]:
        """Return all foreign keys of the store that lead to tables of these datasets."""
        ...


@runtime_checkable
class Owning(Protocol):
    """A connector that can tell whose the records of a dataset are without handing them out."""

    def owners(self, dataset: Dataset) -> Iterator[Sequence[str]]:
        """Yield every owner that a record has at least once, in pieces of bounded size.

        Hidden records count, and so do the owners that can be read of records of which not all can.

        Raises:
            ConnectorError: The listing is incomplete; it never ends early without this.
        """
        ...


@runtime_checkable
class Located(Protocol):
    """A connector whose store is a database in which the ledger may lie, too."""

    def location(self) -> str:
        """Return a text that is equal for two connections exactly when they reach one database."""
        ...


@runtime_checkable
class Parting(Protocol):
    """A connector that can say whether a table has rows which no dataset's part takes."""

    def leftover(self, dataset: Dataset, parts: Sequence[Part]) -> bool:
        """Tell whether any row of the dataset's table is in none of these parts."""
        ...


class ConnectorKind(Protocol):
    """What a connector's entry point names."""

    kind: str
    options: type[BaseModel]

    def open(self, store: Store, base: Path) -> Connector:
        """Open a store; relative paths are relative to `base`, the config directory.

        Raises:
            ConnectorError: It is not there, or cannot be reached.
        """
        ...
