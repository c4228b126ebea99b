"""The port to what lets a ledger come back: journal records, changes that wait for the log, and rebuilding from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from retentiond.ports.rows import JournalRow, PendingRow


class Journals(Protocol):
    """Sealed records of the journal, on their way into its files and into the log."""

    def add(self, record: JournalRow) -> None:
        """Store a record."""
        ...

    def all(self) -> Sequence[JournalRow]:
        """Return all records, oldest first."""
        ...

    def names(self) -> frozenset[str]:
        """Return the names of all records."""
        ...

    def undelivered(self) -> Sequence[JournalRow]:
        """Return the records that have no file or no entry yet, oldest first."""
        ...

    def deliver(self, record: JournalRow) -> None:
        """Note a record's entry, and whether its file stands."""
        ...


class Pendings(Protocol):
    """Changes that let go (releases, closures, cancellations): they wait until their entry is published."""

    def add(self, change: PendingRow) -> None:
        """Store a change."""
        ...

    def all(self) -> Sequence[PendingRow]:
        """Return all changes that wait, by their entry."""
        ...

    def remove(self, log_index: int) -> None:
        """Drop a change that was carried out."""
        ...


class Recovery(Protocol):
    """Rebuilding a ledger that went back in time; nothing that it has is changed, only added to."""

    def adopt_entries(self, start: int, entries: Sequence[bytes]) -> None:
        """Add entries that were read from the published log, from an index on."""
        ...

    def adopt_checkpoint(self, note: bytes) -> None:
        """Take the published checkpoint as the last one that was signed."""
        ...
