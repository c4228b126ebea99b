"""Ended batches: their identifiers and outcomes, sealed in the ledger."""

from __future__ import annotations

from retentiond.domain.plan import BatchState
from retentiond.engine.context import Context
from retentiond.engine.identifiers import Ended, decode_ended, encode_ended
from retentiond.errors import LedgerError
from retentiond.ports.rows import BatchRow


def seal_ended(ctx: Context, batch: BatchRow, ended: Ended) -> bytes:
    """Seal an ended batch's identifiers and outcomes."""
    return ctx.wrapping.seal(encode_ended(ended), _context(batch))


def read_ended(ctx: Context, batch: BatchRow) -> Ended:
    """Open an ended batch's identifiers and outcomes.

    Raises:
        LedgerError: They were destroyed at the end of their retention period.
    """
    if batch.state in (BatchState.PLANNED, BatchState.CLAIMED, BatchState.ACTED):
        raise LedgerError(f"batch {batch.ordinal} of plan {batch.plan} has not ended", remedy="run `retentiond run`")
    with ctx.ledger.begin() as tx:
        sealed = tx.batches.identifiers(batch.plan, batch.ordinal)
    return decode_ended(ctx.wrapping.open(sealed, _context(batch)))


def _context(batch: BatchRow) -> bytes:
    return f"batch/{batch.plan}/{batch.ordinal}".encode()
