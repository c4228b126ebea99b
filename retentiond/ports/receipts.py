"""The ledger's receipts; a part of `ports.ledger`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from retentiond.ports.rows import ReceiptBrief, ReceiptRow, RetractionRow


class Receipts(Protocol):
    """Receipts, and which of them were taken back."""

    def add(self, receipt: ReceiptRow) -> None:
        """Store a receipt."""
        ...

    def get(self, receipt: str) -> ReceiptRow | None:
        """Return a receipt by its id."""
        ...

    def all(self) -> Sequence[ReceiptRow]:
        """Return all receipts, oldest first, without envelope and annex bytes left out."""
        ...

    def briefs(self) -> Sequence[ReceiptBrief]:
        """Return which receipts there are, oldest first, and not what they say."""
        ...

    def without_file(self) -> Sequence[ReceiptRow]:
        """Return receipts whose bundle was not written yet."""
        ...

    def set_file(self, receipt: str, file: str) -> None:
        """Note where the bundle stands."""
        ...

    def with_keys_before(self, moment: datetime) -> Sequence[str]:
        """Return the ids of receipts that were issued before a time and whose key is still there, oldest first."""
        ...

    def destroy_keys(self, receipts: Sequence[str]) -> None:
        """Destroy the keys of receipts, and of their runs: what they commit to can't be linked any more."""
        ...

    def retract(self, retraction: RetractionRow) -> None:
        """Take a receipt back; LedgerError where it was taken back before."""
        ...

    def retractions(self) -> Sequence[RetractionRow]:
        """Return which receipts were taken back, by the index of their entries."""
        ...
