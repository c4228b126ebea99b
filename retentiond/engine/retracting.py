"""Taking a wrong receipt back, with a signature. It counts from its ledger commit, and for others once it is logged.

A statement over runs is as good as the receipts of these runs: it is taken back together with any of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retentiond.engine.bundles import get_receipt
from retentiond.engine.context import Context
from retentiond.engine.retractions import retractions_in
from retentiond.engine.signing import deliver_what_stops, record_state, request
from retentiond.errors import ReceiptError, UsageError
from retentiond.evidence.canonical import Json
from retentiond.evidence.entry import retract_entry
from retentiond.evidence.statement import KINDS_OVER_RUNS
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ReceiptBrief, RetractionRow
from retentiond.telemetry import logger

VERB, KIND = "receipt retract", "receipt-retract"
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")


@dataclass(frozen=True, slots=True)
class Retracted:
    """What was taken back: the receipt that was named, and those that were built on it."""

    receipt: ReceiptBrief
    built_on_it: tuple[ReceiptBrief, ...]
    reason: str
    at: datetime


def retract(ctx: Context, receipt_id: str, reason: str, key_file: Path | None) -> Retracted:
    """Take a receipt back, and what was built on it.

    Raises:
        NotFound: There is no such receipt.
        UsageError: The reason is no word.
        ReceiptError: It was taken back before.
        LedgerBehindLog: The ledger is older than its log; nothing was taken back.
        LogIntegrityError: It is taken back, and that is not yet logged.
    """
    if not _WORD.fullmatch(reason):
        raise UsageError(
            f"{reason!r} is no reason that the log can bear: it is public, and holds words only",
            where="--reason",
            remedy="lower-case letters, and hyphens between them, such as `mistaken` or `wrong-policy`",
        )
    get_receipt(ctx, receipt_id)
    with ctx.ledger.begin() as tx:
        receipts = _concerned(tx, receipt_id)
    listed: list[Json] = [[each.log_index, each.entry_sha256] for each in receipts]
    signed = request(ctx, VERB, {"verb": VERB, "receipts": listed, "reason": reason}, key_file)
    ctx.log.compare()
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        if _concerned(tx, receipt_id) != receipts:
            raise ReceiptError("more was built on that receipt at the same time", remedy="ask again")
        record: dict[str, Json] = {"kind": KIND, "receipts": listed, "reason": reason, **signed.to_json()}
        record_state(ctx, tx, record)
        for each in receipts:
            index = tx.entries.stage(retract_entry(each.log_index, reason, each.entry_sha256))
            tx.receipts.retract(RetractionRow(each.log_index, reason, now, index))
            tx.events.append("receipt.retracted", each.id, now, {"by": signed.principal, "reason": reason})
    deliver_what_stops(ctx, f"receipt {receipt_id} is retracted")
    logger().info("retraction", receipt=receipt_id, reason=reason, receipts=len(receipts))
    return Retracted(receipts[0], receipts[1:], reason, now)


def _concerned(tx: Transaction, receipt_id: str) -> tuple[ReceiptBrief, ...]:
    """Return a receipt and those that were built on it and stand still, the former first."""
    known = tx.receipts.briefs()
    (named,) = (each for each in known if each.id == receipt_id)
    taken = retractions_in(tx)
    if named.log_index in taken:
        found = taken[named.log_index]
        raise ReceiptError(
            f"receipt {named.id} was retracted before, on {found.at:%Y-%m-%d} ({found.reason})",
            remedy="nothing needs doing",
        )
    over_runs = (each for each in known if each.kind in KINDS_OVER_RUNS and each.log_index not in taken)
    return (named, *(each for each in over_runs if _is_built_on(tx, each, named)))


def _is_built_on(tx: Transaction, receipt: ReceiptBrief, run: ReceiptBrief) -> bool:
    row = tx.receipts.get(receipt.id) if receipt.log_index > run.log_index else None
    runs: Sequence[object] = json.loads(row.annex)["runs"] if row else ()
    return [run.log_index, run.entry_sha256] in runs
