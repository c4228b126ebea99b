"""The ledger in a file of SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Connection, QueuePool, create_engine, text

from retentiond.errors import LedgerError
from retentiond.ledger import files
from retentiond.ledger.acting import acting_lock
from retentiond.ledger.backend import Access, CheckWords, transaction
from retentiond.ledger.connection import open_file
from retentiond.ledger.schema import APPLICATION_ID, GUARDS
from retentiond.ledger.trouble import translated
from retentiond.ports.orders import Role

_AT_MOST = 100  # findings of one kind


class SqliteBackend:
    """A ledger in a file.

    Args:
        path: An existing file, absolute.
        where: What errors call it, where that is not its path.
    """

    check_words = CheckWords(
        entry_has="instr(CAST(entry AS TEXT), {0}) > 0",
        sum_of_outcomes="(SELECT coalesce(sum(value), 0) FROM json_each(outcomes))",
    )

    def __init__(self, path: Path, where: str = "") -> None:
        self.path = path
        self.where = where or str(path)
        self.engine = create_engine(
            "sqlite://", creator=lambda: open_file(path), poolclass=QueuePool, max_overflow=-1, hide_parameters=True
        )

    def begin(self, connection: Connection, access: Access) -> None:
        """Begin a transaction; one that may write takes the one write lock at once.

        A transaction that starts to write later can meet SQLITE_BUSY_SNAPSHOT, which no time-out waits for.
        """
        connection.exec_driver_sql("BEGIN" if access is Access.SNAPSHOT else "BEGIN IMMEDIATE")

    def require_open(self, connection: Connection) -> None:
        """Raise LedgerError where SQLite rolled the transaction back, as it may on a full disk or an I/O error."""
        raw = connection.connection.driver_connection
        if raw is None or not raw.in_transaction:
            raise LedgerError(
                "the transaction was rolled back after an error; nothing of it happened",
                where=self.where,
                remedy="look at the disk (its space, limits and health), then try again",
            )

    def commit(self, connection: Connection) -> None:
        """Commit."""
        try:
            connection.commit()
        except BaseException:
            # SQLite's transaction is then still open, and would end with the next COMMIT: closing its file ends it.
            connection.invalidate()
            raise

    def lock_appends(self, connection: Connection) -> None:
        """Do nothing: who may write holds the one write lock."""

    def revision(self, connection: Connection) -> str:
        """Return the revision of the tables."""
        with translated(self.where):
            application: int = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
            if application == APPLICATION_ID:
                revision: str = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
                return revision
        raise LedgerError(
            "the file is not a ledger of retentiond",
            where=self.where,
            remedy="name another file as `ledger` in retentiond.yaml; `retentiond init` makes one",
        )

    def bring_up_to_date(self, revision: str) -> None:
        """Upgrade: the file is this program's own."""
        del revision
        self.upgrade()

    def upgrade(self) -> None:
        """Upgrade tables of an older revision."""
        from retentiond.ledger.upgrade import upgrade  # noqa: PLC0415 - Alembic is slow to import, and rarely needed

        with transaction(self) as connection, translated(self.where):
            upgrade(connection)

    def own_tables(self, connection: Connection) -> None:  # noqa: ARG002 - the port gives it
        """Say that no store holds them: a ledger's file is nobody's data."""
        return

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Be the one process that acts; at the end, what was given up leaves the write-ahead log too."""
        with acting_lock(self.path):
            yield
            self.scrub()

    def attending(self, role: Role) -> AbstractContextManager[int]:
        """Do nothing: with a ledger in a file everybody acts in their own process."""
        del role
        return nullcontext(0)

    def attendants(self, connection: Connection, role: Role) -> frozenset[int]:
        """Return nobody."""
        del connection, role
        return frozenset()

    def scrub(self) -> bool:
        """Move the write-ahead log into the file and truncate it; False when a reader stood in the way."""
        return files.scrub(self.path)

    def backup(self, target: Path) -> None:
        """Write a consistent copy to a new file."""
        files.copy(self.path, target)

    def findings(self, connection: Connection) -> Iterator[str]:
        """Yield damage of the file, rows that name nothing, and triggers that are gone."""
        for (line,) in connection.execute(text(f"PRAGMA integrity_check({_AT_MOST})")):
            if line != "ok":
                yield f"the file is damaged: {line}"
        for row in connection.execute(text("PRAGMA foreign_key_check")):
            yield "row {1} of {0} names a row of {2} that is not there".format(*row)
        triggers = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars()
        for name in sorted(GUARDS - set(triggers)):
            yield f"the trigger {name}, which keeps history from being changed, is gone"

    def close(self) -> None:
        """Let go of connections."""
        self.engine.dispose()


def create_file(path: Path) -> None:
    """Make an empty ledger, readable and writable by its owner only.

    Raises:
        LedgerError: The file exists, or cannot be made.
    """
    with files.appearing(path) as draft:
        backend = SqliteBackend(draft, str(path))
        try:
            backend.upgrade()
        finally:
            backend.close()
