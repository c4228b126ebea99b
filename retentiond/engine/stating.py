"""Statements that are over runs, and about one account at most: signed, in the log, with a bundle, like any receipt."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from retentiond.engine import manifest
from retentiond.engine.bundles import write_bundle
from retentiond.engine.context import Context, new_id
from retentiond.engine.itemrows import commitment_under
from retentiond.engine.planning import Looked
from retentiond.engine.proposing import publish_canonical
from retentiond.engine.receipts import issuer, manifest_base, receipt_context, remnants_of
from retentiond.errors import ReceiptError
from retentiond.evidence.annex import RunsAnnex
from retentiond.evidence.canonical import canonical_json
from retentiond.evidence.entry import receipt_entry
from retentiond.evidence.envelope import from_base64, sign
from retentiond.evidence.levels import EvidenceLevel
from retentiond.evidence.statement import Digest, NotCovered, Receipt, receipt_statement
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ReceiptRow
from retentiond.telemetry import logger

ANNEX_LIMIT_BYTES = 8 * 2**20  # a bundle, in which it stands as base64, is read up to 16 MiB
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Saying:
    """What is to be stated.

    Attributes:
        account: Whom it is about; None for everybody.
        retained: How many of the account's records are retained under a legal obligation.
        period: Of an attestation.
    """

    kind: str
    annex: RunsAnnex
    account: str | None = None
    retained: int = 0
    period: tuple[datetime, datetime] | None = None


def state(ctx: Context, saying: Saying, looked: Looked, still_true: Callable[[Transaction], None]) -> ReceiptRow:
    """Sign a statement about what was looked at, log it and write its bundle.

    Args:
        still_true: Raises where the statement is no longer true; asked in the transaction that logs it.

    Raises:
        ReceiptError: There is more to say than a bundle holds.
        LedgerBehindLog: The ledger is older than its log; nothing is signed.
    """
    if len(saying.annex.encode()) > ANNEX_LIMIT_BYTES:
        raise ReceiptError("there are more runs in it than a bundle can list", remedy="name a shorter period")
    now = ctx.now()
    receipt_id, key = new_id(now), secrets.token_bytes(32)
    tree = manifest.write_manifest(manifest_base(ctx, receipt_id), key, _rows(key, saying))
    receipt = Receipt(
        kind=saying.kind,
        receipt_id=receipt_id,
        issued_at=now,
        issuer=issuer(ctx),
        policies=tuple(Digest(policy.id, policy.sha256) for policy in looked.policies),
        accounts_size=tree.size,
        accounts_root=tree.root,
        annex=saying.annex,
        not_covered=tuple(NotCovered(each.what, each.until) for each in remnants_of(ctx, looked.datasets, now)),
        period=saying.period,
    )
    statement = receipt_statement(receipt)
    publish_canonical(ctx, [*looked.policies, *looked.datasets])
    ctx.log.compare()
    envelope = sign(statement, ctx.issuer)
    with ctx.ledger.begin() as tx:
        still_true(tx)
        row = ReceiptRow(
            id=receipt_id,
            kind=receipt.kind,
            plan="",
            closure="",
            issued_at=now,
            envelope=canonical_json(envelope.to_json()),
            annex=receipt.annex.encode(),
            entry_sha256=envelope.sha256,
            log_index=tx.entries.stage(receipt_entry(None, envelope.sha256)),
            commitment_key=ctx.wrapping.seal(key, receipt_context(receipt_id)),
        )
        tx.receipts.add(row)
        tx.events.append("receipt.issued", row.id, now, {"kind": row.kind})
    ctx.log.publish()
    logger().info("statement", kind=row.kind, receipt=row.id, entry=row.log_index)
    return write_bundle(ctx, row)


def evidence_of(rows: Sequence[ReceiptRow]) -> EvidenceLevel:
    """Return the weakest evidence that receipts of runs state; hidden where there are none."""
    stated = (json.loads(from_base64(json.loads(row.envelope)["payload"])) for row in rows)
    levels = (EvidenceLevel.from_wire(each["predicate"]["evidence"]) for each in stated)
    return min(levels, default=EvidenceLevel.HIDDEN)


def _rows(key: bytes, saying: Saying) -> Iterator[list[bytes]]:
    if saying.account is None:
        return
    commitment = commitment_under(key, saying.account)
    yield [manifest.pack_unnamed(commitment, manifest.PRESENT)]
    retained = manifest.pack_unnamed(commitment, manifest.RETAINED)
    for start in range(0, saying.retained, _ROWS_AT_ONCE):
        yield [retained] * min(_ROWS_AT_ONCE, saying.retained - start)
