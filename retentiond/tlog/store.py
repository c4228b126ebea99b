"""Where a log is published: what the log needs of a directory, or later of a bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol


class TileStore(Protocol):
    """Files by relative path, as they are served to the public."""

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None only when it is certain that there is no such file.

        Raises:
            RetentiondError: It cannot be told.
        """
        ...

    def names(self, folder: str) -> Iterator[str]:
        """Yield the paths of all files in a folder and below.

        Raises:
            RetentiondError: They cannot be listed.
        """
        ...

    def put(self, path: str, data: bytes, *, replace: bool = False) -> None:
        """Write a file whole or not at all; it is durable after the next `sync`.

        Raises:
            LogIntegrityError: There is such a file with another content, and it is not to be replaced.
            RetentiondError: It cannot be written.
        """
        ...

    def swap(self, path: str, old: bytes | None, new: bytes) -> bool:
        """Replace a file if it still is `old` (None: is not there); False when it is not, where that can be told.

        Raises:
            RetentiondError: It cannot be read or written.
        """
        ...

    def remarks(self) -> Sequence[str]:
        """Say what an operator should know of the place, in words."""
        ...

    def sync(self) -> None:
        """Make everything durable that was put before."""
        ...

    def discard_partials(self, path: str) -> None:
        """Remove the partial tiles that a complete tile or bundle has replaced."""
        ...
