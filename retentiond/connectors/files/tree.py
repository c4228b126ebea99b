"""One directory tree, reached only through descriptors: every step is relative to an open directory.

No path is ever resolved by the kernel as a whole, so that nothing which is swapped for a symbolic link, at any time,
leads outside the root, and a path may be longer than PATH_MAX. What cannot be entered is an `OSError` with the number
that the kernel uses for it: `ELOOP` for a symbolic link, `EXDEV` for a mount point, `FileNotFoundError` for what is
not there (something else than a directory included: then nothing can stand beneath it).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from retentiond.connectors.files.layout import Parts, shown
from retentiond.errors import ConnectorError

PRIVATE = 0o700
_ENTER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_RENAME_NOREPLACE = 1
_NOT_OFFERED = frozenset((errno.EINVAL, errno.ENOSYS))
_NOT_NOW = frozenset(
    (errno.EINTR, errno.EAGAIN, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
)
_REMEDIES = {
    errno.EACCES: "let the user that retentiond runs as list, search and change it",
    errno.EPERM: "let the user that retentiond runs as list, search and change it",
    errno.ENOENT: "make it, or correct the path in the data map",
    errno.ENOTDIR: "name a directory",
    errno.ENAMETOOLONG: "correct the path in the data map",
    errno.ELOOP: "put the directory itself in its place: symbolic links are not followed",
    errno.EXDEV: "declare the mounted directory as the root of a store of its own",
}

_Rename: TypeAlias = Callable[[int, bytes, int, bytes, int], int]


def trouble(error: OSError, what: str, where: str) -> ConnectorError:
    """Return the error that says to an operator what the file system said; `what` could not be done."""
    said = (error.strerror or str(error)).lower()
    remedy = _REMEDIES.get(error.errno or 0, "see whether the file system is healthy, then try again")
    return ConnectorError(f"{what}: {said}", where=where, remedy=remedy, transient=error.errno in _NOT_NOW)


def enter(parent: int, name: bytes) -> int:
    """Open a directory of an open directory; the caller closes it.

    Raises:
        FileNotFoundError: No directory of that name, nor a symbolic link.
        OSError: `ELOOP` for a symbolic link, `EXDEV` for a mount point, else what the kernel said.
    """
    try:
        fd = os.open(name, _ENTER, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise
        status = look(parent, name)
        if status is not None and stat.S_ISLNK(status.st_mode):
            raise OSError(errno.ELOOP, "a directory of its path is a symbolic link") from error
        raise FileNotFoundError(errno.ENOENT, "no such directory") from error
    if os.fstat(fd).st_dev != os.fstat(parent).st_dev:
        os.close(fd)
        raise OSError(errno.EXDEV, "a directory of its path is a mount point")
    return fd


def names(directory: int) -> list[bytes]:
    """Return the names in an open directory, sorted."""
    return sorted(os.fsencode(name) for name in os.listdir(directory))


def look(directory: int, name: bytes) -> os.stat_result | None:
    """Return what stands under a name, a symbolic link as itself; None when nothing does.

    Raises:
        OSError: The file system gave no answer.
    """
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # nothing can have this name, so nothing has
            return None
        raise


def take(source: int, name: bytes, target: int) -> None:
    """Move a file into a directory that only retentiond writes to, under its own name, without overwriting.

    Raises:
        FileExistsError: The name is taken there.
        FileNotFoundError: The file has gone, or the target directory has been removed.
        OSError: The kernel refused.
    """
    if _rename_exclusively(source, name, target):
        return
    if look(target, name) is not None:
        raise FileExistsError(errno.EEXIST, "the name is taken")
    os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)


def give_back(source: int, name: bytes, target: int) -> None:
    """Move a file out of retentiond's directory into one that others write to, without overwriting.

    Raises:
        FileExistsError: The name has been taken there meanwhile.
        OSError: The kernel refused.
    """
    if not _rename_exclusively(source, name, target):
        os.link(name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        os.unlink(name, dir_fd=source)


def _load_rename() -> _Rename | None:
    """Return renameat2(2), which Python does not have; None where the C library lacks it."""
    found: _Rename | None = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return found


_renameat2 = _load_rename()


def _rename_exclusively(source: int, name: bytes, target: int) -> bool:
    """Rename without overwriting, in one step; False where the kernel or file system (such as NFS) has no such step."""
    if _renameat2 is None:
        return False
    if _renameat2(source, name, target, name, _RENAME_NOREPLACE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_OFFERED:
        return False
    raise OSError(code, os.strerror(code))


class Tree:
    """The tree under one root, which is opened once; the operator's path to the root may pass symbolic links.

    Args:
        path: The root.

    Raises:
        ConnectorError: It is not there, not a directory, or may not be listed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.where = shown((os.fsencode(self.path),))
        try:
            self.fd = os.open(self.path, _ENTER & ~getattr(os, "O_NOFOLLOW", 0))
        except ValueError as error:
            raise ConnectorError(f"{error}", where=self.where, remedy="correct the root in the data map") from error
        except OSError as error:
            raise trouble(error, "the root cannot be opened", self.where) from error
        status = os.fstat(self.fd)
        self.device, self.inode = status.st_dev, status.st_ino

    def again(self) -> Tree:
        """Return the same tree through a descriptor of its own.

        Raises:
            ConnectorError: The path names another directory by now, as after an unmount, so that what is missing
                there says nothing.
        """
        tree = Tree(self.path)
        if (tree.device, tree.inode) == (self.device, self.inode):
            return tree
        tree.close()
        raise ConnectorError(
            "the root is another directory than when it was opened",
            where=self.where,
            remedy="see whether a file system was unmounted or the directory replaced, then start again",
        )

    @contextmanager
    def directory(self, parts: Parts) -> Iterator[int]:
        """Open a directory by walking down from the root; as `enter`."""
        fd = self.open(parts)
        try:
            yield fd
        finally:
            os.close(fd)

    def open(self, parts: Parts) -> int:
        """Open a directory by walking down from the root; as `enter`. The caller closes it."""
        fd = os.dup(self.fd)
        for part in parts:
            try:
                inner = enter(fd, part)
            finally:
                os.close(fd)
            fd = inner
        return fd

    def make(self, parts: Parts) -> int:
        """Open a directory of retentiond's own, making what is missing with mode 0700; the caller closes it.

        Raises:
            OSError: As `enter`, and when it cannot be made.
        """
        fd = os.dup(self.fd)
        for part in parts:
            try:
                inner = make(fd, part)
            finally:
                os.close(fd)
            fd = inner
        return fd

    def prune(self, parts: Parts, keep: int) -> None:
        """Remove a directory and those above it while they are empty, down to a depth of `keep` names."""
        with contextlib.suppress(OSError):  # a directory that is in use or stays empty harms nobody
            for depth in range(len(parts), keep, -1):
                with self.directory(parts[: depth - 1]) as above:
                    os.rmdir(parts[depth - 1], dir_fd=above)

    def close(self) -> None:
        """Let go of the root."""
        os.close(self.fd)


def make(parent: int, name: bytes) -> int:
    """Open a directory of retentiond's own in an open directory, made with mode 0700 if it is missing."""
    try:
        return enter(parent, name)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # another worker was faster
            os.mkdir(name, PRIVATE, dir_fd=parent)
            os.fsync(parent)
    return enter(parent, name)
