"""Have a run of few records do what only large ones do: work ahead, and make its manifest in a process beside it.

`overlap` is called in the process; where a call is told of this file in PATCHED_BY, it is run there.
"""

from __future__ import annotations

import resource
import tempfile
from typing import Any

from retentiond.connectors.postgresql.store import PostgresqlStore
from retentiond.connectors.sqlite.store import SqliteStore
from retentiond.engine import drafting, manifest, preparing

BATCH_RECORDS = 4
WINDOW_ROWS = 7


def overlap() -> None:
    """Have every run prepare its manifest, and every plan many windows and batches."""
    preparing.LEAST = 0
    drafting.BATCH_RECORDS = BATCH_RECORDS
    for store in (SqliteStore, PostgresqlStore):
        _with_small_windows(store)


def be_impatient() -> None:
    """Overlap, and give a process beside that hangs up after a moment."""
    overlap()
    preparing._PATIENCE_SECONDS = 1


def fill_the_disk() -> None:
    """Overlap, and have no room for a manifest, wherever it is made."""
    overlap()
    write = manifest.write_manifest
    preparing._PROGRAM = f"import resource; resource.setrlimit({resource.RLIMIT_FSIZE}, (1, 1)); {preparing._PROGRAM}"

    def without_room(*given: Any) -> manifest.Tree:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
        try:
            return write(*given)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    manifest.write_manifest = without_room  # type: ignore[assignment]


def have_no_temporary_files() -> None:
    """Overlap, and find no directory for temporary files."""
    overlap()
    tempfile.tempdir = "/nowhere"


def _with_small_windows(store: type[Any]) -> None:
    begin = store.__init__

    def begin_small(self: Any, *given: Any, **named: Any) -> None:
        begin(self, *given, **named)
        self._window_rows = WINDOW_ROWS

    store.__init__ = begin_small


if __name__ == "PATCHED_BY":
    overlap()
