"""What an engine says went wrong, in words for an operator."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import StatementError

from retentiond.errors import LedgerError
from retentiond.ledger import sqlstates

# By primary result code (https://sqlite.org/rescode.html): what happened, and what to do.
_TROUBLE: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: (
        "the ledger is locked by another process",
        "wait until that process has finished, then try again",
    ),
    sqlite3.SQLITE_LOCKED: (
        "the ledger is locked by this process",
        "report this: retentiond waited for itself",
    ),
    sqlite3.SQLITE_FULL: (
        "the disk that holds the ledger is full",
        "free some space there, then try again",
    ),
    sqlite3.SQLITE_IOERR: (
        "the ledger could not be read or written",
        "look at the disk (its space, limits and health), then try again",
    ),
    sqlite3.SQLITE_READONLY: (
        "the ledger may not be written",
        "let the user that runs retentiond write the file and its directory",
    ),
    sqlite3.SQLITE_PERM: (
        "the ledger may not be opened",
        "let the user that runs retentiond read and write the file and its directory",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the ledger cannot be opened",
        "see that it is a file, and that the user that runs retentiond may read and write it and its directory",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "the ledger is damaged",
        "keep the file, restore the newest backup of it, then run `retentiond ledger check`",
    ),
    sqlite3.SQLITE_NOTADB: (
        "the file is not a ledger, or its beginning is damaged",
        "see that `ledger` names the right file; if it does, restore the newest backup of it",
    ),
}
_DAMAGE = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
_UTF8 = "give names and reasons in UTF-8"
_DEFECT = "run `retentiond ledger check`; where that finds nothing, report this"


def _primary_code(error: BaseException | None) -> int | None:
    """Return SQLite's primary result code of an error, or None where there is none."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def in_words(error: Exception, where: str) -> LedgerError:
    """Return the error for operators; it names no value that stood in a statement."""
    cause = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    if sqlstates.is_postgresql(cause):
        sqlstates.forget_values(error, cause)
        what, remedy = sqlstates.words(cause)
        return LedgerError(what, where=where, remedy=remedy)
    known = _TROUBLE.get(_primary_code(cause) or 0)
    if known is not None:
        return LedgerError(f"{known[0]} ({cause})", where=where, remedy=known[1])
    if isinstance(cause, sqlite3.IntegrityError):
        return LedgerError(f"the ledger refuses a change: {cause}", where=where, remedy=_DEFECT)
    if isinstance(cause, sqlite3.Error):
        return LedgerError(f"the ledger did not do what was asked: {cause}", where=where, remedy=_DEFECT)
    if isinstance(cause, UnicodeError) or isinstance(cause.__cause__, UnicodeError):
        return LedgerError("a text is not valid Unicode, so the ledger cannot keep it", where=where, remedy=_UTF8)
    kind = type(cause).__name__
    return LedgerError(f"a value cannot be stored or read ({kind})", where=where, remedy=_DEFECT)


def is_damage(error: LedgerError) -> bool:
    """Tell whether an error says that the file itself is damaged, and not that it could not be read just now."""
    cause = error.__cause__
    cause = cause.orig if isinstance(cause, StatementError) else cause
    return _primary_code(cause) in _DAMAGE or sqlstates.is_damage(cause)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn whatever SQLAlchemy, SQLite or a column's type raises inside into a LedgerError; its cause is kept."""
    try:
        yield
    except (StatementError, sqlite3.Error, ValueError, OverflowError) as error:
        raise in_words(error, where) from error
