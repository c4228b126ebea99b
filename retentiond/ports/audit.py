"""The port to what an audit reads of the ledger, page by page in the log's order, and to the anchors of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from retentiond.ports.rows import AnchorRow, ApprovalRow, EventRow, JournalRow, PlanRow, ReceiptRow


class Anchors(Protocol):
    """Which events each anchor in the log is of."""

    def add(self, anchor: AnchorRow) -> None:
        """Store an anchor."""
        ...

    def newest(self) -> AnchorRow | None:
        """Return the newest anchor whose events the ledger has; None where there is none."""
        ...


class Audits(Protocol):
    """Pages of rows: those whose entries follow an index of the log, in the log's order, `limit` at most."""

    def plans(self, after: int, limit: int) -> Sequence[PlanRow]:
        """Return plans."""
        ...

    def receipts(self, after: int, limit: int) -> Sequence[ReceiptRow]:
        """Return receipts."""
        ...

    def records(self, after: int, limit: int) -> Sequence[JournalRow]:
        """Return records of the journal that have an entry."""
        ...

    def approvals(self, after: int, limit: int) -> Sequence[ApprovalRow]:
        """Return approvals and rejections."""
        ...

    def anchors(self, after: int, limit: int) -> Sequence[AnchorRow]:
        """Return anchors of events."""
        ...

    def of_kind(self, kind: str) -> Sequence[EventRow]:
        """Return all events of a kind, oldest first; `detail` is empty where it was forgotten."""
        ...

    def checkpoints(self, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """Return checkpoints that were signed, each with its number, from the one that follows a number."""
        ...
