"""An open SQLite store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from retentiond.connectors.sqlite import content, describing, redacting, scanning
from retentiond.connectors.sqlite.acting import Acting
from retentiond.connectors.sqlite.database import Database, explained
from retentiond.connectors.sqlite.judging import Judge, load_batch
from retentiond.connectors.sqlite.layout import Layout, lay_out
from retentiond.connectors.sqlite.parting import leftover_sql
from retentiond.connectors.sqlite.referring import foreign_keys
from retentiond.connectors.sqlite.returning import Returning
from retentiond.connectors.sqlite.schema import resolve, text_indexes
from retentiond.connectors.sqlite.survey import dangers, survey
from retentiond.connectors.sqlite.verifying import verify
from retentiond.domain.content import Change, Content
from retentiond.domain.dataset import Dataset, Shape
from retentiond.domain.decision import Cases
from retentiond.domain.part import Part
from retentiond.domain.policy import CHANGING, Action
from retentiond.domain.record import Record
from retentiond.domain.tableshape import TableShape
from retentiond.evidence.levels import EvidenceLevel
from retentiond.ports.stores import Acted, Finding, ForeignKey, Order, Pressure, Remnant, Survey, Verified, Window

BUSY_SECONDS = 5.0
WINDOW_ROWS = 20_000
_OVERWRITTEN = ("delete", "truncate", "wal")


class SqliteStore:
    """One database file. A connection that writes stays open; every read has one of its own, which cannot write.

    One thread at a time.

    Raises:
        sqlite3.Error: The file cannot be opened, or is not a database.
    """

    kind = "sqlite"
    shapes = frozenset(Shape) - {Shape.TRIGGERS}

    def __init__(self, path: Path, name: str, busy_seconds: float, window_rows: int) -> None:
        self._path = path
        self._name = name
        self._busy_seconds = busy_seconds
        self._window_rows = window_rows
        self._writer = Database(path, read_only=False, busy_seconds=busy_seconds)
        self._vetted: dict[str, tuple[Dataset, int, Layout, str]] = {}
        self._emptied = False

    @contextmanager
    def _reader(self) -> Iterator[Database]:
        with explained(self._name):
            # Another program may have died while writing: only a connection that may write can clean up after it.
            self._writer.rows("SELECT 1 FROM main.sqlite_schema LIMIT 1")
            db = Database(self._path, read_only=True, busy_seconds=self._busy_seconds)
        with closing(db):
            yield db

    def survey(self, dataset: Dataset) -> Survey:
        """Look at a dataset's tables and whatever reacts to changes of them; changes nothing."""
        with self._reader() as db, explained(dataset.name):
            return survey(db, dataset)

    def unmapped(self, datasets: Sequence[Dataset], ignored: Callable[[str], bool]) -> Iterator[str]:
        """Yield the names of tables, virtual ones included, that are nobody's table or quarantine."""
        with self._reader() as db, explained(self._name):
            names = describing.names(db)
        covered = {name for dataset in datasets for name in _tables_of(names, dataset)}
        for name in names:
            if name not in covered and not ignored(name) and not ignored(f"main.{name}"):
                yield name

    def tables(self) -> Sequence[TableShape]:
        """Return what the schema says of all tables, virtual ones included."""
        with self._reader() as db, explained(self._name):
            return tuple(describing.describe(db))

    def tables_of(self, dataset: Dataset) -> frozenset[str]:
        """Return the names of a dataset's table and its quarantine, as far as they are there."""
        with self._reader() as db, explained(self._name):
            return frozenset(_tables_of(describing.names(db), dataset))

    def foreign_keys(self, datasets: Sequence[Dataset]) -> Sequence[ForeignKey]:
        """Return the foreign keys that lead to tables of the datasets."""
        with self._reader() as db, explained(self._name):
            return list(foreign_keys(db, datasets))

    def leftover(self, dataset: Dataset, parts: Sequence[Part]) -> bool:
        """Tell whether any row of the dataset's table, or of its quarantine, is in none of these parts."""
        with self._reader() as db, explained(dataset.name):
            sources = lay_out(db, dataset).sources
            return any(bool(db.value(leftover_sql(parts, source.table))) for source in sources)

    def scan(self, dataset: Dataset, cases: Cases, wanted: frozenset[int]) -> Iterator[Window]:
        """Examine every row of the dataset's table, and of its quarantine, once."""
        with self._reader() as db:
            with explained(dataset.name):
                layout = lay_out(db, dataset)
            for source in layout.sources:
                yield from scanning.windows(db, source, cases, wanted, self._window_rows)

    def owners(self, dataset: Dataset) -> Iterator[Sequence[str]]:
        """Yield every owner that a row has, from the quarantine too, each at least once."""
        with self._reader() as db:
            with explained(dataset.name):
                layout = lay_out(db, dataset)
            for source in layout.sources:
                yield from scanning.owners(db, source, self._window_rows)

    def references(self, dataset: Dataset) -> Iterator[Sequence[str]]:
        """Yield the key of the object that a row names, for each row that names one."""
        if dataset.blobs is None:
            return
        with self._reader() as db:
            with explained(dataset.name):
                layout = lay_out(db, dataset)
            for source in layout.sources:
                yield from scanning.references(db, source, dataset.blobs.column, self._window_rows)

    def find(self, dataset: Dataset, key: str) -> Sequence[Record]:
        """Return the row of a key as an operator types it, also from the quarantine."""
        with self._reader() as db, explained(dataset.name):
            return scanning.find(db, lay_out(db, dataset), key)

    def act(self, order: Order) -> Acted:
        """Purge, hide or bring back exactly the order's rows, in one transaction."""
        if not order.records:
            return Acted(())
        with explained(order.dataset.name):
            layout = lay_out(self._writer, order.dataset)
        if order.action in CHANGING:
            return redacting.act(self._writer, layout, order, lambda: self._obstacle(layout, order.change))
        work = Returning if order.action is Action.RESTORE else Acting
        return work(self._writer, layout, order, lambda: self._danger(layout)).run()

    def survey_changes(self, dataset: Dataset, changes: Sequence[Change]) -> Sequence[Finding]:
        """Look at the columns that changes are of, and at whatever reacts to an update; changes nothing."""
        with self._reader() as db, explained(dataset.name):
            return tuple(dict.fromkeys(content.vet_changes(db, lay_out(db, dataset), changes)))

    def has_any(self, dataset: Dataset, change: Change) -> bool:
        """Tell whether a dataset's table has any of a change's columns."""
        with self._reader() as db, explained(dataset.name):
            return content.has_any(lay_out(db, dataset).live.table, change)

    def contents(
        self, dataset: Dataset, changes: Sequence[Change], records: Sequence[Record]
    ) -> Sequence[Mapping[Change, Content]]:
        """Tell of each record whether what each change would remove stands in it."""
        with self._reader() as db, explained(dataset.name), db.reading():
            layout = lay_out(db, dataset)
            load_batch(db, len(dataset.key), (record.key for record in records))
            judged = {
                (source.place, change): Judge(db, source, None, change).judge_batch()
                for source in layout.sources
                for change in changes
            }
        return [
            {change: row.stands for change in changes if (row := judged[record.place, change].get(number))}
            for number, record in enumerate(records)
        ]

    def _obstacle(self, layout: Layout, change: Change | None) -> str:
        """Return why rows may not be changed so; asked anew each time, it is little beside the change."""
        found = content.vet_changes(self._writer, layout, (change,) if change else ())
        return "; ".join(dict.fromkeys(finding.what for finding in found))

    def _danger(self, layout: Layout) -> str:
        """Return why a dataset's tables may not be changed; asked anew whenever the database's schema has changed."""
        version = int(str(self._writer.value("PRAGMA main.schema_version")))
        known = self._vetted.get(layout.dataset.name)
        if known is None or known[:3] != (layout.dataset, version, layout):
            danger = "; ".join(finding.what for finding in dangers(self._writer, layout))
            known = (layout.dataset, version, layout, danger)
            self._vetted[layout.dataset.name] = known
        return known[3]

    def verify(self, order: Order) -> Verified:
        """Look for the order's rows through a connection of its own, opened after the commit."""
        return verify(order, self._reader)

    def settle(self, dataset: Dataset) -> EvidenceLevel:
        """Empty the write-ahead log; purged rows are deleted, and no more is claimed.

        `secure_delete` overwrites what is deleted. It does not overwrite what SQLite leaves behind when it moves rows
        between pages, so a few texts may stay inside pages of the file until VACUUM.
        """
        with explained(dataset.name):
            (busy, _, _), *_ = self._writer.rows("PRAGMA wal_checkpoint(TRUNCATE)")
            overwritten = self._writer.value("PRAGMA main.secure_delete") == 1
            journal = self._writer.value("PRAGMA main.journal_mode")
            copies = bool(text_indexes(self._writer)) or self._has_left_journal()
        self._emptied = not busy and overwritten and not copies and journal in _OVERWRITTEN
        return EvidenceLevel.DELETED

    def _has_left_journal(self) -> bool:
        """Whether a rollback journal lies beside the file with rows in it, as mode PERSIST leaves them."""
        journal = Path(f"{self._path}-journal")
        return journal.exists() and journal.stat().st_size > 0

    def remnants(self, dataset: Dataset) -> Sequence[Remnant]:
        """Return where copies of a row may remain."""
        remnants = [
            Remnant("freed disk blocks", "file systems do not overwrite what they free"),
            Remnant(
                "unused space in the database file",
                "older copies of rows that SQLite moved, or that programs without secure_delete left, until VACUUM",
            ),
        ]
        if not self._emptied:
            remnants.append(Remnant("write-ahead log or journal", f"{dataset.store} could not empty it yet"))
        with explained(dataset.name):
            indexes = text_indexes(self._writer)
        if indexes:
            remnants.append(Remnant("full-text index", f"fragments may stay in {', '.join(indexes)}"))
        return remnants

    def pressure(self) -> Pressure:
        """Tell of no replicas: there are none that it could see."""
        return Pressure(looked_at="a file has no replicas")

    def now(self) -> None:
        """Tell no time: the machine's clock is the only one."""

    def close(self) -> None:
        """Close the connection that writes."""
        self._writer.close()


def _tables_of(names: Sequence[str], dataset: Dataset) -> Iterator[str]:
    """Yield the tables that hold a dataset's rows."""
    hidden = dataset.tombstone.table if dataset.tombstone else ""
    found = (resolve(names, each) for each in (dataset.table, hidden) if each)
    yield from (name for name in found if name is not None)
