"""Connections to a ledger's database, and how each of them is set."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from retentiond.errors import LedgerError
from retentiond.ledger.database import Database
from retentiond.ledger.pg_locks import quoted
from retentiond.ledger.trouble import in_words

LOCK_SECONDS = 10
STATEMENT_SECONDS = 60
IDLE_SECONDS = 30  # a process that stands still inside a transaction holds up everybody, and holds too
NO_LIMIT = "0"
OLDEST = 130_000
_CONNECT_SECONDS = 10
_MOST_OF_NAME = 63
# A peer that is gone is noticed within half a minute, also inside a call.
_KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# A commit is on the disk when it returns; where standbys confirm it too, that stays as strict as the server has it.
_COMMIT = "CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END"
_STATE = """SELECT pg_is_in_recovery(), current_setting('server_encoding'),
    set_config('synchronous_commit', {commit}, false), {settings}"""


def connect(database: Database, where: str, role: str = "ledger") -> psycopg.Connection[Any]:
    """Connect, and set the session. Transactions begin only when asked to.

    Args:
        role: What the connection is for, as pg_stat_activity shows it.

    Raises:
        LedgerError: The database is a standby, too old, or not in UTF-8.
        psycopg.Error: It cannot be reached.
    """
    given = parsed(database.dsn, where)
    name = f"retentiond {role} {os.getpid()}@{socket.gethostname()}"[:_MOST_OF_NAME]
    raw: psycopg.Connection[Any] = psycopg.connect(
        database.dsn,
        autocommit=True,
        client_encoding="utf8",
        application_name=name,
        **({"connect_timeout": _CONNECT_SECONDS} | _KEEPALIVE | _limits_of(given)),
    )
    try:
        _set(raw, database.schema, where)
    except BaseException:
        raw.close()
        raise
    return raw


def _limits_of(given: dict[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in ("connect_timeout", *_KEEPALIVE) if name in given}


def _set(raw: psycopg.Connection[Any], schema: str, where: str) -> None:
    settings = {
        "search_path": f"{quoted(schema)}, pg_temp",
        "lock_timeout": f"{LOCK_SECONDS}s",
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
        "row_security": "off",
        "TimeZone": "UTC",
        "default_transaction_isolation": "read committed",
    }
    calls = ", ".join("set_config(%s, %s, false)" for _ in settings)
    query = _STATE.format(commit=_COMMIT, settings=calls)
    row = raw.execute(query.encode(), [part for pair in settings.items() for part in pair], prepare=False).fetchone()
    standby, encoding = row[:2] if row else (True, "")
    if standby:
        raise LedgerError(
            "the database is a standby, which may lag behind and cannot be written",
            where=where,
            remedy="name the primary in the ledger's DSN, or all hosts and target_session_attrs=read-write",
        )
    if encoding != "UTF8" or raw.info.server_version < OLDEST:
        raise LedgerError(
            f"the database is of version {raw.info.server_version // 10_000}, in {encoding}",
            where=where,
            remedy=f"use PostgreSQL {OLDEST // 10_000} or newer, and a database in UTF8",
        )


def parsed(dsn: str, where: str) -> dict[str, Any]:
    """Return what a DSN says.

    Raises:
        LedgerError: It is none. What it holds is not repeated: it may be a password.
    """
    try:
        return dict(conninfo_to_dict(dsn))
    except (psycopg.Error, ValueError):
        raise LedgerError(
            "the ledger's DSN cannot be read",
            where=where,
            remedy="write postgresql://USER@HOST/DATABASE, or key=value pairs",
        ) from None


def described(database: Database) -> str:
    """Return what errors call a ledger: host, database and schema, and nothing secret."""
    given = parsed(database.dsn, f"schema {database.schema}")
    host = given.get("host") or given.get("hostaddr") or given.get("service") or "localhost"
    port = f":{given['port']}" if given.get("port") else ""
    return f"postgresql {host}{port}/{given.get('dbname') or ''}, schema {database.schema}"


@contextmanager
def limited(raw: psycopg.Connection[Any], **settings: str) -> Iterator[None]:
    """Set something else for the rest of a transaction."""
    for name, value in settings.items():
        raw.execute("SELECT set_config(%s, %s, true)", [name, value])
    yield


@contextmanager
def in_ledger_words(where: str) -> Iterator[None]:
    """Turn what psycopg raises inside into a LedgerError."""
    try:
        yield
    except psycopg.Error as error:
        raise in_words(error, where) from error
