"""Which receipts were taken back: nothing is handed out of these, and nothing is built on them."""

from __future__ import annotations

from collections.abc import Mapping

from retentiond.engine.context import Context
from retentiond.errors import ReceiptError
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ReceiptRow, RetractionRow


def retractions(ctx: Context) -> Mapping[int, RetractionRow]:
    """Return the retractions by the index of the receipt's entry."""
    with ctx.ledger.begin() as tx:
        return retractions_in(tx)


def retractions_in(tx: Transaction) -> Mapping[int, RetractionRow]:
    """Do that inside a transaction."""
    return {each.receipt_index: each for each in tx.receipts.retractions()}


def check_not_retracted(ctx: Context, row: ReceiptRow) -> None:
    """Raise ReceiptError for a receipt that was taken back."""
    found = retractions(ctx).get(row.log_index)
    if found is not None:
        raise ReceiptError(
            f"receipt {row.id} was retracted on {found.at:%Y-%m-%d} ({found.reason}), so nothing is handed out of it",
            remedy="`retentiond receipt show` tells more; `receipt export --retracted` is for auditors",
        )
