"""The ports to the log: what the log needs of the ledger, and what the engine needs of the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from retentiond.evidence.canonical import Json


class Entries(Protocol):
    """The log's entries, inside a transaction of the ledger."""

    def stage(self, entry: bytes) -> int:
        """Stage an entry; return the index that it will have in the log."""
        ...

    def at(self, index: int) -> bytes | None:
        """Return the entry that was staged at an index; None where none was."""
        ...


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

    def read_entries(self) -> Iterator[bytes]:
        """Yield the published entries in order, once the whole log was rebuilt from them and found to be right.

        Raises:
            LogIntegrityError: They do not make the tree of the published checkpoint, or one is missing.
        """
        ...

    def published(self) -> tuple[bytes | None, int]:
        """Return the published checkpoint as it stands, and its tree size; None and 0 where there is none.

        Raises:
            LogIntegrityError: It does not verify.
        """
        ...

    def vouched(self, proof: str) -> int:
        """Return the tree size of the checkpoint in an inclusion proof; 0 where it is not one that this log signed."""
        ...

    def read_file(self, path: str) -> bytes | None:
        """Return a file that was published beside the log; None where it is not there."""
        ...

    def remarks(self) -> Sequence[str]:
        """Say what an operator should know of where the log is published, in words.

        Raises:
            RetentiondError: It cannot be found out.
        """
        ...

    def read_published(self, path: str) -> bytes | None:
        """Return any published file as it stands, for audits; None where it is not there."""
        ...

    def published_names(self, folder: str) -> Iterator[str]:
        """Yield the paths of all published files in a folder and below."""
        ...

    def publish_file(self, path: str, data: bytes, *, replace: bool = False) -> None:
        """Publish a file beside the log, such as `policies/<sha256>.json`.

        Args:
            replace: Whether a file there may change, such as `keys/history.json`; others have the same bytes for ever.
        """
        ...


class Journal(Protocol):
    """Sealed records of what must survive a ledger that goes back in time, kept beside the log."""

    def seal(self, record: Mapping[str, Json], at: datetime) -> tuple[str, bytes]:
        """Return the lower-case hex SHA-256 of the sealed record, and its bytes; nothing is written yet."""
        ...

    def write(self, name: str, sealed: bytes) -> None:
        """Store a sealed record durably; one that stands already is left alone.

        Raises:
            LogIntegrityError: It cannot be written.
        """
        ...

    def names(self) -> frozenset[str]:
        """Return the names of all records."""
        ...

    def sealed(self, name: str) -> bytes | None:
        """Return a record's sealed bytes; None where it is not there, or is not what its name says."""
        ...

    def open(self, sealed: bytes) -> dict[str, Json]:
        """Return what a sealed record says."""
        ...

    def key_of(self, sealed: bytes) -> str:
        """Return the id of the wrapping key that opens a record; empty where none does."""
        ...
