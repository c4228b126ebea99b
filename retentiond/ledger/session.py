"""The statements of one open transaction, with their errors in words for an operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, Executable, Row, Table, TextClause, bindparam, text

from retentiond.errors import NotFound
from retentiond.ledger.backend import Backend
from retentiond.ledger.trouble import translated

_LIMIT = 2**63


class Session:
    """What the nouns run their queries on.

    Each method raises LedgerError when the ledger cannot be read or written. What the engine itself refuses may end the
    transaction (in PostgreSQL it does); then every later statement, and its end, raise LedgerError.

    Attributes:
        shared: Whether other transactions that write may run beside this one, so that it locks what it relies on.
        log_size: How many entries there are, once this transaction has added some; nobody else does until it ends.
        epoch: The epoch of holds, once this transaction has read it; nobody else changes it until it ends.
    """

    def __init__(self, connection: Connection, backend: Backend, *, shared: bool = False) -> None:
        self.connection = connection
        self.where = backend.where
        self.shared = shared
        self.epoch: int | None = None
        self.log_size: int | None = None
        self._backend = backend

    def lock_appends(self) -> None:
        """Keep others from adding entries and events until this transaction ends: their numbers have no gaps."""
        with self._translated():
            self._backend.lock_appends(self.connection)

    def rows(self, query: Executable, **values: object) -> Sequence[Row[Any]]:
        """Return all rows of a query."""
        with self._translated():
            return self.connection.execute(query, _bounded(values)).all()

    def row(self, query: Executable, **values: object) -> Row[Any] | None:
        """Return the only row of a query, or None."""
        with self._translated():
            return self.connection.execute(query, _bounded(values)).one_or_none()

    def value(self, query: Executable, **values: object) -> Any:  # noqa: ANN401 - as the column's type says
        """Return the first column of a query's first row, or None."""
        with self._translated():
            return self.connection.execute(query, _bounded(values)).scalar()

    def insert(self, statement: Executable, rows: Mapping[str, object] | Sequence[Mapping[str, object]]) -> None:
        """Insert one row or several."""
        with self._translated():
            if rows:
                self.connection.execute(statement, rows)

    def change(self, statement: Executable, **values: object) -> int:
        """Run a statement that changes rows; return how many it changed."""
        with self._translated():
            return self.connection.execute(statement, _bounded(values)).rowcount

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
        self._backend.require_open(self.connection)
        return translated(self.where)


def _bounded(values: dict[str, object]) -> dict[str, object]:
    """Return values; an integer beyond 64 bits is an OverflowError here, and not one that ends the transaction."""
    for value in values.values():
        if isinstance(value, int) and not -_LIMIT <= value < _LIMIT:
            message = "a whole number of more than 64 bits"
            raise OverflowError(message)
    return values


def insert_or(table: Table, conflict: str) -> TextClause:
    """Return an INSERT of a whole row that says what to do about one that is there; both engines know these words.

    Args:
        conflict: Such as `DO NOTHING`, or `(name) DO UPDATE SET …`.
    """
    names = [column.name for column in table.columns]
    columns, values = ", ".join(f'"{name}"' for name in names), ", ".join(f":{name}" for name in names)
    statement = text(f"INSERT INTO {table.name} ({columns}) VALUES ({values}) ON CONFLICT {conflict}")  # noqa: S608 - names of the schema
    return statement.bindparams(*(bindparam(column.name, type_=column.type) for column in table.columns))


def values_of(row: Row[Any]) -> dict[str, Any]:
    """Return a row's values by the names of its columns."""
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
