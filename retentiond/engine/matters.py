"""What there is to say of a matter: its holds, their history from the journal, and what they hold now.

Only who asks for a matter by its name, or for one of its holds, gets to see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from retentiond.domain.condition import ACCOUNT, ALWAYS, AnyOf, Condition, Or, Unknown
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import Case, Cases, Disposition, named_cases
from retentiond.domain.hold import Hold, HoldIndex
from retentiond.domain.record import Record, key_bytes
from retentiond.domain.versions import MARKER
from retentiond.engine.context import Context
from retentiond.engine.docket import PLACED, RELEASE, REVIEW, astray, each_of
from retentiond.engine.holds import called, pending_releases
from retentiond.engine.selecting import found_by
from retentiond.errors import ConnectorError, KeyFileError
from retentiond.ports.rows import HoldRow, JournalRow

_KINDS = (PLACED, RELEASE, REVIEW)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a hold, as it was signed and logged.

    Attributes:
        what: `hold`, `hold-release` or `hold-review`.
        entry: Index of its entry in the log; None as long as it has none.
        review_at: What a review or a new hold says of the next review.
    """

    at: datetime
    what: str
    hold: str
    by: str
    entry: int | None
    reason: str
    review_at: datetime | None


@dataclass(slots=True)
class Kept:
    """What a matter holds of one dataset now."""

    dataset: str
    records: int = 0
    size_bytes: int = 0
    oldest: int | None = None
    newest: int | None = None

    def add(self, record: Record) -> None:
        """Count a record."""
        self.records += 1
        self.size_bytes += record.size_bytes
        if record.clock is not None:
            self.oldest = record.clock if self.oldest is None else min(self.oldest, record.clock)
            self.newest = record.clock if self.newest is None else max(self.newest, record.clock)


@dataclass(frozen=True, slots=True)
class MatterReport:
    """Everything about a matter, or about one of its holds.

    Attributes:
        rows: What the ledger says of each hold besides what it is of, by id.
        pending: Ids of holds whose release waits until it is logged.
        history: Every change, oldest first.
        unopened: Records of the journal that no key at hand opens: each may be a change that `history` lacks.
        kept: What is held now, by dataset; None where nobody looked.
        not_looked_at: Datasets that could not be read, with the reason.
    """

    at: datetime
    matter: str
    holds: Sequence[Hold]
    rows: Mapping[str, HoldRow]
    pending: frozenset[str]
    history: Sequence[Change]
    unopened: int
    kept: Sequence[Kept] | None = None
    not_looked_at: Sequence[tuple[str, str]] = ()

    @property
    def in_force(self) -> list[Hold]:
        """The holds that were not released."""
        return [hold for hold in self.holds if hold.released_at is None]

    @property
    def reviews(self) -> list[datetime]:
        """When holds in force are to be reviewed, soonest first."""
        return sorted(hold.review_at for hold in self.in_force if hold.review_at is not None)


def report(ctx: Context, name: str, *, count: bool) -> MatterReport:
    """Tell of a matter, or of one hold by its id.

    Args:
        count: Whether its records are looked for in the stores, in one pass over each dataset that it names.

    Raises:
        NotFound: There never was such a hold.
    """
    holds = called(ctx, name)
    with ctx.ledger.begin() as tx:
        rows = {row.id: row for row in tx.holds.all()}
        opened = [(_opened(ctx, row), row.log_index) for row in tx.journal.all()]
    found = MatterReport(
        at=ctx.now(),
        matter=holds[0].matter,
        holds=holds,
        rows={hold.id: rows[hold.id] for hold in holds},
        pending=pending_releases(ctx),
        history=list(_history(opened, {hold.id for hold in holds})),
        unopened=sum(record is None for record, _ in opened),
    )
    return _counted(ctx, found) if count else found


def _opened(ctx: Context, row: JournalRow) -> Mapping[str, Any] | None:
    """Return what a record of the journal says; None where it was sealed under a key that is not there."""
    try:
        return ctx.journal.open(row.sealed)
    except KeyFileError:
        return None


def _history(opened: Iterable[tuple[Mapping[str, Any] | None, int | None]], ids: set[str]) -> Iterator[Change]:
    """Give what the journal has of holds: it is sealed and logged, so nobody changes it unseen."""
    for record, entry in opened:
        if record is not None and record.get("kind") in _KINDS:
            yield from (_change(each, entry) for each in each_of(record) if each["id"] in ids)


def _change(record: Mapping[str, Any], entry: int | None) -> Change:
    said = record.get("until") or record.get("review")
    return Change(
        at=datetime.fromisoformat(record["at"]),
        what=record["kind"],
        hold=record["id"],
        by=record["by"],
        entry=entry,
        reason=record.get("reason", ""),
        review_at=datetime.fromisoformat(said) if said else None,
    )


def _counted(ctx: Context, found: MatterReport) -> MatterReport:
    looks = _Looks(ctx, found.in_force)
    lost = dict.fromkeys(hold.scope.dataset for hold in astray(ctx, found.in_force))
    looks.failed.extend((name, "the data map does not have it") for name in lost)
    for dataset in sorted(ctx.datamap.datasets.values(), key=lambda each: bool(each.follows)):
        looks.look(dataset)
    return MatterReport(
        at=found.at,
        matter=found.matter,
        holds=found.holds,
        rows=found.rows,
        pending=found.pending,
        history=found.history,
        unopened=found.unopened,
        kept=looks.kept,
        not_looked_at=looks.failed,
    )


@dataclass(slots=True)
class _Looks:
    """One look at each dataset that holds name; rows before the objects that they name."""

    ctx: Context
    holds: Sequence[Hold]
    kept: list[Kept] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    _objects: dict[str, set[str]] = field(default_factory=dict)

    def look(self, dataset: Dataset) -> None:
        holds = [hold for hold in self.holds if _names(hold, dataset)]
        objects = self._objects.get(dataset.name, set())
        if not holds and not objects:
            return
        kept = Kept(dataset.name)
        try:
            for record in self._records(dataset, holds, objects):
                kept.add(record)
                if dataset.blobs is not None:
                    self._objects.setdefault(dataset.blobs.dataset, set()).update(record.blobs)
        except ConnectorError as error:
            self.failed.append((dataset.name, error.what))
        else:
            self.kept.append(kept)

    def _records(self, dataset: Dataset, holds: Sequence[Hold], objects: set[str]) -> Iterable[Record]:
        """Give the records that are held, each once, markers of object stores left out."""
        connector = self.ctx.connector(dataset)
        if dataset.follows:
            index = HoldIndex(holds, dataset.name)
            for window in connector.scan(dataset, named_cases(), frozenset((0,))):
                for record, _ in window.found:
                    if record.place != MARKER and (str(record.key[0]) in objects or index.ids(record)):
                        yield record
            return
        cases = Cases((Case(Disposition.HELD, _named(holds), "held"), Case(Disposition.KEEP, ALWAYS, "not-held")))
        conditions = [hold for hold in holds if not hold.scope.keys]
        for window in connector.scan(dataset, cases, frozenset((0,))) if conditions else ():
            yield from (record for record, _ in window.found if record.place != MARKER)
        winner, seen = cases.python(), set[tuple[bytes, bytes]]()
        for key in dict.fromkeys(key for hold in holds for key in hold.scope.keys):
            for record in found_by(connector, dataset, key):
                identity = key_bytes(record.key), record.version
                if winner(record) and identity not in seen and record.place != MARKER:
                    seen.add(identity)
                    yield record


def _names(hold: Hold, dataset: Dataset) -> bool:
    """Tell whether a hold may name records of a dataset, or objects that its rows name: those keep their rows, too."""
    datasets = {"", dataset.name}
    if not hold.scope.accounts:
        return hold.scope.dataset in datasets
    if dataset.blobs is not None:
        datasets.add(dataset.blobs.dataset)
    return hold.scope.dataset in datasets and (dataset.has_owner or bool(dataset.follows))


def _named(holds: Iterable[Hold]) -> Condition:
    """Return what is true of whatever holds name by account or by condition, where that is unknown, too."""
    parts: list[Condition] = []
    for hold in holds:
        if hold.scope.accounts:
            parts.append(AnyOf(ACCOUNT, hold.scope.accounts))
        elif hold.scope.condition is not None:
            parts.append(Or((hold.scope.condition, Unknown(hold.scope.condition))))
    return Or(tuple(parts))
