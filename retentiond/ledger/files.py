"""The files of a ledger: a new one, or a copy, appears whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from retentiond.errors import LedgerError
from retentiond.ledger.connection import open_file
from retentiond.ledger.trouble import translated

_WRITTEN_BY_SQLITE = ("", "-journal", "-wal", "-shm")


def is_there(path: Path) -> bool:
    """Tell whether a file exists.

    Raises:
        LedgerError: That cannot be told.
    """
    with _file_errors(path):
        try:
            path.stat()
        except FileNotFoundError:
            return False
    return True


def copy(source: Path, target: Path) -> None:
    """Write a consistent copy of a ledger while others go on using it.

    Raises:
        LedgerError: The target exists or cannot be written, or the source cannot be read.
    """
    with (
        appearing(target) as draft,
        translated(str(target)),
        closing(open_file(source)) as reader,
        closing(open_file(draft)) as writer,
    ):
        reader.backup(writer)


def scrub(path: Path) -> bool:
    """Move a ledger's write-ahead log into its file and truncate it; False when a reader stood in the way.

    Raises:
        LedgerError: The file cannot be written.
    """
    with translated(str(path)), closing(open_file(path)) as connection:
        busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not busy


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Hand out a new empty file, which takes the path's name when the block ends and vanishes when it raises.

    Raises:
        LedgerError: The path exists or cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        with _file_errors(path):
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        yield draft
        with _file_errors(path):
            _sync(draft)
            path.hardlink_to(draft)  # unlike a rename, this replaces nothing
            _sync(path.parent)
    finally:
        for suffix in _WRITTEN_BY_SQLITE:
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise LedgerError("there is such a file already", where=str(path), remedy="choose another name") from error
    except OSError as error:
        raise LedgerError(
            f"the file cannot be made or reached: {error.strerror}",
            where=str(path),
            remedy="see that its directory exists, has space, and is open to the user that runs retentiond",
        ) from error
