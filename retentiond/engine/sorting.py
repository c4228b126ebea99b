"""Sorting more rows than memory should hold: sorted runs on disk, merged."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

ROWS_IN_MEMORY = 50_000
_ROWS_PER_READ = 1_000


class ExternalSort:
    """Takes rows of one fixed size in any order and gives them back in ascending order of their bytes.

    Args:
        directory: Where the runs are spilled; they are unlinked at once, so a killed process leaves nothing.
        row_bytes: Size of each row.
    """

    def __init__(self, directory: Path, row_bytes: int) -> None:
        self._directory = directory
        self._row_bytes = row_bytes
        self._rows: list[bytes] = []
        self._runs: list[BinaryIO] = []
        self.count = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the runs."""
        for run in self._runs:
            run.close()

    def add(self, row: bytes) -> None:
        """Take one row."""
        self._rows.append(row)
        self.count += 1
        if len(self._rows) >= ROWS_IN_MEMORY:
            self._spill()

    def rows(self) -> Iterator[bytes]:
        """Give all rows, sorted; may be called more than once."""
        if not self._runs:
            self._rows.sort()
            return iter(self._rows)
        self._spill()
        return heapq.merge(*(self._read(run) for run in self._runs))

    def _spill(self) -> None:
        if not self._rows:
            return
        self._rows.sort()
        run = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - closed in __exit__
        self._runs.append(run)
        run.write(b"".join(self._rows))
        self._rows.clear()

    def _read(self, run: BinaryIO) -> Iterator[bytes]:
        size, position = self._row_bytes, 0
        while True:
            run.seek(position)
            chunk = run.read(size * _ROWS_PER_READ)
            if not chunk:
                return
            position += len(chunk)
            for start in range(0, len(chunk), size):
                yield chunk[start : start + size]
