"""The ledger in a schema of a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, create_engine

from retentiond.errors import LedgerError
from retentiond.ledger import pg_checks, pg_dump, sqlstates
from retentiond.ledger.backend import Access, CheckWords, transaction
from retentiond.ledger.database import Database
from retentiond.ledger.pg_acting import READ_TERM, Acting, acting_lock, last_term
from retentiond.ledger.pg_attending import attending, found
from retentiond.ledger.pg_locks import Locks
from retentiond.ledger.pg_session import NO_LIMIT, connect, described, in_ledger_words, limited
from retentiond.ledger.schema import metadata
from retentiond.ledger.trouble import in_words, translated
from retentiond.ports.orders import Role
from retentiond.ports.rows import OwnTables

_POOL = 5
_MOST_CONNECTIONS = 30
_POOL_SECONDS = 30
_VERSION_TABLE = "alembic_version"
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE"
_TABLES_THERE = "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relname = ANY(%s)"
_DATABASE = """SELECT oid::int8, extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text
    FROM pg_catalog.pg_database WHERE datname = current_database()"""
_HAS_REVISION = "SELECT to_regclass(%s) IS NOT NULL"


class PostgresqlBackend:
    """A ledger in a database."""

    check_words = CheckWords(
        entry_has="position(convert_to({0}, 'UTF8') IN entry) > 0",
        sum_of_outcomes="(SELECT coalesce(sum(value::bigint), 0) FROM json_each_text(outcomes::json))",
    )

    def __init__(self, database: Database) -> None:
        self.database = database
        self.where = described(database)
        self.locks = Locks(database.schema)
        self.engine = create_engine(
            "postgresql+psycopg://",
            creator=lambda: connect(database, self.where),
            pool_size=_POOL,
            max_overflow=_MOST_CONNECTIONS - _POOL,
            pool_timeout=_POOL_SECONDS,
            pool_use_lifo=True,
            hide_parameters=True,
            use_native_hstore=False,
        )
        self._acting: Acting | None = None

    def begin(self, connection: Connection, access: Access) -> None:
        """Begin a transaction, and take its turn; a connection that was lost since its last use is replaced once.

        Raises:
            LedgerBusy: This process acts, and its lock is lost, or another process acted since.
        """
        acting = None if access is Access.APART else self._acting
        if acting is not None:
            acting.require_lock()
        try:
            self._begin(connection, access, acting)
        except psycopg.Error as error:
            if not sqlstates.is_lost(error):
                raise in_words(error, self.where) from error
            self._replace(connection)
            with in_ledger_words(self.where):
                self._begin(connection, access, acting)
        connection.begin()  # for SQLAlchemy and Alembic; nothing is sent

    def require_open(self, connection: Connection) -> None:
        """Raise LedgerError where the server ended the transaction, as it does after each error.

        A COMMIT would then be answered with ROLLBACK, which is no error.
        """
        if (
            connection.invalidated
            or _raw(connection).info.transaction_status is not psycopg.pq.TransactionStatus.INTRANS
        ):
            raise LedgerError(
                "the transaction was rolled back after an error; nothing of it happened",
                where=self.where,
                remedy="correct what the first error named, then try again",
            )

    def commit(self, connection: Connection) -> None:
        """Commit.

        Raises:
            LedgerError: It was refused, and nothing happened; or its answer was lost, and this says so.
        """
        raw = _raw(connection)
        try:
            answer = raw.execute("COMMIT", prepare=False).statusmessage
        except psycopg.Error as error:
            connection.invalidate()
            failed = in_words(error, self.where)
            if sqlstates.is_lost(error):
                raise LedgerError(
                    f"it is not known whether the last change of the ledger was committed: {failed.what}",
                    where=self.where,
                    remedy="see that the database runs, then run the command again: it reads what happened",
                ) from error
            raise failed from error
        except BaseException:
            connection.invalidate()
            raise
        if answer != "COMMIT":
            raise LedgerError(
                f"the ledger answered {answer} to a commit; nothing of it happened",
                where=self.where,
                remedy="try again; where it comes again, look at the database's log",
            )

    def lock_appends(self, connection: Connection) -> None:
        """Keep others from adding entries and events until this transaction ends."""
        connection.exec_driver_sql(self.locks.appends)

    def revision(self, connection: Connection) -> str:
        """Return the revision of the tables."""
        return self._revision(connection) or self._refuse_none()

    def bring_up_to_date(self, revision: str) -> None:
        """Refuse: others may work with this ledger, and somebody must say when it is upgraded."""
        raise LedgerError(
            f"the ledger's tables are of revision {revision}, older than this program",
            where=self.where,
            remedy="back it up, end older versions of retentiond that use it, then run `retentiond ledger upgrade`",
        )

    def upgrade(self) -> None:
        """Upgrade tables of an older revision, while nobody acts."""
        with self.acting():
            self._migrate()

    def create(self) -> None:
        """Make schema and tables where there are none.

        Raises:
            LedgerError: The schema holds tables of these names that are not retentiond's, or may not be made.
        """
        with transaction(self) as connection, in_ledger_words(self.where):
            raw = _raw(connection)
            if raw.execute("SELECT to_regnamespace(%s) IS NULL", [self.locks.quoted_schema]).fetchone() == (True,):
                raw.execute(f"CREATE SCHEMA {self.locks.quoted_schema}".encode())
            self._require_free(raw)
            with translated(self.where):
                self._migrate_on(connection)

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Be the one process that acts, until the block ends or the lock's connection is lost."""
        with acting_lock(self.database, self.where, self.locks) as acting:
            self._acting = acting
            try:
                yield
            finally:
                self._acting = None

    def attending(self, role: Role) -> AbstractContextManager[int]:
        """Attend, until the block ends or the connection is lost."""
        return attending(self.database, self.where, role, self.locks.groups[role])

    def attendants(self, connection: Connection, role: Role) -> frozenset[int]:
        """Return the numbers of those who attend."""
        return found(connection, self.locks.groups[role])

    def scrub(self) -> bool:
        """Do nothing: what was given up leaves the files when PostgreSQL vacuums and recycles its log."""
        return True

    def backup(self, target: Path) -> None:
        """Write an archive of the schema with pg_dump."""
        with transaction(self, Access.SNAPSHOT) as connection:
            server: int = _raw(connection).info.server_version
        pg_dump.dump(self.database, self.where, server, target)

    def findings(self, connection: Connection) -> Iterator[str]:
        """Yield what is wrong with the database's settings, rows that name nothing, and triggers that are gone."""
        with in_ledger_words(self.where):
            yield from list(pg_checks.findings(_raw(connection), self.locks.quoted_schema))

    def has_tables(self) -> bool:
        """Tell whether there is a ledger, of whatever revision."""
        with transaction(self, Access.SNAPSHOT) as connection:
            return self._revision(connection) is not None

    def own_tables(self, connection: Connection) -> OwnTables:
        """Return where the ledger's own tables lie."""
        raw = _raw(connection)
        names = [_VERSION_TABLE, *metadata.tables]
        with in_ledger_words(self.where):
            ((database, started),) = raw.execute(_DATABASE).fetchall()
        return OwnTables(f"{started}/{database}", frozenset(f"{self.database.schema}.{name}" for name in names))

    def close(self) -> None:
        """Let go of connections."""
        self.engine.dispose()

    def _begin(self, connection: Connection, access: Access, acting: Acting | None) -> None:
        raw = _raw(connection)
        if access is Access.SNAPSHOT:
            raw.execute(_SNAPSHOT, prepare=False)
            return
        if access is Access.APART:
            raw.execute(_BEGIN, prepare=False)
            return
        turn = self.locks.shared_turn if access is Access.SHARED else self.locks.turn
        # One round trip: each statement of it sees what was committed before it began, so after the turn was taken.
        asked = f"{_BEGIN}; {turn}" if acting is None else f"{_BEGIN}; {turn}; {READ_TERM}"
        answers = raw.execute(asked.encode(), prepare=False)
        if acting is not None:
            acting.require_term(last_term(answers))

    def _replace(self, connection: Connection) -> None:
        connection.invalidate()
        self.engine.dispose()  # the others are most likely lost, too
        with translated(self.where):
            connection.connection  # noqa: B018 - this connects

    def _revision(self, connection: Connection) -> str | None:
        with in_ledger_words(self.where):
            raw = _raw(connection)
            table = f"{self.locks.quoted_schema}.{_VERSION_TABLE}"
            if raw.execute(_HAS_REVISION, [table]).fetchone() != (True,) or not self._is_ours(raw):
                return None
            found = raw.execute(f"SELECT version_num FROM {table}".encode()).fetchone()
            return None if found is None else str(found[0])

    def _is_ours(self, raw: psycopg.Connection[Any]) -> bool:
        ours = ["log_entries", "hold_epoch", "batches"]
        return raw.execute(_TABLES_THERE, [self.locks.quoted_schema, ours]).fetchone() == (len(ours),)

    def _refuse_none(self) -> str:
        raise LedgerError(
            "there is no ledger of retentiond in this schema",
            where=self.where,
            remedy="`retentiond init --ledger-dsn-env NAME` makes one; or correct the DSN or `schema`",
        )

    def _require_free(self, raw: psycopg.Connection[Any]) -> None:
        names = [_VERSION_TABLE, *metadata.tables]
        if raw.execute(_TABLES_THERE, [self.locks.quoted_schema, names]).fetchone() != (0,):
            raise LedgerError(
                "the schema holds tables of another program, or a part of a ledger",
                where=self.where,
                remedy="name a schema of retentiond's own as `ledger.schema`",
            )

    def _migrate(self) -> None:
        with transaction(self) as connection, translated(self.where):
            self._migrate_on(connection)

    def _migrate_on(self, connection: Connection) -> None:
        from retentiond.ledger.upgrade import upgrade  # noqa: PLC0415 - Alembic is slow to import, and rarely needed

        with limited(_raw(connection), statement_timeout=NO_LIMIT):
            upgrade(connection)


def open_backend(database: Database, *, create: bool) -> PostgresqlBackend:
    """Open a ledger of whatever revision.

    Args:
        create: Make it where there is none.

    Raises:
        LedgerError: The database cannot be reached, or is a standby.
    """
    backend = PostgresqlBackend(database)
    try:
        if create and not backend.has_tables():
            backend.create()
    except BaseException:
        backend.close()
        raise
    return backend


def _raw(connection: Connection) -> psycopg.Connection[Any]:
    raw = connection.connection.driver_connection
    if not isinstance(raw, psycopg.Connection):
        message = "the connection is closed"
        raise psycopg.OperationalError(message)
    return raw
