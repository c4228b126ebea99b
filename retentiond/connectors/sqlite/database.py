"""One connection to a database file: how it is opened, how its transactions end, and what its failures mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from retentiond.domain.dataset import ClockSource
from retentiond.domain.instant import TextReader, read_clock, text_reader
from retentiond.domain.jsonpath import JsonPath, Unreadable
from retentiond.errors import ConnectorError

Row: TypeAlias = tuple[Any, ...]

_NOTHING: Mapping[str, object] = {}
_NO_PSEUDONYMS: Mapping[str, str] = {}
_SETTINGS = ("foreign_keys = ON", "secure_delete = ON", "temp_store = MEMORY", "trusted_schema = OFF")
_DENIED = frozenset((sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH))
_PASSING = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR))
_REMEDIES = {
    sqlite3.SQLITE_BUSY: "another program holds it locked; try again when that has ended",
    sqlite3.SQLITE_LOCKED: "another program holds it locked; try again when that has ended",
    sqlite3.SQLITE_READONLY: "let retentiond's user write the file and its directory",
    sqlite3.SQLITE_PERM: "let retentiond's user read and write the file and its directory",
    sqlite3.SQLITE_CANTOPEN: "check that the file is there and that retentiond's user may read it and its directory",
    sqlite3.SQLITE_NOTADB: "name a SQLite database file as the store's `path`",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restore it, or run `PRAGMA integrity_check`",
    sqlite3.SQLITE_FULL: "free some space on the disk",
    sqlite3.SQLITE_IOERR: "check the disk and the file system",
}


def quoted(name: str) -> str:
    """Return an identifier as it stands in SQL."""
    return '"' + name.replace('"', '""') + '"'


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code of an error; 0 for errors that SQLite itself did not report."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_denied(error: sqlite3.Error) -> bool:
    """Whether an error says that something may not be done, so that nothing was."""
    return primary_code(error) in _DENIED


def failure(error: sqlite3.Error, where: str) -> ConnectorError:
    """Return what an error of SQLite means for an operator."""
    code = primary_code(error)
    remedy = _REMEDIES.get(code, "`retentiond check` looks at the table's shape")
    return ConnectorError(f"SQLite says: {error}", where=where, remedy=remedy, transient=code in _PASSING)


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Raise errors of SQLite as `ConnectorError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise failure(error, where) from error


def _in_json(clock: ClockSource, path: JsonPath) -> TextReader:
    def read(document: str) -> int | None:
        try:
            return read_clock(path.read(document), clock)
        except Unreadable:
            return None

    return read


class Database:
    """One connection. Transactions are begun and ended by `reading` and `writing` only; errors of SQLite pass through.

    Args:
        path: An existing file.
        read_only: Whether the connection can write nothing but temporary tables, which stand in memory.
        busy_seconds: How long to wait for another program's lock.
        alone: Whether nobody else has the file open, so that no file is made beside it.

    Raises:
        sqlite3.Error: The file cannot be opened, or is not a database.
    """

    def __init__(self, path: Path, *, read_only: bool, busy_seconds: float, alone: bool = False) -> None:
        mode = f"mode={'ro' if read_only else 'rw'}{'&immutable=1' if alone else ''}"
        uri = f"{path.absolute().as_uri()}?{mode}"
        self._connection = sqlite3.connect(
            uri, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False
        )
        # Text that is not UTF-8 is carried as lone surrogates, so that it can be told from text that is.
        self._connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        self.pseudonyms: Mapping[str, str] = _NO_PSEUDONYMS
        self._taught: dict[Hashable, str] = {}
        try:
            for setting in _SETTINGS:
                self._connection.execute(f"PRAGMA {setting}")
            self.encoding = str(self.value("PRAGMA encoding"))
            self.rows("SELECT 1 FROM main.sqlite_schema LIMIT 1")
        except sqlite3.Error:
            self._connection.close()
            raise

    def rows(self, sql: str, parameters: Mapping[str, object] = _NOTHING) -> list[Row]:
        """Return all rows of a statement."""
        return self._connection.execute(sql, parameters).fetchall()

    def each(self, sql: str) -> Iterator[Row]:
        """Yield the rows of a statement one by one, so that large values are not all in memory."""
        return iter(self._connection.execute(sql))

    def value(self, sql: str, parameters: Mapping[str, object] = _NOTHING) -> object:
        """Return the first value of a statement's first row; None where it has none."""
        row = self._connection.execute(sql, parameters).fetchone()
        return row[0] if row else None

    def run(self, sql: str, parameters: Mapping[str, object] = _NOTHING) -> int:
        """Run a statement; return how many rows it changed, those that triggers and foreign keys changed included."""
        before = self._connection.total_changes
        self._connection.execute(sql, parameters)
        return self._connection.total_changes - before

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Make a temporary table anew and fill it; its columns keep values as they are, the first numbers the rows."""
        first, *others = columns
        self._connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
        self._connection.execute(f"CREATE TEMP TABLE {table} ({', '.join((f'{first} INTEGER PRIMARY KEY', *others))})")
        marks = ", ".join("?" for _ in columns)
        self._connection.executemany(f"INSERT INTO temp.{table} VALUES ({marks})", rows)

    def teach(self, what: Hashable, arguments: int, function: Callable[..., int | str | None]) -> str:
        """Teach SQLite a function, once for each `what`; return its name, quoted.

        A Python function is faster here than the same grammar in SQL (0.7 of its time), and cannot differ from it.
        """
        if what not in self._taught:
            name = f"retentiond {len(self._taught)}"
            self._connection.create_function(name, arguments, function, deterministic=True)
            self._taught[what] = name
        return quoted(self._taught[what])

    def understand(self, clock: ClockSource) -> str:
        """Teach SQLite to read the text of a clock; return the function's name, quoted. It takes a blob."""
        read = _in_json(clock, clock.json) if clock.json else text_reader(clock)
        encoding = self.encoding

        def reader(raw: bytes) -> int | None:
            try:
                return read(raw.decode(encoding))
            except UnicodeDecodeError:
                return None

        return self.teach(clock, 1, reader)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Look at one state of the database; nothing is locked for others in WAL mode, writers wait in others."""
        yield from self._transaction("BEGIN")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Change the database as its only writer; whatever is raised inside undoes all of it."""
        yield from self._transaction("BEGIN IMMEDIATE")

    def _transaction(self, begin: str) -> Iterator[None]:
        self._connection.execute(begin)
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
