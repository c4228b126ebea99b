"""Taking a wrong receipt back, with a signature. It counts from its ledger commit, and for others once it is logged.

A statement over runs is as good as the receipts of these runs: it is taken back together with any of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
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
_AT_ONCE = 500
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
    receipts, seen = _concerned(ctx, receipt_id)
    listed: list[Json] = [[each.log_index, each.entry_sha256] for each in receipts]
    signed = request(ctx, VERB, {"verb": VERB, "receipts": listed, "reason": reason}, key_file)
    ctx.log.compare()
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        taken = retractions_in(tx)
        for each in receipts:
            _check_not_taken(taken, each)
        newer = [each for each in tx.receipts.briefs() if each.id not in seen]
        if any(_is_built_on(tx, each, receipts[0]) for each in newer):
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


def _concerned(ctx: Context, receipt_id: str) -> tuple[tuple[ReceiptBrief, ...], frozenset[str]]:
    """Return a receipt and those that were built on it and stand still, the former first; and which were looked at."""
    with ctx.ledger.begin() as tx:
        known = tx.receipts.briefs()
        (named,) = (each for each in known if each.id == receipt_id)
        taken = retractions_in(tx)
    _check_not_taken(taken, named)
    standing = [each for each in known if each.log_index > named.log_index and each.log_index not in taken]
    built = []
    for start in range(0, len(standing), _AT_ONCE):
        with ctx.ledger.begin() as tx:
            built += [each for each in standing[start : start + _AT_ONCE] if _is_built_on(tx, each, named)]
    return (named, *built), frozenset(each.id for each in known)


def _check_not_taken(taken: Mapping[int, RetractionRow], receipt: ReceiptBrief) -> None:
    found = taken.get(receipt.log_index)
    if found is not None:
        raise ReceiptError(
            f"receipt {receipt.id} was retracted before, on {found.at:%Y-%m-%d} ({found.reason})",
            remedy="nothing needs doing",
        )


def _is_built_on(tx: Transaction, receipt: ReceiptBrief, run: ReceiptBrief) -> bool:
    row = tx.receipts.get(receipt.id) if receipt.kind in KINDS_OVER_RUNS else None
    runs: Sequence[object] = json.loads(row.annex)["runs"] if row else ()
    return [run.log_index, run.entry_sha256] in runs
