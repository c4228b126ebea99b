"""Receipts, and which of them were taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import bindparam, insert, select, update

from retentiond.ledger.schema import HAS_KEY, columns_of, receipts, retractions, runs
from retentiond.ledger.session import Session, values_of
from retentiond.ports.rows import ReceiptBrief, ReceiptRow, RetractionRow

_ADD = insert(receipts)
_RECEIPTS = select(*columns_of(receipts, ReceiptRow)).order_by(receipts.c.log_index)
_GET = _RECEIPTS.where(receipts.c.id == bindparam("reference"))
_WITHOUT_FILE = _RECEIPTS.where(receipts.c.file == "")
_SET_FILE = update(receipts).where(receipts.c.id == bindparam("reference")).values(file=bindparam("new_file"))
_BRIEFS = select(*columns_of(receipts, ReceiptBrief)).order_by(receipts.c.log_index)
_WITH_KEYS = (
    select(receipts.c.id).where(receipts.c.issued_at < bindparam("moment"), HAS_KEY).order_by(receipts.c.issued_at)
)
_DESTROY_KEYS = tuple(
    update(table).where(column.in_(bindparam("named", expanding=True)), HAS_KEY).values(commitment_key=b"")
    for table, column in ((receipts, receipts.c.id), (runs, runs.c.receipt))
)
_RETRACT = insert(retractions)
_RETRACTIONS = select(*columns_of(retractions, RetractionRow)).order_by(retractions.c.receipt_index)


class SqlReceipts:
    """Receipts, and which of them were taken back."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, receipt: ReceiptRow) -> None:
        """Store a receipt; LedgerError where its plan has one already."""
        self._session.insert(_ADD, asdict(receipt))

    def get(self, receipt: str) -> ReceiptRow | None:
        """Return a receipt by its id."""
        row = self._session.row(_GET, reference=receipt)
        return None if row is None else ReceiptRow(**values_of(row))

    def all(self) -> Sequence[ReceiptRow]:
        """Return all receipts, oldest first."""
        return [ReceiptRow(**values_of(row)) for row in self._session.rows(_RECEIPTS)]

    def without_file(self) -> Sequence[ReceiptRow]:
        """Return receipts whose bundle was not written yet, oldest first."""
        return [ReceiptRow(**values_of(row)) for row in self._session.rows(_WITHOUT_FILE)]

    def set_file(self, receipt: str, file: str) -> None:
        """Note where the bundle stands; NotFound where there is no such receipt."""
        self._session.change_one(f"receipt {receipt}", _SET_FILE, reference=receipt, new_file=file)

    def briefs(self) -> Sequence[ReceiptBrief]:
        """Return which receipts there are, oldest first, and not what they say."""
        return [ReceiptBrief(**values_of(row)) for row in self._session.rows(_BRIEFS)]

    def with_keys_before(self, moment: datetime) -> Sequence[str]:
        """Return the ids of receipts that were issued before a time and whose key is still there, oldest first."""
        return [row.id for row in self._session.rows(_WITH_KEYS, moment=moment)]

    def destroy_keys(self, receipts: Sequence[str]) -> None:
        """Destroy the keys of receipts, and of their runs: what they commit to can't be linked any more."""
        for statement in _DESTROY_KEYS:
            self._session.change(statement, named=list(receipts))

    def retract(self, retraction: RetractionRow) -> None:
        """Take a receipt back; LedgerError where it was taken back before."""
        self._session.insert(_RETRACT, asdict(retraction))

    def retractions(self) -> Sequence[RetractionRow]:
        """Return which receipts were taken back, by the index of their entries."""
        return [RetractionRow(**values_of(row)) for row in self._session.rows(_RETRACTIONS)]
