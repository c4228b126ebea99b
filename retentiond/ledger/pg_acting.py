"""Being the one process that acts on a ledger in PostgreSQL.

A lock of the session stands on a connection of its own. When that connection is lost the server gives the lock away,
and another process may act. So before each transaction the connection is asked whether it still is the one that took
the lock; and each process that takes it begins a new term, which is compared inside each transaction: whoever was
frozen meanwhile finds a later term, and stops.

A process that stands still keeps its connection. So the lock is also a lease: a thread asks after it every few seconds,
and where nobody asked for longer than the lease the server ends the connection (PostgreSQL 14 and newer).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from retentiond.errors import LedgerBusy, LockLost
from retentiond.ledger.database import Database
from retentiond.ledger.pg_locks import Locks
from retentiond.ledger.pg_session import connect, in_ledger_words

TERM = "acting:term"
_TAKE = "SELECT pg_try_advisory_lock(%s), pg_backend_pid()"
_BACKEND = "SELECT pg_backend_pid()"
READ_TERM = f"SELECT value FROM facts WHERE name = '{TERM}'"
_NEXT_TERM = f"""INSERT INTO facts (name, value) VALUES ('{TERM}', '1')
    ON CONFLICT (name) DO UPDATE SET value = (facts.value::bigint + 1)::text RETURNING value"""
_HOLDER = """SELECT coalesce(max(a.application_name), '') FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.objsubid = 1 AND l.classid = %s AND l.objid = %s"""
_HALF = 2**32
LEASE_SECONDS = 20
_ASK_SECONDS = 4
HAS_LEASES = 140_000
LEASE = "SELECT set_config('idle_session_timeout', %s, false)"
_LOST = "what it had begun is finished by the next run; see why the connection to the database was lost"


@dataclass(slots=True)
class Acting:
    """A lock that was taken.

    Attributes:
        backend: The server's process that holds it.
        term: Of this process; a later one is another's.
    """

    raw: psycopg.Connection[Any]
    where: str
    backend: int
    term: str
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def require_lock(self) -> None:
        """Raise LockLost where the connection that holds the lock is lost."""
        try:
            with self._turn:
                found = self.raw.execute(_BACKEND).fetchone()
        except psycopg.Error as error:
            raise self._lost() from error
        if found != (self.backend,):  # something between us and the server changes connections
            raise self._lost()

    def require_term(self, term: str | None) -> None:
        """Raise LockLost where another process acted since."""
        if term != self.term:
            raise LockLost("another process has acted on this ledger since", where=self.where, remedy=_LOST)

    def _lost(self) -> LockLost:
        return LockLost(
            "this process has lost its lock, and another one may act on the ledger now", where=self.where, remedy=_LOST
        )


def last_term(answers: psycopg.Cursor[Any]) -> str | None:
    """Return the term of the process that acts, or acted last: the answer to READ_TERM, which was asked last."""
    while answers.nextset():
        pass
    row = answers.fetchone()
    return None if row is None else str(row[0])


@contextmanager
def acting_lock(database: Database, where: str, locks: Locks) -> Iterator[Acting]:
    """Hold the lock of a ledger while a block runs; wait for nobody.

    Raises:
        LedgerBusy: Another process, or another part of this one, holds it.
        LedgerError: The database cannot be reached, or its turn to begin a term did not come.
    """
    with in_ledger_words(where):
        raw = connect(database, where, "acting")
    try:
        with in_ledger_words(where):
            if raw.info.server_version >= HAS_LEASES:
                raw.execute(LEASE, [f"{LEASE_SECONDS}s"])
            acting = _take(raw, where, locks)
        with _renewed(acting):
            yield acting
    finally:
        raw.close()


@contextmanager
def _renewed(acting: Acting) -> Iterator[None]:
    """Renew the lease while a block runs."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(_ASK_SECONDS):
            try:
                acting.require_lock()
            except LockLost:
                return  # whoever begins the next transaction is told

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _take(raw: psycopg.Connection[Any], where: str, locks: Locks) -> Acting:
    row = raw.execute(_TAKE, [locks.acting]).fetchone()
    taken, backend = row or (False, 0)
    if not taken:
        number = locks.acting % 2**64
        holder = raw.execute(_HOLDER, [number // _HALF, number % _HALF]).fetchone()
        name = holder[0] if holder and holder[0] else "another process"
        raise LedgerBusy(
            f"{name} is acting on this ledger",
            where=where,
            remedy="wait until it has finished, or stop it: what it has begun is then finished by the next run",
        )
    # The turn is waited for: whoever acted before has no transaction under way any more when the new term begins.
    with raw.transaction():
        raw.execute(locks.turn.encode())
        term = raw.execute(_NEXT_TERM.encode()).fetchone()
    return Acting(raw, where, backend, str(term[0]) if term else "")
