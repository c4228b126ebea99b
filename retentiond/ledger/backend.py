"""What is different from one engine to the other, behind one Protocol, and transactions on top of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from retentiond.ledger.trouble import translated
from retentiond.ports.orders import Role
from retentiond.ports.rows import OwnTables


class Access(Enum):
    """What a transaction may do beside others.

    Attributes:
        ALONE: Read and write, one such transaction at a time: what it read stays true until it commits.
        SHARED: Read and write beside other shared ones; the rows that it changes, and the holds, are locked.
        SNAPSHOT: Read only, and one state of everything.
        APART: Read and write what nothing else of the ledger hangs on; waits for no turn.
    """

    ALONE = auto()
    SHARED = auto()
    SNAPSHOT = auto()
    APART = auto()


@dataclass(frozen=True, slots=True)
class CheckWords:
    """What the queries of `ledger check` say differently.

    Attributes:
        entry_has: A condition: the entry `entry` holds the text `{0}`.
        sum_of_outcomes: An expression: the sum of the counts in `outcomes`.
    """

    entry_has: str
    sum_of_outcomes: str


class Backend(Protocol):
    """One ledger in one engine. Its methods raise LedgerError where the engine does not do what it should."""

    where: str
    engine: Engine
    check_words: CheckWords

    def begin(self, connection: Connection, access: Access) -> None:
        """Begin a transaction.

        Raises:
            LedgerBusy: This process acted on the ledger, and another one may act by now.
        """
        ...

    def own_tables(self, connection: Connection) -> OwnTables | None:
        """Return where the ledger's own tables lie; None where no store can hold them."""
        ...

    def require_open(self, connection: Connection) -> None:
        """Raise LedgerError where the engine itself ended the transaction.

        Whatever follows would otherwise be committed by itself, or not at all while the end says that all is well.
        """
        ...

    def commit(self, connection: Connection) -> None:
        """Commit; an error whose effect is not known says so."""
        ...

    def lock_appends(self, connection: Connection) -> None:
        """Keep others from adding entries and events until this transaction ends; their numbers have no gaps."""
        ...

    def revision(self, connection: Connection) -> str:
        """Return the revision of the tables; LedgerError where this is no ledger of retentiond."""
        ...

    def bring_up_to_date(self, revision: str) -> None:
        """Upgrade tables of an older revision, or refuse where that is for somebody to decide."""
        ...

    def upgrade(self) -> None:
        """Upgrade tables of an older revision."""
        ...

    def acting(self) -> AbstractContextManager[None]:
        """Be the one process that acts; LedgerBusy where another one is."""
        ...

    def attending(self, role: Role) -> AbstractContextManager[int]:
        """Be seen by others, under the number that this gives; 0 where nobody looks."""
        ...

    def attendants(self, connection: Connection, role: Role) -> frozenset[int]:
        """Return the numbers of those who attend."""
        ...

    def scrub(self) -> bool:
        """Overwrite what was given up, as far as the engine can; False when it has to be tried again."""
        ...

    def backup(self, target: Path) -> None:
        """Write a consistent copy to a new file."""
        ...

    def findings(self, connection: Connection) -> Iterator[str]:
        """Yield what is wrong with the file or the database, and with what should keep history from being changed."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@contextmanager
def transaction(backend: Backend, access: Access = Access.ALONE) -> Iterator[Connection]:
    """Run a block in a transaction: committed when it ends, rolled back when it raises.

    Raises:
        LedgerError: It cannot be begun or committed. Nothing of it happened, unless the error says that is unknown.
    """
    with translated(backend.where):
        connection = backend.engine.connect()
    try:
        with translated(backend.where):
            backend.begin(connection, access)
        yield connection
        backend.require_open(connection)
        with translated(backend.where):
            backend.commit(connection)
    finally:
        _release(connection)


def _release(connection: Connection) -> None:
    """Roll back whatever was not committed; a connection that cannot say so is given up, and its engine rolls back."""
    try:
        connection.close()
    except SQLAlchemyError:
        if not connection.closed:
            connection.invalidate()
