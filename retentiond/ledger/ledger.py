"""The ledger in a file of SQLite: opening it, its transactions, its lock, copies and checks of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import Connection

from retentiond.errors import LedgerError
from retentiond.ledger import files
from retentiond.ledger.acting import acting_lock
from retentiond.ledger.approvals import SqlApprovals
from retentiond.ledger.batches import SqlBatches
from retentiond.ledger.checks import findings
from retentiond.ledger.claims import SqlClaims
from retentiond.ledger.closures import SqlClosures
from retentiond.ledger.connection import make_engine, transaction
from retentiond.ledger.entries import SqlEntries, SqlLogState
from retentiond.ledger.events import SqlEvents, SqlFacts
from retentiond.ledger.holds import SqlHolds
from retentiond.ledger.journal import SqlJournal, SqlPending
from retentiond.ledger.plans import SqlPlans
from retentiond.ledger.receipts import SqlReceipts
from retentiond.ledger.recovery import SqlRecovery
from retentiond.ledger.runs import SqlRuns
from retentiond.ledger.schema import APPLICATION_ID, REVISION
from retentiond.ledger.session import Session
from retentiond.ledger.trouble import is_damage, translated
from retentiond.ports import ledger as port
from retentiond.ports import recovery as recovery_port
from retentiond.ports.log import LogState


class SqlTransaction:
    """One open transaction: a noun for each table."""

    def __init__(self, session: Session) -> None:
        self.plans: port.Plans = SqlPlans(session)
        self.batches: port.Batches = SqlBatches(session)
        self.claims: port.Claims = SqlClaims(session)
        self.runs: port.Runs = SqlRuns(session)
        self.approvals: port.Approvals = SqlApprovals(session)
        self.holds: port.Holds = SqlHolds(session)
        self.closures: port.Closures = SqlClosures(session)
        self.receipts: port.Receipts = SqlReceipts(session)
        self.entries: port.Entries = SqlEntries(session)
        self.journal: recovery_port.Journals = SqlJournal(session)
        self.pending: recovery_port.Pendings = SqlPending(session)
        self.recovery: recovery_port.Recovery = SqlRecovery(session)
        self.events: port.Events = SqlEvents(session)
        self.facts: port.Facts = SqlFacts(session)


class SqlLedger:
    """What happened, in one file. Threads may share it; `open_ledger` makes it.

    Args:
        path: An existing file, absolute.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log_state: LogState = SqlLogState(self._session)
        self._where = str(path)
        self._engine = make_engine(path)
        self._thread = threading.local()

    @contextmanager
    def begin(self) -> Iterator[port.Transaction]:
        """Begin a transaction that may write; it waits some seconds for another one to end.

        Raises:
            LedgerError: It cannot be begun or committed (locked, full disk, damaged); nothing of it happened.
        """
        with self._session() as session:
            yield SqlTransaction(session)

    def acting(self) -> AbstractContextManager[None]:
        """Be the one process that acts; at the end, what was given up leaves the write-ahead log too.

        Raises:
            LedgerBusy: Another process acts on this ledger.
        """
        return self._acting()

    def scrub(self) -> bool:
        """Move the write-ahead log into the file and truncate it, so that it keeps nothing that was given up since.

        Returns:
            False when a reader stood in the way; the next call does it then.

        Raises:
            LedgerError: The file cannot be written.
        """
        return files.scrub(self.path)

    def backup(self, target: Path) -> None:
        """Write a consistent copy; the target must not exist.

        Raises:
            LedgerError: It exists or cannot be written, or the ledger cannot be read; no part of a copy is left.
        """
        files.copy(self.path, target.absolute())

    def check(self) -> Iterator[str]:
        """Yield what is wrong with the ledger itself; nothing when it is sound.

        Raises:
            LedgerError: It cannot be read, for a reason other than damage.
        """
        found: list[str] = []
        try:
            with self._session(snapshot=True) as session:
                found.extend(findings(session))
        except LedgerError as error:
            if not is_damage(error):
                raise
            found.append(error.what)
        return iter(found)

    def close(self) -> None:
        """Let go of connections."""
        self._engine.dispose()

    def bring_up_to_date(self) -> None:
        """Upgrade the tables where an older program made them.

        Raises:
            LedgerError: The file is no ledger, or a newer program made it.
        """
        with self._session(snapshot=True) as session:
            revision = self._revision(session.connection)
        if revision == REVISION:
            return
        from retentiond.ledger.upgrade import known_revisions, upgrade  # noqa: PLC0415 - as in files.py

        if revision not in known_revisions():
            raise LedgerError(
                f"the ledger's tables are of revision {revision}, which this program does not know",
                where=self._where,
                remedy="use the version of retentiond that wrote it, or a newer one",
            )
        with self._session() as session, translated(self._where):
            upgrade(session.connection)

    def _revision(self, connection: Connection) -> str:
        with translated(self._where):
            application: int = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
            if application == APPLICATION_ID:
                revision: str = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
                return revision
        raise LedgerError(
            "the file is not a ledger of retentiond",
            where=self._where,
            remedy="name another file as `ledger` in retentiond.yaml; `retentiond init` makes one",
        )

    @contextmanager
    def _acting(self) -> Iterator[None]:
        with acting_lock(self.path):
            yield
            self.scrub()

    @contextmanager
    def _session(self, *, snapshot: bool = False) -> Iterator[Session]:
        if getattr(self._thread, "is_inside", False):
            raise LedgerError(
                "a transaction was begun inside another one, and would wait for itself",
                where=self._where,
                remedy="report this as a defect of retentiond",
            )
        self._thread.is_inside = True
        try:
            with transaction(self._engine, self._where, snapshot=snapshot) as connection:
                yield Session(connection, self._where)
        finally:
            self._thread.is_inside = False


def open_ledger(path: Path, *, create: bool = False) -> SqlLedger:
    """Open a ledger, and upgrade it where an older program made it.

    Args:
        create: Make it where there is none.

    Raises:
        LedgerError: There is none, it is no ledger, it is damaged, or a newer program made it.
    """
    path = path.absolute()
    if not files.is_there(path):
        if not create:
            raise LedgerError(
                "there is no ledger",
                where=str(path),
                remedy="`retentiond init` makes one; or name another file as `ledger` in retentiond.yaml",
            )
        files.create(path)
    ledger = SqlLedger(path)
    try:
        ledger.bring_up_to_date()
    except BaseException:
        ledger.close()
        raise
    return ledger
