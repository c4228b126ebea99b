"""What errors of PostgreSQL mean for an operator, in words of our own.

PostgreSQL's own text may repeat values of rows, and libpq's a connection string; so neither is passed on, and the
causes are cut off (`raise … from None`). What helps to find the place is the SQLSTATE and the name of a constraint.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import psycopg

from retentiond.errors import ConnectorError


class Trouble(StrEnum):
    """What an error says of the statement's rows; nothing was changed, except that LOST may hide a commit."""

    LOST = "lost"
    LOCKED = "locked"
    SLOW = "slow"
    ROW = "row"
    DENIED = "denied"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a SQLSTATE, or a class of them, means."""

    what: str
    remedy: str
    trouble: Trouble = Trouble.OTHER
    transient: bool = False


_RETRY = "try again when that has ended"
_MEANINGS = {
    "08": Meaning("the connection was lost", "check the server and the network", Trouble.LOST, transient=True),
    "0A": Meaning("the table allows no such statement", "look at the table's rules and triggers", Trouble.DENIED),
    "22": Meaning("a value cannot be worked with", "`retentiond check` looks at the table's columns", Trouble.ROW),
    "23": Meaning("a constraint keeps the row", "look at the constraint and at what refers to the row", Trouble.ROW),
    "23503": Meaning("another table refers to the row", "declare that table as a dataset that goes first", Trouble.ROW),
    "25006": Meaning("the server takes no writes", "name the primary in the connection string", Trouble.DENIED),
    "28": Meaning("the login was refused", "check role, password and pg_hba.conf"),
    "3D000": Meaning("there is no such database", "correct the connection string"),
    "40": Meaning("another transaction was in the way", _RETRY, Trouble.LOCKED, transient=True),
    "42501": Meaning("permission was denied", "`retentiond check` prints the GRANT to run", Trouble.DENIED),
    "42": Meaning("the table is not as it was", "`retentiond check` looks at its shape"),
    "53": Meaning("the server has no room left", "look at its connections, memory and disk", transient=True),
    "55P03": Meaning("another transaction holds it locked", _RETRY, Trouble.LOCKED, transient=True),
    "57014": Meaning("the statement took too long", "look for what slows the server", Trouble.SLOW, transient=True),
    "57": Meaning("the server is going down or coming up", _RETRY, Trouble.LOST, transient=True),
    "P0": Meaning("a trigger or function of the database keeps the row", "look at the table's triggers", Trouble.ROW),
}  # fmt: skip
_UNKNOWN = Meaning("PostgreSQL failed", "look into the server's log")


def meaning(error: psycopg.Error) -> Meaning:
    """Return what an error means: by its SQLSTATE, else by the SQLSTATE's class."""
    state = error.sqlstate
    if state is None:
        return _MEANINGS["08"] if isinstance(error, psycopg.OperationalError) else _UNKNOWN
    return _MEANINGS.get(state) or _MEANINGS.get(state[:2]) or _UNKNOWN


def reason(error: psycopg.Error) -> str:
    """Return an error in one line that repeats no value of a row."""
    details = [f"SQLSTATE {error.sqlstate}"] if error.sqlstate else []
    if error.diag.constraint_name:
        details.append(f"constraint {error.diag.constraint_name} of {error.diag.table_name}")
    return meaning(error).what + (f" ({', '.join(details)})" if details else "")


def failure(error: psycopg.Error, where: str) -> ConnectorError:
    """Return what an error of PostgreSQL means for an operator."""
    means = meaning(error)
    return ConnectorError(reason(error), where=where, remedy=means.remedy, transient=means.transient)


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Raise errors of PostgreSQL as `ConnectorError`."""
    try:
        yield
    except psycopg.Error as error:
        raise failure(error, where) from None
