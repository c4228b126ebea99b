"""Attending to a ledger in PostgreSQL: a lock of the session says that a process is there, and a lease that it lives.

The lock goes when the process ends, however it ends. A process that stands still keeps its connection; so the server
ends one that was not heard for as long as a lease (PostgreSQL 14 and newer).
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from sqlalchemy import Connection

from retentiond.ledger.database import Database
from retentiond.ledger.pg_acting import HAS_LEASES, LEASE, LEASE_SECONDS
from retentiond.ledger.pg_session import connect, in_ledger_words
from retentiond.ports.orders import Role

_RENEW_SECONDS = 4
_TAKE = "SELECT pg_advisory_lock(%s, %s)"
_LEAVE = "SELECT pg_advisory_unlock_all()"
_FOUND = """SELECT objid::int8 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid = %s"""
_MOST = 2**31 - 1


@contextmanager
def attending(database: Database, where: str, role: Role, group: int) -> Iterator[int]:
    """Attend while a block runs; gives the number under which this is seen.

    Where the connection is lost, whoever looks finds nobody, and what was begun is told as left.

    Raises:
        LedgerError: The database cannot be reached.
    """
    number = 1 + secrets.randbelow(_MOST)
    with in_ledger_words(where):
        raw = connect(database, where, role)
    over = threading.Event()

    def renew() -> None:
        while not over.wait(_RENEW_SECONDS):
            try:
                raw.execute("SELECT 1")
            except psycopg.Error:
                return  # nobody finds it any more, which is what there is to tell

    thread = threading.Thread(target=renew, name=f"attending {role}", daemon=True)
    try:
        with in_ledger_words(where):
            if raw.info.server_version >= HAS_LEASES:
                raw.execute(LEASE, [f"{LEASE_SECONDS}s"])
            raw.execute(_TAKE, [group, number])
        thread.start()
        yield number
    finally:
        over.set()
        if thread.is_alive():
            thread.join()
        with suppress(psycopg.Error):
            raw.execute(_LEAVE)  # the server takes its time to notice that a connection was closed
        raw.close()


def found(connection: Connection, group: int) -> frozenset[int]:
    """Return the numbers of those who attend."""
    rows = connection.exec_driver_sql(_FOUND, (group,))
    return frozenset(int(row[0]) for row in rows)
