"""A log in a directory, which any web server can serve."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from retentiond.errors import LogIntegrityError, RetentiondError

_PARTIALS = ".p"
_TRIES = 3
_FILE_MODE = 0o644
_DIRECTORY_MODE = 0o755


class DirectoryStore:
    """Implements `TileStore`: temporary file, fsync, rename, and an fsync of the directory in `sync`.

    Args:
        root: The directory; it is made when the first file is put.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unsynced: set[Path] = set()

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None when there is no such file."""
        target = self._root / path
        with _explained(target, "read"):
            try:
                return target.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def names(self, folder: str) -> Iterator[str]:
        """Yield the paths of all files in a folder and below."""
        for place, _, files in os.walk(self._root / folder):
            yield from (str((Path(place) / name).relative_to(self._root)) for name in files)

    def put(self, path: str, data: bytes, *, replace: bool = False) -> None:
        """Write a file whole or not at all, readable for everyone; one that has this content already is left alone."""
        target = self._root / path
        found = self.read(path)
        if found is not None and found != data and not replace:
            raise LogIntegrityError(
                "a published file has another content than it must have, and is never changed",
                where=str(target),
                remedy="find out who wrote it; if the ledger is right, move the log's directory away and publish again",
            )
        with _explained(target, "written"):
            # Who wrote an equal file may have died before its directory was synced.
            self._make_directory(target.parent)
            self._unsynced.add(target.parent)
            if found != data:
                self._write(target, data)

    def swap(self, path: str, old: bytes | None, new: bytes) -> bool:
        """Replace a file, whoever has it: a file system can't compare and swap, the ledger did."""
        del old
        self.put(path, new, replace=True)
        return True

    def remarks(self) -> tuple[str, ...]:
        """Say nothing."""
        return ()

    def sync(self) -> None:
        """Fsync every directory in which something was put."""
        for directory in sorted(self._unsynced):
            with _explained(directory, "written"):
                try:
                    _fsync_directory(directory)
                except FileNotFoundError:
                    if directory.suffix != _PARTIALS:  # another writer has the complete tile, and removed these
                        raise
        self._unsynced.clear()

    def discard_partials(self, path: str) -> None:
        """Remove the partial tiles that a complete tile or bundle has replaced."""
        partials = self._root / f"{path}{_PARTIALS}"
        with _explained(partials, "removed"), suppress(FileNotFoundError):
            try:
                shutil.rmtree(partials)
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:  # a slower writer adds one at this moment; it may stay
                    raise

    def _write(self, target: Path, data: bytes) -> None:
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):  # another writer removed these partial tiles, since theirs is complete
                _write(target, data)
                return
            self._make_directory(target.parent)
        _write(target, data)

    def _make_directory(self, directory: Path) -> None:
        if directory.is_dir():
            return
        self._make_directory(directory.parent)
        with suppress(FileExistsError):
            directory.mkdir()
            directory.chmod(_DIRECTORY_MODE)
        self._unsynced.add(directory.parent)


def _write(target: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=".new-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), _FILE_MODE)
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RetentiondError(
            f"the log cannot be {verb}: {error.strerror or error}",
            where=str(path),
            remedy="make room or set the permissions right, then run the command again; what is staged is not lost",
        ) from error
