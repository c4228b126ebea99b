"""What PostgreSQL says went wrong, in words for an operator, by SQLSTATE.

The codes stand in PostgreSQL's appendix A. Its errors are known by their attributes, so that nothing of psycopg is
imported where the ledger is a file.
"""

from __future__ import annotations

_AGAIN = "wait until that process has finished, then try again"
_RIGHTS = "grant the role of the ledger's DSN all rights on its schema and on what is in it"
_LOST = (
    "the ledger's database cannot be reached, or the connection to it was lost",
    "see that it runs and that the DSN is right, then try again: what was begun is finished by the next run",
)
_DEFECT = "run `retentiond ledger check`; where that finds nothing, report this"

_WORDS: dict[str, tuple[str, str]] = {
    "25006": ("the ledger may not be written: the database is read-only", "name the primary in the ledger's DSN"),
    "25P03": ("the database ended a transaction of the ledger that stood still", "try again"),
    "28000": ("the database does not let the ledger's role in", "correct the DSN, or the database's pg_hba.conf"),
    "28P01": ("the database does not take the ledger's password", "correct the DSN"),
    "3D000": ("the database of the ledger is not there", "correct the DSN, or create the database"),
    "3F000": ("the schema of the ledger is not there", "see that `ledger.schema` names the right one"),
    "40001": ("another process changed the ledger at the same time", "try again"),
    "40P01": ("two processes waited for each other in the ledger", "try again"),
    "42501": ("the ledger's role lacks a right, or row-level security hides rows from it", _RIGHTS),
    "42P01": ("a table of the ledger is not there", "run `retentiond ledger check`; restore the newest backup"),
    "53100": ("the disk that holds the ledger is full", "free some space there, then try again"),
    "53200": ("the database has no memory left", "give it more, or work in smaller batches"),
    "53300": ("the database takes no more connections", "raise max_connections, or end what is not needed"),
    "55P03": ("the ledger is locked by another process", _AGAIN),
    "57014": ("a statement of the ledger took too long and was stopped", "see what slows the database, then try again"),
    "57P01": _LOST,
    "57P02": _LOST,
    "57P03": ("the database of the ledger is starting or stopping", "try again when it runs"),
    "57P05": _LOST,
    "58030": ("the ledger could not be read or written", "look at the database's disk and its log"),
    "XX001": ("the ledger is damaged", "restore the newest backup of it, then run `retentiond ledger check`"),
    "XX002": ("the ledger is damaged: an index does not fit its table", "REINDEX, then run `retentiond ledger check`"),
}
_ENDED_BY_SERVER = frozenset(("25P03", "57P01", "57P02", "57P03", "57P05"))
_DAMAGE = frozenset(("XX001", "XX002"))
_NO_TEXT = "no further words"


def is_postgresql(error: BaseException | None) -> bool:
    """Tell whether an error is psycopg's."""
    return hasattr(error, "sqlstate") and hasattr(error, "diag")


def is_lost(error: BaseException | None) -> bool:
    """Tell whether an error says that the connection is gone, so that it is not known what the server did."""
    if not is_postgresql(error):
        return False
    state = getattr(error, "sqlstate", None)
    if state is None:
        return type(error).__name__ in ("OperationalError", "InterfaceError")
    return state.startswith("08") or state in _ENDED_BY_SERVER


def is_damage(error: BaseException | None) -> bool:
    """Tell whether an error says that the database's files are damaged."""
    return is_postgresql(error) and getattr(error, "sqlstate", None) in _DAMAGE


def words(error: BaseException) -> tuple[str, str]:
    """Return what happened, and what to do; no value that stood in a statement is in it."""
    state = getattr(error, "sqlstate", None)
    said = _said(error)
    known = _WORDS.get(state or "") or (_LOST if is_lost(error) else None)
    if known is not None:
        return f"{known[0]} ({said})", known[1]
    if (state or "").startswith("23"):
        return f"the ledger refuses a change: {said}", _DEFECT
    if (state or "").startswith("22") or state is None:
        return f"a value cannot be stored or read ({said})", _DEFECT
    return f"the ledger did not do what was asked: {said}", _DEFECT


def forget_values(*errors: BaseException) -> None:
    """Leave of errors only the server's primary message: the details of some repeat the values of a row."""
    said = next((_said(error) for error in errors if is_postgresql(error)), _NO_TEXT)
    for error in errors:
        error.args = (said,)


def _said(error: BaseException) -> str:
    """Return the server's primary message; the client's own where no server spoke."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return primary or " ".join(str(error).split()) or _NO_TEXT
