"""The statements of one open transaction, with their errors in words for an operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, Executable, Row

from retentiond.errors import NotFound
from retentiond.ledger.connection import require_open
from retentiond.ledger.trouble import translated


class Session:
    """What the nouns run their queries on.

    Each method raises LedgerError when the ledger cannot be read or written.

    Args:
        where: The ledger's file, for errors.
    """

    def __init__(self, connection: Connection, where: str) -> None:
        self.connection = connection
        self.where = where

    def rows(self, query: Executable, **values: object) -> Sequence[Row[Any]]:
        """Return all rows of a query."""
        with self._translated():
            return self.connection.execute(query, values).all()

    def row(self, query: Executable, **values: object) -> Row[Any] | None:
        """Return the only row of a query, or None."""
        with self._translated():
            return self.connection.execute(query, values).one_or_none()

    def value(self, query: Executable, **values: object) -> Any:  # noqa: ANN401 - as the column's type says
        """Return the first column of a query's first row, or None."""
        with self._translated():
            return self.connection.execute(query, values).scalar()

    def insert(self, statement: Executable, rows: Mapping[str, object] | Sequence[Mapping[str, object]]) -> None:
        """Insert one row or several."""
        with self._translated():
            if rows:
                self.connection.execute(statement, rows)

    def change(self, statement: Executable, **values: object) -> int:
        """Run a statement that changes rows; return how many it changed."""
        with self._translated():
            return self.connection.execute(statement, values).rowcount

    def change_one(self, what: str, statement: Executable, **values: object) -> None:
        """Run a statement that must change a row.

        Args:
            what: The row in words, such as `run 42`.

        Raises:
            NotFound: It changed none.
        """
        if not self.change(statement, **values):
            raise NotFound(f"there is no {what}", where=self.where, remedy="see that it is spelled as it was shown")

    def _translated(self) -> AbstractContextManager[None]:
        require_open(self.connection, self.where)
        return translated(self.where)


def values_of(row: Row[Any]) -> dict[str, Any]:
    """Return a row's values by the names of its columns."""
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
