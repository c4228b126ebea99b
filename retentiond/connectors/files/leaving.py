"""Where files go when they leave their place: directories of retentiond's own, from which they are let go.

`acting` treats all targets alike: `take` moves a file in (a directory is made when it is first needed, so that an
order which changes nothing leaves no trace), `let_go` ends the move of a file that was the right one, `sync` makes it
durable.
"""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from datetime import datetime

from retentiond.connectors.files.layout import LEAVING, MARK, Parts, stamp_of
from retentiond.connectors.files.tree import Tree, enter, give_back, make, take

_EXPLANATION = b"retentiond hides files here until their grace ends, and knows this directory by this file.\n"


class Target(ABC):
    """A directory that the files of one directory are moved to; its descriptor is opened once it is needed."""

    def __init__(self) -> None:
        self._fd: int | None = None

    def open(self) -> int:
        """Return the directory's descriptor, made if need be; it stays open until `close` or `forget`."""
        if self._fd is None:
            self._fd = self._make()
        return self._fd

    def left_behind(self) -> int | None:
        """Return the descriptor of a directory that holds what an earlier run set aside; None where there is none."""
        return None

    def take(self, source: int, name: bytes) -> None:
        """Move a file here; as `tree.take`."""
        take(source, name, self.open())

    def give_back(self, name: bytes, source: int) -> None:
        """Move a file back to where it came from; as `tree.give_back`."""
        give_back(self.open(), name, source)

    @abstractmethod
    def let_go(self, name: bytes) -> None:
        """End the move of a file that has arrived."""

    def sync(self) -> None:
        """Make what arrived or was let go durable."""
        if self._fd is not None:
            os.fsync(self._fd)

    def forget(self) -> None:
        """Close the descriptor; the next use opens the directory anew."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def close(self) -> None:
        """Close the descriptor for good."""
        self.forget()

    @abstractmethod
    def _make(self) -> int:
        """Open the directory, made if need be."""


class WayOut(Target):
    """The directory `.retentiond-leaving` beside files that are purged; removed again when it is empty.

    Args:
        beside: Descriptor of the directory whose files leave.
    """

    def __init__(self, beside: int) -> None:
        super().__init__()
        self._beside = beside

    def left_behind(self) -> int | None:
        """Return the descriptor of the directory if it is there already."""
        if self._fd is None:
            with contextlib.suppress(FileNotFoundError):  # the usual case: nothing was left
                self._fd = enter(self._beside, LEAVING)
        return self._fd

    def let_go(self, name: bytes) -> None:
        """Remove a file for good."""
        os.unlink(name, dir_fd=self.open())

    def close(self) -> None:
        """Close the descriptor, and remove the directory unless something stands in it."""
        if self._fd is not None:
            self.forget()
            with contextlib.suppress(OSError):  # in use by another worker, or holding what must be found again
                os.rmdir(LEAVING, dir_fd=self._beside)

    def _make(self) -> int:
        return make(self._beside, LEAVING)


class InPlace(Target):
    """A `.retentiond-leaving` whose files are records of the order themselves: they have been moved already.

    Args:
        directory: Its descriptor.
    """

    def __init__(self, directory: int) -> None:
        super().__init__()
        self._directory = directory

    def take(self, source: int, name: bytes) -> None:
        """Move nothing: source and target are one."""

    def give_back(self, name: bytes, source: int) -> None:
        """Move nothing: the file stays where it is."""

    def let_go(self, name: bytes) -> None:
        """Remove a file for good."""
        os.unlink(name, dir_fd=self._directory)

    def _make(self) -> int:
        return os.dup(self._directory)


class Quarantine(Target):
    """The directory `<quarantine>/<time>/…` for the files of one directory.

    Args:
        root: The quarantine, relative to the tree's root.
        at: When the files are hidden.
        above: The directory of the files' paths.
    """

    def __init__(self, tree: Tree, root: Parts, at: datetime, above: Parts) -> None:
        super().__init__()
        self._tree = tree
        self._root = root
        self._parts = (*root, stamp_of(at), *above)

    def let_go(self, name: bytes) -> None:
        """Leave the file where it is: that hides it."""

    def _make(self) -> int:
        root = self._tree.make(self._root)
        try:
            _mark(root)
        finally:
            os.close(root)
        return self._tree.make(self._parts)


def _mark(quarantine: int) -> None:
    """Leave the file by which scans know a quarantine, also one that another dataset declares."""
    with contextlib.suppress(FileExistsError):
        fd = os.open(MARK, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=quarantine)
        try:
            os.write(fd, _EXPLANATION)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.fsync(quarantine)
