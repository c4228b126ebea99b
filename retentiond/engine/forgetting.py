"""The ledger forgets: keys of receipts, so that nobody can link these any more, and what people asked to be purged.

What was signed stays, and verifies: it commits to records and accounts under a key that is gone by then.
"""

from __future__ import annotations

from pathlib import Path

from retentiond.engine.context import Context
from retentiond.engine.manifest import SUFFIXES
from retentiond.engine.manual import forget_request
from retentiond.engine.receipts import manifest_base
from retentiond.errors import ReceiptError

_AT_ONCE = 500


def forget_keys(ctx: Context) -> int:
    """Destroy the keys of receipts that are older than `commitments.keep`, and their manifests; return how many.

    Files go first: where the process dies in between, the next one finds the key, and does the rest.

    Raises:
        ReceiptError: A manifest cannot be removed; its key stays until it can.
    """
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        old = tx.receipts.with_keys_before(ctx.terms.commitments_keep.before(now))
    for start in range(0, len(old), _AT_ONCE):
        some = old[start : start + _AT_ONCE]
        for receipt in some:
            _remove_manifest(ctx, receipt)
        with ctx.ledger.begin() as tx:
            tx.receipts.destroy_keys(some)
            for receipt in some:
                tx.events.append("receipt.key-destroyed", receipt, now)
    return len(old)


def forget_requests(ctx: Context) -> int:
    """Destroy requests for manual purges with the names of what they removed: they say what it was; return how many."""
    with ctx.ledger.begin() as tx:
        old = tx.plans.asked_before(ctx.terms.identifiers_keep.before(ctx.now()))
        for plan in old:
            forget_request(tx, plan)
    return len(old)


def _remove_manifest(ctx: Context, receipt: str) -> None:
    for path in manifest_files(ctx, receipt):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            what = f"a manifest whose time is over cannot be removed: {error.strerror}"
            raise ReceiptError(what, where=str(path), remedy="give permission; the next run removes it") from error


def manifest_files(ctx: Context, receipt: str) -> list[Path]:
    """Return the paths of a receipt's manifest."""
    base = manifest_base(ctx, receipt)
    return [base.with_name(base.name + suffix) for suffix in SUFFIXES]


def manifest_bytes(ctx: Context) -> tuple[int, int]:
    """Return how many receipts have manifests, and how many bytes these take."""
    folder = manifest_base(ctx, "any").parent
    files = [path for suffix in SUFFIXES for path in folder.glob(f"*{suffix}")]
    return len({path.stem for path in files}), sum(path.stat().st_size for path in files)
