"""Manifests whose receipts never came about: their process was killed between the two. They go before the next one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from retentiond.engine.context import Context
from retentiond.errors import ReceiptError

BEGUN = "manifests:begun"  # a fact: for which receipts the process that acts, or acted last, began to write manifests


def begin_manifests(ctx: Context, directory: Path, receipts: Iterable[str]) -> None:
    """Remember for which receipts manifests are written from now on; remove those that were begun before in vain.

    Only the process that acts may call this. What it finds is of one that is dead, or can add no receipt any more.

    Raises:
        ReceiptError: What is left cannot be removed.
    """
    with ctx.ledger.begin() as tx:
        for receipt in (tx.facts.get(BEGUN) or "").split():
            if tx.receipts.get(receipt) is None:
                _remove(directory, receipt)
        tx.facts.set(BEGUN, " ".join(receipts))


def _remove(directory: Path, receipt: str) -> None:
    for path in directory.glob(f"{receipt}.*"):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            what = f"a manifest that belongs to no receipt cannot be removed: {error.strerror}"
            raise ReceiptError(what, where=str(path), remedy="give permission; the next run removes it") from error
