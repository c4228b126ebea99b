"""What stands beside a ledger that may have gone back in time: bundles of receipts, and what they and the journal say.

Nothing here is believed for its own sake: a bundle counts where the log has its receipt's digest, a record of the
journal where the log has its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from retentiond.engine.context import Context
from retentiond.errors import ReceiptError
from retentiond.evidence.canonical import canonical_json
from retentiond.evidence.envelope import Envelope, from_base64
from retentiond.ports.rows import ReceiptRow


@dataclass(frozen=True, slots=True)
class FoundBundle:
    """A receipt as its bundle has it. `vouched` is the tree size of a checkpoint of this log that it carries, or 0."""

    path: Path
    envelope: Envelope
    annex: bytes
    vouched: int

    def row(self, log_index: int, closure: str) -> ReceiptRow:
        """Return the receipt for the ledger; the key of its commitments is lost with the ledger that had it."""
        predicate = json.loads(self.envelope.payload)["predicate"]
        return ReceiptRow(
            id=str(predicate["receiptId"]),
            kind=str(predicate["kind"]),
            plan="",
            closure=closure,
            issued_at=datetime.fromisoformat(predicate["issuedAt"]),
            envelope=canonical_json(self.envelope.to_json()),
            annex=self.annex,
            entry_sha256=self.envelope.sha256,
            log_index=log_index,
            commitment_key=b"",
            file=str(self.path),
        )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was found beside the ledger.

    Attributes:
        bundles: Bundles by the digest of their receipt.
        damaged: Files that should be bundles and cannot be read.
    """

    bundles: Mapping[str, FoundBundle] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()

    @property
    def vouched(self) -> int:
        """The largest tree that a checkpoint in a bundle vouches for."""
        return max((bundle.vouched for bundle in self.bundles.values()), default=0)


def look_around(ctx: Context) -> Surroundings:
    """Read all bundles that stand where receipts are kept."""
    bundles: dict[str, FoundBundle] = {}
    damaged = []
    for path in sorted(ctx.terms.receipts.glob("*.bundle.json")):
        try:
            bundle = _read(ctx, path)
        except (OSError, ValueError, KeyError, TypeError, ReceiptError):
            damaged.append(path.name)
            continue
        bundles[bundle.envelope.sha256] = bundle
    return Surroundings(bundles, tuple(damaged))


def _read(ctx: Context, path: Path) -> FoundBundle:
    document: Any = json.loads(path.read_bytes())
    envelope = Envelope.from_json(document["dsseEnvelope"])
    annex = from_base64(document["annex"])
    ((subject),) = json.loads(envelope.payload)["subject"]
    if hashlib.sha256(annex).hexdigest() != subject["digest"]["sha256"]:
        message = "the annex is not the one that the receipt names"
        raise ValueError(message)
    return FoundBundle(path, envelope, annex, ctx.log.vouched(str(document["tlogProof"])))


def unlogged(ctx: Context, logged: frozenset[str]) -> Iterator[str]:
    """Name the records of the journal that neither the ledger nor the log knows."""
    written = ctx.journal.names()
    with ctx.ledger.begin() as tx:
        known = tx.journal.names()
    yield from sorted(written - known - logged)
