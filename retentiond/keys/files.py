"""Key files: made once, never overwritten; read only where nobody else can read them."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from retentiond.errors import KeyFileError

PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644
_DIRECTORY_MODE = 0o700
_OTHERS = 0o077
_LONGEST_BYTES = 65_536


def make_directory(directory: Path) -> None:
    """Make the directory of the keys, for its owner only.

    Raises:
        KeyFileError: It cannot be made, or it is there and others may enter it.
    """
    try:
        directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        mode = directory.stat().st_mode
    except OSError as error:
        raise _unusable(directory, "made", error) from error
    if mode & _OTHERS:
        what = "others may enter the directory of the keys"
        raise KeyFileError(what, where=str(directory), remedy=f"chmod 700 {directory}")


def create(path: Path, data: bytes, mode: int) -> None:
    """Write a new file durably.

    Raises:
        KeyFileError: There is such a file, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise already_there(path) from error
    except OSError as error:
        raise _unusable(path, "written", error) from error


def replace(path: Path, data: bytes) -> None:
    """Write a public file durably, over the one that is there: whole or not at all.

    Raises:
        KeyFileError: It cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    remove(part)
    create(part, data, PUBLIC_MODE)
    move(part, path)


def move(path: Path, target: Path) -> None:
    """Give a file another name durably, in place of what has that name.

    Raises:
        KeyFileError: That cannot be done.
    """
    try:
        path.replace(target)
    except OSError as error:
        raise _unusable(target, "written", error) from error
    sync_directory(target.parent)


def remove(path: Path) -> None:
    """Remove a file durably; one that is not there is no error.

    Raises:
        KeyFileError: That cannot be done.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _unusable(path, "removed", error) from error
    sync_directory(path.parent)


def already_there(path: Path) -> KeyFileError:
    """Return the error for a key that would be overwritten."""
    remedy = "use the keys that are there, or name another directory"
    return KeyFileError("a key is there already and is never overwritten", where=str(path), remedy=remedy)


def read_private(path: Path) -> bytes:
    """Return a private file's content.

    Raises:
        KeyFileError: It is missing, no regular file, a symbolic link, too long, or others can read or write it.
    """
    return _read(path, private=True)


def read_public(path: Path) -> bytes:
    """Return a public file's content.

    Raises:
        KeyFileError: It is missing, no regular file, a symbolic link, or too long.
    """
    return _read(path, private=False)


def sync_directory(directory: Path) -> None:
    """Make the directory's entries durable.

    Raises:
        KeyFileError: That cannot be done.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unusable(directory, "written", error) from error


def _read(path: Path, *, private: bool) -> bytes:
    try:
        # Not blocking: opening a FIFO would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            _check_mode(path, os.fstat(descriptor).st_mode, private=private)
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(_LONGEST_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unusable(path, "read", error) from error
    if len(data) > _LONGEST_BYTES:
        raise KeyFileError("this is too long to be a key", where=str(path), remedy="restore it from its backup")
    return data


def _check_mode(path: Path, mode: int, *, private: bool) -> None:
    if not stat.S_ISREG(mode):
        raise KeyFileError("a key must be a regular file", where=str(path), remedy="put the key's file itself there")
    if private and mode & _OTHERS:
        what = f"others can read or write this private key (mode {stat.S_IMODE(mode):04o})"
        raise KeyFileError(what, where=str(path), remedy=f"chmod 600 {path}; if others could read it, replace the key")


def _unusable(path: Path, verb: str, error: OSError) -> KeyFileError:
    if error.errno == errno.ENOENT:
        remedy = "restore it from its backup; docs/keys.md says what its loss means, and what is left to do"
        return KeyFileError("a key is missing", where=str(path), remedy=remedy)
    if error.errno == errno.ELOOP:
        remedy = "put the key's file itself there"
        return KeyFileError("a key must not be a symbolic link", where=str(path), remedy=remedy)
    remedy = "look at the owner and the permissions of this path and the directories above it"
    return KeyFileError(f"a key cannot be {verb}: {error.strerror or error}", where=str(path), remedy=remedy)
