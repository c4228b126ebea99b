"""What the data map says of a SQLite store, and how it is opened."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from retentiond.connectors.sqlite.database import Database, explained, failure
from retentiond.connectors.sqlite.describing import describe
from retentiond.connectors.sqlite.store import BUSY_SECONDS, WINDOW_ROWS, SqliteStore
from retentiond.domain.dataset import Store
from retentiond.errors import ConnectorError
from retentiond.ports.looking import Visit

OLDEST_SQLITE = (3, 37, 0)
SCHEME = "sqlite:"


class SqliteOptions(BaseModel):
    """The options of a store of kind `sqlite`.

    Attributes:
        path: The database file, relative to the config directory.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    path: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")]


class SqliteKind:
    """Stores of kind `sqlite`.

    Attributes:
        busy_seconds: How long to wait for another program's lock.
        window_rows: How many rows one step of a scan examines.
    """

    kind = "sqlite"
    options: type[BaseModel] = SqliteOptions

    def __init__(self, busy_seconds: float = BUSY_SECONDS, window_rows: int = WINDOW_ROWS) -> None:
        self._busy_seconds = busy_seconds
        self._window_rows = window_rows

    def open(self, store: Store, base: Path) -> SqliteStore:
        """Open a database file that exists.

        Raises:
            ConnectorError: There is no such file, it is no SQLite database, or it cannot be read.
        """
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise ConnectorError(
                f"Python has SQLite {sqlite3.sqlite_version}",
                where=store.name,
                remedy=f"install a Python with SQLite {'.'.join(map(str, OLDEST_SQLITE))} or later",
            )
        path = base / SqliteOptions.model_validate(dict(store.options)).path
        _check_file(path, store.name)
        try:
            return SqliteStore(path, store.name, self._busy_seconds, self._window_rows)
        except sqlite3.Error as error:
            raise failure(error, f"{store.name} ({path})") from error

    def takes(self, url: str) -> bool:
        """Tell whether a text is `sqlite:FILE`, or the path of a file."""
        return url.startswith(SCHEME) or os.path.isfile(url)  # noqa: PTH113 - no for what cannot be a path

    def visit(self, url: str, given: Mapping[str, str]) -> Visit:
        """Look at a file's schema, through a connection that cannot write.

        Raises:
            ConnectorError: There is no such file, or it cannot be read as a database.
        """
        del given
        path = _path_of(url)
        if not os.path.isfile(path):  # noqa: PTH113 - no for what cannot be a path
            remedy = "name a database file that is there: sqlite:/var/lib/app/app.db"
            raise ConnectorError(f"there is no database file {path}", where="--from", remedy=remedy)
        alone = not any(Path(f"{path}{end}").exists() for end in ("-wal", "-journal"))
        with explained("--from"):
            db = Database(path, read_only=True, busy_seconds=self._busy_seconds, alone=alone)
            with closing(db):
                tables = tuple(describe(db))
        return Visit(path.stem, {"path": str(path)}, tables=tables)


def _check_file(path: Path, store: str) -> None:
    remedy = "correct the store's `path` in the data map"
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConnectorError(f"there is no database file {path}", where=store, remedy=remedy) from error
    except PermissionError as error:
        remedy = "let retentiond's user enter the directories that it stands in"
        raise ConnectorError(f"{path} may not be looked at", where=store, remedy=remedy) from error
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise ConnectorError(f"{path} cannot be looked at: {said}", where=store, remedy=remedy) from error
    if not regular:
        raise ConnectorError(f"{path} is not a file", where=store, remedy=remedy)


def _path_of(url: str) -> Path:
    """Return the file that `sqlite:FILE`, `sqlite:///FILE` or a plain path means."""
    text = url.removeprefix(SCHEME) if url.startswith(SCHEME) else url
    return Path(text.removeprefix("//")).absolute()
