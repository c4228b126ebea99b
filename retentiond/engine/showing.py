"""What a receipt says, gathered to be shown: from the ledger, or from a bundle that somebody was given."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from retentiond.engine.bundles import get_receipt
from retentiond.engine.context import Context
from retentiond.engine.retractions import retractions
from retentiond.evidence.canonical import rfc3339
from retentiond.evidence.envelope import Envelope
from retentiond.evidence.plain import Shown

_Document = dict[str, Any]


def shown(ctx: Context, receipt_id: str) -> tuple[Shown, _Document]:
    """Return a receipt of this instance, to be said in words and as programs get it.

    Raises:
        NotFound: There is none of that id.
    """
    row = get_receipt(ctx, receipt_id)
    statement = json.loads(Envelope.from_json(json.loads(row.envelope)).payload)
    annex, taken = json.loads(row.annex), retractions(ctx).get(row.log_index)
    until = rfc3339(ctx.terms.commitments_keep.after(row.issued_at)) if row.commitment_key else None
    document = {
        "receipt": row.id,
        "kind": row.kind,
        "statement": statement,
        "annex": annex,
        "retracted": taken and {"reason": taken.reason, "at": rfc3339(taken.at)},
        "linked_until": until,
    }
    told = (taken.reason, rfc3339(taken.at)) if taken else None
    return Shown(statement["predicate"], annex, retraction=told, linked_until=until or "gone"), document


def of_bundle(
    bundle: Mapping[str, Any], statement: Mapping[str, Any], annex: _Document | None, leaf: _Document | None
) -> tuple[Shown, _Document]:
    """Return the same of a bundle that was read, and not verified."""
    account = bundle["account"] and bundle["account"]["id"]
    items = [
        {
            "dataset": each["dataset"],
            "key": _text(each["key"]),
            "version": _text(each["version"]),
            "action": each["action"],
        }
        for each in bundle["items"]
    ]
    predicate = statement["predicate"]
    document = {
        "receipt": predicate["receiptId"],
        "kind": predicate["kind"],
        "statement": statement,
        "annex": annex,
        "retracted": None,
        "linked_until": None,
        "account": account,
        "leaf": leaf,
        "items": items,
    }
    return Shown(predicate, annex, leaf, account or "", items, unverified=True), document


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode(errors="backslashreplace")
