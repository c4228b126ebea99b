"""One connection: how it is made, which settings each of its transactions has, and how it comes back when lost.

Settings are made at the begin of every transaction and not once for the connection: so they also hold behind a pool
that hands each transaction to another server connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict

from retentiond.connectors.postgresql.failures import explained
from retentiond.connectors.postgresql.names import shown
from retentiond.errors import ConnectorError

Row: TypeAlias = tuple[Any, ...]
Parameters: TypeAlias = Mapping[str, object]

APPLICATION = "retentiond"
OLDEST_VERSION = 15
LOCK_MILLISECONDS = 100
STATEMENT_MILLISECONDS = 10_000
SCAN_MILLISECONDS = 600_000
_NOTHING: Parameters = {}
_CONNECT: Mapping[str, Any] = {
    "application_name": APPLICATION,
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "client_encoding": "UTF8",
}
_SETTINGS = {
    "row_security": "off",  # rows that a policy hides are an error, and not absent
    "search_path": "pg_catalog, pg_temp",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "idle_in_transaction_session_timeout": "60s",
}
_SECRETS = ("password", "sslpassword")
_NO_RIGHT = "permission denied for database"
_LASTING = ("authentication", "does not exist", _NO_RIGHT)
_PREAMBLE = (
    "SELECT "
    + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items())
    + ", set_config('lock_timeout', %(lock)s, true), set_config('statement_timeout', %(statement)s, true)"
    + ", CASE WHEN %(read_only)s THEN set_config('transaction_read_only', 'on', true) END"
    # a commit that a crash of the server could undo is none
    + ", CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')"
    + " THEN set_config('synchronous_commit', 'on', true) END, pg_catalog.pg_is_in_recovery()"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which database a connection reaches.

    Attributes:
        system: The cluster's system identifier, which copies of it have, too; empty where the role may not read it.
        started: When the server started, which every role may read, to the microsecond.
    """

    system: str
    database: int
    started: str

    def same(self, other: Identity) -> bool:
        """Whether both are certainly the same database, where the server may have been started anew in between."""
        if self.database != other.database or self.system != other.system:
            return False
        return bool(self.system) or self.started == other.started

    def meets(self, other: Identity) -> bool:
        """Whether two connections that live reach one database on one server, and not a copy of it."""
        return (self.database, self.started) == (other.database, other.started)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a primary stood: on which timeline, how far."""

    timeline: int
    lsn: str


class Session:
    """A connection that is made when it is first needed, and again after it was lost. One thread at a time.

    Args:
        dsn: Connection string or URI, secret included.
        where: The store's name, for errors.
        read_only: Whether every transaction is read-only.
    """

    def __init__(self, dsn: str, where: str, *, read_only: bool = False) -> None:
        self._dsn = dsn
        self._where = where
        self._read_only = read_only
        self._connection: psycopg.Connection[Row] | None = None
        self._identity: Identity | None = None

    @property
    def identity(self) -> Identity:
        """Which database this session reaches; the same for all its connections."""
        if self._identity is None:
            self._connect()
        if self._identity is None:
            raise ConnectorError("the database could not be identified", where=self._where)
        return self._identity

    def _connect(self) -> psycopg.Connection[Row]:
        connection = self._connection
        if connection is not None and not connection.closed and not connection.broken:
            return connection
        self.close()
        try:
            connection = psycopg.connect(self._dsn, autocommit=True, prepare_threshold=None, **_CONNECT)
        except psycopg.Error as error:
            raise self._refused(error) from None
        try:
            self._settle_in(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _refused(self, error: psycopg.Error) -> ConnectorError:
        """Return why there is no connection, in libpq's words without the secrets that it may repeat."""
        try:
            parts = conninfo_to_dict(self._dsn)
        except psycopg.ProgrammingError:
            return ConnectorError(
                "the connection string cannot be read",
                where=self._where,
                remedy="write it as postgresql://user@host/database, or as host=… dbname=… user=…",
            )
        words = " ".join(str(error).split())
        for secret in (str(parts[name]) for name in _SECRETS if parts.get(name)):
            words = words.replace(secret, "…")
        remedy = "check the connection string, the server, and pg_hba.conf"
        if _NO_RIGHT in words:
            database, user = (shown(str(parts.get(name) or "…")) for name in ("dbname", "user"))
            remedy = f"GRANT CONNECT ON DATABASE {database} TO {user}"
        transient = all(each not in words for each in _LASTING)
        return ConnectorError(f"no connection: {words}", where=self._where, remedy=remedy, transient=transient)

    def _settle_in(self, connection: psycopg.Connection[Row]) -> None:
        version = connection.info.server_version // 10_000
        if version < OLDEST_VERSION:
            remedy = f"upgrade the server to {OLDEST_VERSION} or later"
            raise ConnectorError(f"this is PostgreSQL {version}", where=self._where, remedy=remedy)
        connection.isolation_level = IsolationLevel.READ_COMMITTED
        with explained(self._where):
            if self._read_only:
                connection.execute("SET default_transaction_read_only = on")
            identity = _identify(connection)
        if self._identity is not None and not self._identity.same(identity):
            raise ConnectorError(
                "the connection string now leads to another database",
                where=self._where,
                remedy="let it lead to one cluster, and run `retentiond check`",
            )
        self._identity = identity

    @contextmanager
    def transaction(
        self,
        *,
        lock_ms: int = LOCK_MILLISECONDS,
        statement_ms: int = STATEMENT_MILLISECONDS,
        snapshot: bool = False,
        read_only: bool = False,
    ) -> Iterator[Transaction]:
        """Begin a transaction with all settings; whatever is raised inside undoes it.

        Args:
            snapshot: Whether all its statements see one state.

        Raises:
            psycopg.Error: Of the statements, and of the commit.
        """
        connection = self._connect()
        connection.isolation_level = IsolationLevel.REPEATABLE_READ if snapshot else IsolationLevel.READ_COMMITTED
        with connection.transaction():
            transaction = Transaction(connection)
            limits = {"lock": str(lock_ms), "statement": str(statement_ms), "read_only": read_only or self._read_only}
            transaction.standby = transaction.row(_PREAMBLE, limits)[-1]
            yield transaction

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Look at one state of the database; nothing can be written."""
        with self.transaction(statement_ms=SCAN_MILLISECONDS, snapshot=True, read_only=True) as transaction:
            yield transaction

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone, so that nobody can tell how its last transaction ended."""
        connection = self._connection
        return connection is None or connection.closed or connection.broken

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Transaction:
    """Statements inside a transaction.

    Attributes:
        standby: Whether the server is in recovery, so that it may be behind its primary.
    """

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection
        self.standby = True

    def rows(self, sql: str, parameters: Parameters = _NOTHING) -> list[Row]:
        """Return all rows of a statement; a `%` in the text is written twice."""
        with self._connection.cursor(binary=True) as cursor:
            cursor.execute(sql.encode(), parameters)
            return cursor.fetchall()

    def row(self, sql: str, parameters: Parameters = _NOTHING) -> Row:
        """Return the one row of a statement that has exactly one."""
        (row,) = self.rows(sql, parameters)
        return row

    def value(self, sql: str, parameters: Parameters = _NOTHING) -> Any:  # noqa: ANN401 -- whatever the column holds
        """Return the first value of the first row; None where there is none."""
        rows = self.rows(sql, parameters)
        return rows[0][0] if rows else None

    def run(self, sql: str, parameters: Parameters = _NOTHING) -> None:
        """Run a statement that gives no rows."""
        self._connection.execute(sql.encode(), parameters)

    def position(self) -> Position | None:
        """Return where a primary stands; None for a standby, which has no position of its own."""
        if self.standby:
            return None
        lsn, file = self.row("SELECT at::text, pg_walfile_name(at) FROM pg_current_wal_lsn() AS at")
        return Position(int(file[:8], 16), lsn)


def _identify(connection: psycopg.Connection[Row]) -> Identity:
    system = ""
    try:
        (system,) = _first(connection, "SELECT system_identifier::text FROM pg_catalog.pg_control_system()")
    except psycopg.errors.InsufficientPrivilege:
        system = ""
    database, started = _first(
        connection,
        "SELECT oid::int8, extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text"
        " FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()",
    )
    return Identity(system, database, started)


def _first(connection: psycopg.Connection[Row], sql: str) -> Sequence[Any]:
    row = connection.execute(sql.encode()).fetchone()
    return row if row is not None else ()
