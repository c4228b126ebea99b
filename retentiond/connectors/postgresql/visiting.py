"""Looking at a database before any data map names it: the catalogue only, in a transaction that cannot write."""

from __future__ import annotations

from collections.abc import Iterator

from retentiond.connectors.postgresql.describing import databases_beside, describe, large_objects
from retentiond.connectors.postgresql.failures import explained
from retentiond.connectors.postgresql.session import Session, Transaction
from retentiond.ports.looking import Visit

SCHEMES = ("postgresql://", "postgres://")
_WHERE = "--from"
_MAY_WRITE = """
SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%%'
  AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
"""


def visit(url: str) -> Visit:
    """Look at a database.

    Raises:
        ConnectorError: It cannot be reached, or its catalogue cannot be read.
    """
    session = Session(url, _WHERE, read_only=True)
    try:
        with explained(_WHERE), session.reading() as tx:
            name = str(tx.value("SELECT current_database()::text"))
            return Visit(name, {}, "dsn_env", tables=tuple(describe(tx)), notes=tuple(_notes(tx)))
    finally:
        session.close()


def _notes(tx: Transaction) -> Iterator[str]:
    if tx.value(_MAY_WRITE):
        yield "this role may write, and to look takes less: a role that may connect, and nothing else"
    if large_objects(tx):
        yield "large objects (pg_largeobject), which no row takes along when it goes"
    others = databases_beside(tx)
    if others:
        yield f"other databases of this server: {', '.join(others)}"


def is_url(text: str) -> bool:
    """Tell whether a text is the URL of a database."""
    return text.startswith(SCHEMES)
