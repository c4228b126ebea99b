"""An open PostgreSQL store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from retentiond.connectors.postgresql import content, describing, redacting, replicas, scanning
from retentiond.connectors.postgresql.acting import Acting, Pace
from retentiond.connectors.postgresql.catalog import find_tables
from retentiond.connectors.postgresql.failures import explained
from retentiond.connectors.postgresql.judging import Judge
from retentiond.connectors.postgresql.layout import Layout
from retentiond.connectors.postgresql.parting import leftover_sql
from retentiond.connectors.postgresql.referring import foreign_keys
from retentiond.connectors.postgresql.returning import Returning
from retentiond.connectors.postgresql.session import Session, Transaction
from retentiond.connectors.postgresql.survey import survey
from retentiond.connectors.postgresql.verifying import verify
from retentiond.connectors.postgresql.vetting import Vetting
from retentiond.domain.content import Change, Content
from retentiond.domain.dataset import Dataset, Shape
from retentiond.domain.decision import Cases
from retentiond.domain.part import Part
from retentiond.domain.policy import CHANGING, Action
from retentiond.domain.record import Record
from retentiond.domain.tableshape import TableShape
from retentiond.evidence.levels import EvidenceLevel
from retentiond.ports.looking import Neighbours
from retentiond.ports.stores import (
    Acted,
    Finding,
    ForeignKey,
    Order,
    Pressure,
    Remnant,
    Survey,
    Verified,
    Window,
)

WINDOW_ROWS = 20_000
SEPARATE_ROLE, SAME_ROLE = "separate role", "same role"

LARGE_OBJECTS = "pg_largeobject"


class PostgresqlStore:
    """One database. Changes go through one connection; what verifies has one of its own, which cannot write.

    One thread at a time.

    Args:
        verifier: As whom is verified; None for the same role.
    """

    kind = "postgresql"
    shapes = frozenset(Shape)

    def __init__(self, dsn: str, verifier: str | None, name: str, window_rows: int = WINDOW_ROWS) -> None:
        self._name = name
        self._window_rows = window_rows
        self._session = Session(dsn, name)
        self._verifier = Session(verifier or dsn, name, read_only=True)
        self._role = SEPARATE_ROLE if verifier else SAME_ROLE
        self._vetting = Vetting()
        self._seen = Vetting()  # by the connection that verifies
        self._pace = Pace()

    def _layout(self, dataset: Dataset) -> Layout:
        with explained(dataset.name), self._session.reading() as tx:
            return self._vetting.layout(tx, dataset)

    def survey(self, dataset: Dataset) -> Survey:
        """Look at a dataset's tables, whatever reacts to changes of them, and what the roles may; changes nothing."""
        separate = self._verifier if self._role == SEPARATE_ROLE else None
        return survey(self._session, separate, dataset)

    def unmapped(self, datasets: Sequence[Dataset], ignored: Callable[[str], bool]) -> Iterator[str]:
        """Yield tables, views that hold rows, and foreign tables that are nobody's table or quarantine.

        Large objects, which stand in no table, are `pg_largeobject`.
        """
        with explained(self._name), self._session.reading() as tx:
            covered = {oid for dataset in datasets for oid, _ in _tables_of(tx, dataset)}
            titles = [f"{schema}.{name}" for oid, schema, name, *_ in tx.rows(describing.TABLES) if oid not in covered]
            titles += [LARGE_OBJECTS] if describing.large_objects(tx) else []
        yield from (title for title in titles if not ignored(title))

    def tables(self) -> Sequence[TableShape]:
        """Return what the catalogue says of all tables that hold rows."""
        with explained(self._name), self._session.reading() as tx:
            return tuple(describing.describe(tx))

    def tables_of(self, dataset: Dataset) -> frozenset[str]:
        """Return the titles of a dataset's table and its quarantine, as far as they are there."""
        with explained(self._name), self._session.reading() as tx:
            return frozenset(title for _, title in _tables_of(tx, dataset))

    def neighbours(self) -> Neighbours:
        """Return the other databases of the server, which no role sees into from here."""
        with explained(self._name), self._session.reading() as tx:
            return Neighbours("database", tuple(describing.databases_beside(tx)), separate=True)

    def foreign_keys(self, datasets: Sequence[Dataset]) -> Sequence[ForeignKey]:
        """Return the foreign keys that lead to tables of the datasets."""
        with explained(self._name), self._session.reading() as tx:
            return list(foreign_keys(tx, datasets))

    def leftover(self, dataset: Dataset, parts: Sequence[Part]) -> bool:
        """Tell whether any row of the dataset's table, or of its quarantine, is in none of these parts."""
        sources = self._layout(dataset).sources
        with explained(dataset.name), self._session.reading() as tx:
            return any(bool(tx.value(leftover_sql(parts, source.table))) for source in sources)

    def scan(self, dataset: Dataset, cases: Cases, wanted: frozenset[int]) -> Iterator[Window]:
        """Examine every row of the dataset's table, and of its quarantine, once."""
        for source in self._layout(dataset).sources:
            yield from scanning.windows(self._session, source, cases, wanted, self._window_rows)

    def owners(self, dataset: Dataset) -> Iterator[Sequence[str]]:
        """Yield every owner that a row has, from the quarantine too, each at least once."""
        for source in self._layout(dataset).sources:
            yield from scanning.owners(self._session, source, self._window_rows)

    def references(self, dataset: Dataset) -> Iterator[Sequence[str]]:
        """Yield the key of the object that a row names, for each row that names one."""
        if dataset.blobs is None:
            return
        for source in self._layout(dataset).sources:
            yield from scanning.references(self._session, source, dataset.blobs.column, self._window_rows)

    def find(self, dataset: Dataset, key: str) -> Sequence[Record]:
        """Return the row of a key as an operator types it, also from the quarantine."""
        return scanning.find(self._session, self._layout(dataset), key)

    def act(self, order: Order) -> Acted:
        """Purge, hide or bring back exactly the order's rows, some thousand in a transaction."""
        if not order.records:
            return Acted(())
        if order.action in CHANGING:
            return redacting.act(self._session, self._layout(order.dataset), order, self._vetting)
        work = Returning if order.action is Action.RESTORE else Acting
        return work(self._session, self._layout(order.dataset), order, self._vetting, self._pace).run()

    def survey_changes(self, dataset: Dataset, changes: Sequence[Change]) -> Sequence[Finding]:
        """Look at the columns that changes are of, and at whatever reacts to an update; changes nothing."""
        with explained(dataset.name), self._session.reading() as tx:
            layout = self._vetting.layout(tx, dataset)
            found = list(content.vet_changes(tx, layout, changes))
        for target in {each: None for change in changes for each in change.targets} if not found else ():
            with explained(dataset.name), self._session.reading() as tx:
                found += content.vet_constant(tx, layout.live, target)
        return tuple(dict.fromkeys(found))

    def has_any(self, dataset: Dataset, change: Change) -> bool:
        """Tell whether a dataset's table has any of a change's columns."""
        return content.has_any(self._layout(dataset).live.table, change)

    def contents(
        self, dataset: Dataset, changes: Sequence[Change], records: Sequence[Record]
    ) -> Sequence[Mapping[Change, Content]]:
        """Tell of each record whether what each change would remove stands in it."""
        keys = [record.key for record in records]
        layout = self._layout(dataset)
        with explained(dataset.name), self._session.reading() as tx:
            judged = {
                (source.place, change): Judge(source, None, change).judge(tx, keys)
                for source in layout.sources
                for change in changes
            }
        return [
            {change: row.stands for change in changes if (row := judged[record.place, change].get(number))}
            for number, record in enumerate(records)
        ]

    def verify(self, order: Order) -> Verified:
        """Look for the order's rows through a connection of its own, after the commit, on the primary."""
        return verify(order, self._verifier, self._seen, self._session, self._role)

    def settle(self, dataset: Dataset) -> EvidenceLevel:
        """Return that purged rows are deleted: no query finds them, and more is never claimed."""
        del dataset
        return EvidenceLevel.DELETED

    def remnants(self, dataset: Dataset) -> Sequence[Remnant]:
        """Return where copies of a row may remain."""
        del dataset
        return (
            Remnant("dead rows", "stay in the table's files until VACUUM frees and new rows overwrite them"),
            Remnant("write-ahead log", "keeps deleted rows until its files are recycled; archives keep it longer"),
            Remnant("replicas of the database", "follow with a delay, and keep dead rows of their own"),
            Remnant("freed disk blocks", "file systems do not overwrite what they free"),
        )

    def location(self) -> str:
        """Return which database this is, by what every role may read: not every one may read the system identifier."""
        identity = self._session.identity
        return f"{identity.started}/{identity.database}"

    def pressure(self) -> Pressure:
        """Say how far the slowest replica that is connected is behind."""
        with explained(self._name), self._session.reading() as tx:
            return replicas.pressure(tx)

    def now(self) -> datetime:
        """Return the time by the server's clock."""
        with explained(self._name), self._session.reading() as tx:
            said: datetime = tx.value("SELECT clock_timestamp()")
        return said.astimezone(UTC)

    def close(self) -> None:
        """Close both connections."""
        self._session.close()
        self._verifier.close()


def _tables_of(tx: Transaction, dataset: Dataset) -> Iterator[tuple[int, str]]:
    """Yield object id and title of the tables that hold a dataset's rows."""
    written = [(dataset.table, dataset.schema)]
    if dataset.tombstone and dataset.tombstone.table:
        written.append((dataset.tombstone.table, dataset.tombstone.schema))
    for each in written:
        yield from ((oid, f"{schema}.{name}") for oid, schema, name, _ in find_tables(tx, *each))
