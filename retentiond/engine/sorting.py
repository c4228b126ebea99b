"""Sorting more rows than memory should hold: sorted runs on disk, merged piece by piece."""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

ROWS_IN_MEMORY = 50_000
_LEAST_READ = 100


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

    def extend(self, rows: Sequence[bytes]) -> None:
        """Take rows; a batch at a time, since they are held in memory until there are enough for a run."""
        self._rows.extend(rows)
        self.count += len(rows)
        if len(self._rows) >= ROWS_IN_MEMORY:
            self._spill()

    def pieces(self) -> Iterator[list[bytes]]:
        """Give all rows, sorted, in pieces of bounded size; may be called more than once."""
        if self._runs:
            self._spill()
            yield from self._merged()
        elif self._rows:
            self._rows.sort()
            yield list(self._rows)

    def _spill(self) -> None:
        if not self._rows:
            return
        self._rows.sort()
        run = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - closed in __exit__
        self._runs.append(run)
        run.write(b"".join(self._rows))
        self._rows.clear()

    def _merged(self) -> Iterator[list[bytes]]:
        """Merge the runs: up to the least of what was read last of each, no row can be missing any more."""
        most = max(_LEAST_READ, ROWS_IN_MEMORY // len(self._runs))
        runs = [_Run(file, self._row_bytes, most) for file in self._runs]
        while runs := [run for run in runs if run.fill()]:
            bound = min(run.rows[-1] for run in runs)
            piece = [row for run in runs for row in run.take(bound)]
            piece.sort()
            yield piece


class _Run:
    """A sorted run while it is read; what was read of it and not taken yet stands in `rows`."""

    def __init__(self, file: BinaryIO, row_bytes: int, most: int) -> None:
        self._file = file
        self._row_bytes = row_bytes
        self._most = most
        self._position = 0
        self.rows: list[bytes] = []

    def fill(self) -> bool:
        """Read on where everything was taken; False at the end."""
        if not self.rows:
            size = self._row_bytes
            self._file.seek(self._position)
            chunk = self._file.read(size * self._most)
            self._position += len(chunk)
            self.rows = [chunk[start : start + size] for start in range(0, len(chunk), size)]
        return bool(self.rows)

    def take(self, bound: bytes) -> list[bytes]:
        """Take the rows up to a bound, and those that equal it."""
        end = bisect_right(self.rows, bound)
        taken, self.rows = self.rows[:end], self.rows[end:]
        return taken
