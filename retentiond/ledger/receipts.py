"""Receipts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import bindparam, insert, select, update

from retentiond.ledger.schema import columns_of, receipts
from retentiond.ledger.session import Session, values_of
from retentiond.ports.rows import ReceiptRow

_ADD = insert(receipts)
_RECEIPTS = select(*columns_of(receipts, ReceiptRow)).order_by(receipts.c.log_index)
_GET = _RECEIPTS.where(receipts.c.id == bindparam("reference"))
_WITHOUT_FILE = _RECEIPTS.where(receipts.c.file == "")
_SET_FILE = update(receipts).where(receipts.c.id == bindparam("reference")).values(file=bindparam("new_file"))


class SqlReceipts:
    """Receipts."""

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
