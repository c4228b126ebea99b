"""Connections to the ledger's file: how they are set, and how a transaction begins and ends on them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event

from retentiond.errors import LedgerError
from retentiond.ledger.trouble import translated

BUSY_SECONDS = 5.0
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # a commit is on the disk when it returns
    "foreign_keys = ON",
    "secure_delete = ON",  # what the ledger gives up is overwritten with zeros
    "temp_store = MEMORY",  # nothing of it in temporary files
    "trusted_schema = OFF",
    "cell_size_check = ON",
)
_BEGIN = "ledger_begin"


def open_file(path: Path) -> sqlite3.Connection:
    """Open an existing file; transactions begin only when asked to."""
    uri = f"file:{quote(str(path))}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def make_engine(path: Path) -> Engine:
    """Return an engine for an existing file; nothing is opened yet."""
    engine = create_engine(
        "sqlite://", creator=lambda: open_file(path), poolclass=QueuePool, max_overflow=-1, hide_parameters=True
    )
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE"))


@contextmanager
def transaction(engine: Engine, where: str, *, snapshot: bool = False) -> Iterator[Connection]:
    """Run a block in a transaction: committed when it ends, rolled back when it raises.

    Args:
        where: The file, for errors.
        snapshot: Read only, beside whoever writes; else the one write lock is taken at once (BEGIN IMMEDIATE), since a
            transaction that starts to write later can meet SQLITE_BUSY_SNAPSHOT, which no time-out waits for.

    Raises:
        LedgerError: It cannot be begun or committed; nothing of it happened.
    """
    with translated(where):
        connection = engine.connect()
    try:
        with translated(where):
            if snapshot:
                connection = connection.execution_options(**{_BEGIN: "BEGIN"})
            connection.begin()
        yield connection
        require_open(connection, where)
        with translated(where):
            _commit(connection)
    finally:
        connection.close()  # rolls back whatever was not committed


def require_open(connection: Connection, where: str) -> None:
    """Raise LedgerError where SQLite itself rolled the transaction back, as it may on a full disk or an I/O error.

    Whatever follows would otherwise commit statement by statement, and the end would say that all is well.
    """
    raw = connection.connection.driver_connection
    if raw is None or not raw.in_transaction:
        raise LedgerError(
            "the transaction was rolled back after an error; nothing of it happened",
            where=where,
            remedy="look at the disk (its space, limits and health), then try again",
        )


def _commit(connection: Connection) -> None:
    try:
        connection.commit()
    except BaseException:
        # SQLite's transaction is then still open, and would end with the next one's COMMIT: closing its file ends it.
        connection.invalidate()
        raise
