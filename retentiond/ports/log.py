"""The ports to the log: what the log needs of the ledger, and what the engine needs of the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol


class LogState(Protocol):
    """The ledger as the log sees it: staged entries, the last checkpoint, and a compare-and-swap."""

    def checkpoint(self) -> bytes | None:
        """Return the last checkpoint that was signed; None for a log that has none yet."""
        ...

    def swap_checkpoint(self, old: bytes | None, new: bytes) -> bool:
        """Replace the checkpoint if it still is `old`; False when another writer was first."""
        ...

    def size(self) -> int:
        """Return how many entries were ever staged."""
        ...

    def entries(self, start: int, limit: int) -> Sequence[bytes]:
        """Return staged entries by index, from `start`."""
        ...


class Log(Protocol):
    """The append-only log."""

    def publish(self) -> int:
        """Integrate and publish everything that is staged; return the tree size.

        Raises:
            LogIntegrityError: Log, ledger and key do not agree; nothing was signed.
        """
        ...

    def prove(self, index: int) -> str:
        """Return the entry's inclusion proof against the newest checkpoint, as c2sp.org/tlog-proof@v1."""
        ...

    def compare(self) -> None:
        """Compare the published checkpoint with the ledger's.

        Raises:
            LedgerBehindLog: The log is ahead: the ledger went back in time.
            LogIntegrityError: They contradict each other.
        """
        ...

    def rebuild_check(self) -> int:
        """Rebuild the log from its entries and compare every published tile; return the tree size.

        Raises:
            LogIntegrityError: Something published is not what was logged.
        """
        ...

    def publish_file(self, path: str, data: bytes) -> None:
        """Publish a file beside the log, such as `policies/<sha256>.json`; the same path always has the same bytes."""
        ...


class Journal(Protocol):
    """Sealed records of what must survive a ledger that goes back in time, kept beside the log."""

    def append(self, record: dict[str, object], at: datetime) -> str:
        """Seal and store a record durably; return the lower-case hex SHA-256 of the sealed bytes."""
        ...
