"""Connections to a ledger's file."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

BUSY_SECONDS = 5.0
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # a commit is on the disk when it returns
    "foreign_keys = ON",
    "secure_delete = ON",  # what the ledger gives up is overwritten with zeros
    "temp_store = MEMORY",  # nothing of it in temporary files
    "trusted_schema = OFF",
    "cell_size_check = ON",
)


def open_file(path: Path) -> sqlite3.Connection:
    """Open an existing file; transactions begin only when asked to."""
    uri = f"file:{quote(str(path))}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection
