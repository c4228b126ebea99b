"""What an audit reads, page by page in the log's order; and the anchors of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Column, Row, Select, Table, bindparam, insert, select

from retentiond.ledger.plans import plan_row
from retentiond.ledger.schema import (
    anchors,
    approvals,
    columns_of,
    events,
    journal,
    plans,
    receipts,
    signed_checkpoints,
)
from retentiond.ledger.session import Session, values_of
from retentiond.ports.rows import AnchorRow, ApprovalRow, EventRow, JournalRow, PlanRow, ReceiptRow


def _page(table: Table, row: type[Any], by: Column[Any] | None = None) -> Select[Any]:
    order = table.c.log_index if by is None else by
    query = select(*columns_of(table, row)).where(order > bindparam("after"))
    return query.order_by(order).limit(bindparam("at_most"))


_PLANS, _RECEIPTS, _RECORDS = _page(plans, PlanRow), _page(receipts, ReceiptRow), _page(journal, JournalRow)
_APPROVALS, _ANCHORS = _page(approvals, ApprovalRow), _page(anchors, AnchorRow)
_CHECKPOINTS = (
    select(signed_checkpoints.c.sequence, signed_checkpoints.c.note)
    .where(signed_checkpoints.c.sequence > bindparam("after"))
    .order_by(signed_checkpoints.c.sequence)
    .limit(bindparam("at_most"))
)
_OF_KIND = (
    select(*columns_of(events, EventRow)).where(events.c.kind == bindparam("of_kind")).order_by(events.c.sequence)
)
_ADD = insert(anchors)
_NEWEST = (
    select(*columns_of(anchors, AnchorRow))
    .where(anchors.c.last_event > 0)
    .order_by(anchors.c.log_index.desc())
    .limit(1)
)


class SqlAnchors:
    """Anchors of events."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, anchor: AnchorRow) -> None:
        """Store an anchor; LedgerError where its entry has one already."""
        self._session.insert(_ADD, asdict(anchor))

    def newest(self) -> AnchorRow | None:
        """Return the newest anchor whose events the ledger has; None where there is none."""
        row = self._session.row(_NEWEST)
        return None if row is None else AnchorRow(**values_of(row))


class SqlAudits:
    """Pages of rows whose entries follow an index of the log."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def plans(self, after: int, limit: int) -> Sequence[PlanRow]:
        """Return plans."""
        return [plan_row(row) for row in self._rows(_PLANS, after, limit)]

    def receipts(self, after: int, limit: int) -> Sequence[ReceiptRow]:
        """Return receipts."""
        return [ReceiptRow(**values_of(row)) for row in self._rows(_RECEIPTS, after, limit)]

    def records(self, after: int, limit: int) -> Sequence[JournalRow]:
        """Return records of the journal that have an entry."""
        return [JournalRow(**values_of(row)) for row in self._rows(_RECORDS, after, limit)]

    def approvals(self, after: int, limit: int) -> Sequence[ApprovalRow]:
        """Return approvals and rejections."""
        return [ApprovalRow(**values_of(row)) for row in self._rows(_APPROVALS, after, limit)]

    def anchors(self, after: int, limit: int) -> Sequence[AnchorRow]:
        """Return anchors of events."""
        return [AnchorRow(**values_of(row)) for row in self._rows(_ANCHORS, after, limit)]

    def of_kind(self, kind: str) -> Sequence[EventRow]:
        """Return all events of a kind, oldest first; `detail` is empty where it was forgotten."""
        rows = self._session.rows(_OF_KIND, of_kind=kind)
        return [EventRow(**{**values_of(row), "detail": row.detail or {}}) for row in rows]

    def checkpoints(self, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """Return checkpoints that were signed, each with its number, from the one that follows a number."""
        return [(row.sequence, row.note) for row in self._rows(_CHECKPOINTS, after, limit)]

    def _rows(self, query: Select[Any], after: int, limit: int) -> Sequence[Row[Any]]:
        return self._session.rows(query, after=after, at_most=limit)
