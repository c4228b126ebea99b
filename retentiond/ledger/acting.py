"""Being the one process that acts: a lock beside the ledger, let go of when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retentiond.errors import LedgerBusy, LedgerError

_LONGEST_PID = 32


@contextmanager
def acting_lock(ledger: Path) -> Iterator[None]:
    """Hold the lock of a ledger while a block runs; wait for nobody.

    Raises:
        LedgerBusy: Another process, or another part of this one, holds it.
        LedgerError: The lock's file cannot be opened or locked.
    """
    path = ledger.with_name(ledger.name + ".lock")
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _take(lock, ledger, path)
        yield
    finally:
        os.close(lock)


def _take(lock: int, ledger: Path, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    except BlockingIOError as error:
        holder = os.pread(lock, _LONGEST_PID, 0).decode("ascii", "replace")
        raise LedgerBusy(
            f"process {holder or '(starting)'} is acting on this ledger",
            where=str(ledger),
            remedy="wait until it has finished, or stop it: what it has begun is then finished by the next run",
        ) from error
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"the lock of the ledger cannot be taken: {error.strerror}",
        where=str(path),
        remedy="keep the ledger in a directory that the user that runs retentiond may write, on a disk with file locks",
    )
