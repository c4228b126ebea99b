"""The ledger: opening it, its transactions, its lock, copies and checks of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from retentiond.errors import LedgerError
from retentiond.ledger import files
from retentiond.ledger.approvals import SqlApprovals
from retentiond.ledger.audits import SqlAnchors, SqlAudits
from retentiond.ledger.backend import Access, Backend, transaction
from retentiond.ledger.batches import SqlBatches
from retentiond.ledger.checks import findings
from retentiond.ledger.claims import SqlClaims
from retentiond.ledger.closures import SqlClosures
from retentiond.ledger.database import Database
from retentiond.ledger.entries import SqlEntries, SqlLogState
from retentiond.ledger.erasures import SqlErasures
from retentiond.ledger.events import SqlEvents, SqlFacts
from retentiond.ledger.holds import SqlHolds
from retentiond.ledger.journal import SqlJournal, SqlPending
from retentiond.ledger.lookback import SqlLookback
from retentiond.ledger.orders import SqlOrders
from retentiond.ledger.plans import SqlPlans
from retentiond.ledger.receipts import SqlReceipts
from retentiond.ledger.recovery import SqlRecovery
from retentiond.ledger.runs import SqlRuns
from retentiond.ledger.schema import REVISION
from retentiond.ledger.seals import SqlSeals
from retentiond.ledger.session import Session
from retentiond.ledger.slots import SqlSlots
from retentiond.ledger.sqlite import SqliteBackend, create_file
from retentiond.ledger.trouble import is_damage
from retentiond.ports import ledger as port
from retentiond.ports import recovery as recovery_port
from retentiond.ports.audit import Anchors, Audits
from retentiond.ports.closures import Closures
from retentiond.ports.erasures import Erasures
from retentiond.ports.log import Entries, LogState
from retentiond.ports.orders import Orders, Role
from retentiond.ports.receipts import Receipts
from retentiond.ports.rows import OwnTables
from retentiond.ports.seals import Seals
from retentiond.ports.slots import Slots


class SqlTransaction:
    """One open transaction: a noun for each table."""

    def __init__(self, session: Session) -> None:
        self.plans: port.Plans = SqlPlans(session)
        self.batches: port.Batches = SqlBatches(session)
        self.claims: port.Claims = SqlClaims(session)
        self.lookback: port.Lookback = SqlLookback(session)
        self.runs: port.Runs = SqlRuns(session)
        self.approvals: port.Approvals = SqlApprovals(session)
        self.holds: port.Holds = SqlHolds(session)
        self.closures: Closures = SqlClosures(session)
        self.erasures: Erasures = SqlErasures(session)
        self.receipts: Receipts = SqlReceipts(session)
        self.entries: Entries = SqlEntries(session)
        self.journal: recovery_port.Journals = SqlJournal(session)
        self.pending: recovery_port.Pendings = SqlPending(session)
        self.recovery: recovery_port.Recovery = SqlRecovery(session)
        self.slots: Slots = SqlSlots(session)
        self.events: port.Events = SqlEvents(session)
        self.anchors: Anchors = SqlAnchors(session)
        self.audits: Audits = SqlAudits(session)
        self.facts: port.Facts = SqlFacts(session)
        self.seals: Seals = SqlSeals(session)


class SqlLedger:
    """What happened. Threads may share it; `open_ledger` makes it."""

    def __init__(self, backend: Backend) -> None:
        self.log_state: LogState = SqlLogState(self._session)
        self.where = backend.where
        self._backend = backend
        self._thread = threading.local()

    @contextmanager
    def begin(self, *, shared: bool = False) -> Iterator[port.Transaction]:
        """Begin a transaction that may write; it waits some seconds for another one to end.

        Args:
            shared: Whether others like it may run beside it (PostgreSQL only): for what reads nothing but its own
                batch and the holds, which are locked.

        Raises:
            LedgerBusy: This process acted, and has lost its lock: another one may act by now.
            LedgerError: It cannot be begun or committed (locked, full disk, damaged, connection lost). Nothing of it
                happened, unless the error says that this is unknown.
        """
        with self._session(Access.SHARED if shared else Access.ALONE) as session:
            yield SqlTransaction(session)

    def own_tables(self) -> OwnTables | None:
        """Return where the ledger's own tables lie; None where no store can hold them."""
        with self._session(Access.SNAPSHOT) as session:
            return self._backend.own_tables(session.connection)

    def acting(self) -> AbstractContextManager[None]:
        """Be the one process that acts, until the block ends or the lock is lost: see `begin`.

        Raises:
            LedgerBusy: Another process acts on this ledger.
        """
        return self._backend.acting()

    @contextmanager
    def orders(self) -> Iterator[Orders]:
        """Begin a transaction on orders, beside whatever else is under way."""
        with self._session(Access.APART) as session:
            yield SqlOrders(session)

    def attending(self, role: Role) -> AbstractContextManager[int]:
        """Be seen by others, under the number that this gives, until the block ends; 0 where nobody looks."""
        return self._backend.attending(role)

    def attendants(self, role: Role) -> frozenset[int]:
        """Return the numbers of those who attend: who are there, and not frozen."""
        with self._session(Access.SNAPSHOT) as session:
            return self._backend.attendants(session.connection, role)

    def scrub(self) -> bool:
        """Overwrite what was given up since, as far as the engine can.

        Returns:
            False when a reader stood in the way; the next call does it then.

        Raises:
            LedgerError: The ledger cannot be written.
        """
        return self._backend.scrub()

    def backup(self, target: Path) -> None:
        """Write a consistent copy; the target must not exist.

        Raises:
            LedgerError: It exists or cannot be written, or the ledger cannot be read; no part of a copy is left.
        """
        self._backend.backup(target.absolute())

    def check(self) -> Iterator[str]:
        """Yield what is wrong with the ledger itself; nothing when it is sound.

        Raises:
            LedgerError: It cannot be read, for a reason other than damage.
        """
        found: list[str] = []
        try:
            with self._session(Access.SNAPSHOT) as session:
                found.extend(findings(session, self._backend))
        except LedgerError as error:
            if not is_damage(error):
                raise
            found.append(error.what)
        return iter(found)

    def upgrade(self) -> bool:
        """Upgrade the tables; False where they are up to date.

        Raises:
            LedgerBusy: A process acts on this ledger.
            LedgerError: It cannot be upgraded, or a newer program made it.
        """
        if self._revision() == REVISION:
            return False
        self._backend.upgrade()
        return True

    def close(self) -> None:
        """Let go of connections."""
        self._backend.close()

    def bring_up_to_date(self) -> None:
        """Upgrade the tables where an older program made them and nobody else works with them.

        Raises:
            LedgerError: This is no ledger, a newer program made it, or its upgrade is for somebody to decide.
        """
        revision = self._revision()
        if revision != REVISION:
            self._backend.bring_up_to_date(revision)

    def _revision(self) -> str:
        """Return the revision of the tables, which this program knows."""
        with self._session(Access.SNAPSHOT) as session:
            revision = self._backend.revision(session.connection)
        if revision != REVISION:
            self._require_known(revision)
        return revision

    def _require_known(self, revision: str) -> None:
        from retentiond.ledger.upgrade import known_revisions  # noqa: PLC0415 - as in sqlite.py

        if revision not in known_revisions():
            raise LedgerError(
                f"the ledger's tables are of revision {revision}, which this program does not know",
                where=self.where,
                remedy="use the version of retentiond that wrote it, or a newer one",
            )

    @contextmanager
    def _session(self, access: Access = Access.ALONE) -> Iterator[Session]:
        before = getattr(self._thread, "is_inside", False)
        if before and access is not Access.APART:
            raise LedgerError(
                "a transaction was begun inside another one, and would wait for itself",
                where=self.where,
                remedy="report this as a defect of retentiond",
            )
        self._thread.is_inside = True
        try:
            with transaction(self._backend, access) as connection:
                yield Session(connection, self._backend, shared=access is Access.SHARED)
        finally:
            self._thread.is_inside = before


def open_ledger(place: Path | Database, *, create: bool = False) -> SqlLedger:
    """Open a ledger; one in a file is upgraded where an older program made it.

    Args:
        place: Its file, or the database and schema that hold it.
        create: Make it where there is none.

    Raises:
        LedgerError: There is none, it is no ledger, it is damaged, it has to be upgraded, or a newer program made it.
    """
    ledger = SqlLedger(_backend(place, create=create))
    try:
        ledger.bring_up_to_date()
    except BaseException:
        ledger.close()
        raise
    return ledger


def open_for_upgrade(place: Path | Database) -> SqlLedger:
    """Open a ledger of any revision that this program knows, to upgrade it.

    Raises:
        LedgerError: There is none.
    """
    return SqlLedger(_backend(place, create=False))


def _backend(place: Path | Database, *, create: bool) -> Backend:
    if isinstance(place, Database):
        from retentiond.ledger.postgresql import open_backend  # noqa: PLC0415 - who has a file needs no psycopg

        return open_backend(place, create=create)
    path = place.absolute()
    if not files.is_there(path):
        if not create:
            raise LedgerError(
                "there is no ledger",
                where=str(path),
                remedy="`retentiond init` makes one; or name another file as `ledger` in retentiond.yaml",
            )
        create_file(path)
    return SqliteBackend(path)
