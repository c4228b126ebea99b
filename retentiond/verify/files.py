"""Reads the files that the verifier is given, in bounded time and memory, whatever they turn out to be."""

from __future__ import annotations

import os
import select
import time
from io import FileIO

_CHUNK_BYTES = 1 << 20
_PATIENCE_SECONDS = 60


def read_at_most(path: str | os.PathLike[str], limit: int) -> bytes:
    """Read a file, but never more than one byte over the limit: that is enough to refuse it.

    A pipe is read too; one that nobody writes to is empty.

    Args:
        path: the file's path.
        limit: in bytes.

    Raises:
        OSError: it cannot be read, or is a pipe whose writer took longer than a minute.
        ValueError: no file can have such a path.
    """
    # Without waiting: opening a pipe that nobody writes to would never end.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    with FileIO(descriptor) as file:
        return _drained(file, limit + 1, time.monotonic() + _PATIENCE_SECONDS)


def _drained(file: FileIO, wanted: int, deadline: float) -> bytes:
    chunks: list[bytes] = []
    while wanted:
        chunk = file.read(min(wanted, _CHUNK_BYTES))
        if chunk is None:
            _wait(file, deadline)
            continue
        if not chunk:
            break
        chunks.append(chunk)
        wanted -= len(chunk)
    return b"".join(chunks)


def _wait(file: FileIO, deadline: float) -> None:
    """Wait until there is more to read, or until it took too long."""
    left = deadline - time.monotonic()
    if left <= 0 or not select.select([file], [], [], left)[0]:
        raise TimeoutError("whoever writes it does not come to an end")
