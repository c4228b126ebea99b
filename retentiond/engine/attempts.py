"""Manifests are named in the ledger before they are written, so that what comes to no receipt can be removed later.

A manifest is written before its receipt is signed. Where signing fails, or the process dies, its files belong to
nothing, and the next attempt has another id. Only the process that acts writes these, and whoever lost its lock commits
nothing any more: what was named before is over when the next one begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from retentiond.engine.context import Context
from retentiond.engine.manifest import SUFFIXES
from retentiond.telemetry import logger

_FACT = "manifests-begun"


def begin_manifests(ctx: Context, directory: Path, receipts: Iterable[str]) -> None:
    """Name the receipts whose manifests are written next; remove those of earlier attempts that came to none.

    To be called by the process that acts, before it writes any of them.

    Args:
        directory: Where manifests are.
    """
    with ctx.ledger.begin() as tx:
        named = (tx.facts.get(_FACT) or "").split()
        over = [each for each in named if tx.receipts.get(each) is None and not _has_bundle(ctx, each)]
        left = [each for each in over if not _removed(directory, each)]
        tx.facts.set(_FACT, " ".join((*left, *receipts)))


def _has_bundle(ctx: Context, receipt: str) -> bool:
    """Tell whether a receipt was issued that the ledger does not know: then its manifest is needed."""
    return (ctx.terms.receipts / f"{receipt}.bundle.json").exists()


def _removed(directory: Path, receipt: str) -> bool:
    try:
        for suffix in SUFFIXES:
            for end in ("", ".part"):
                (directory / f"{receipt}{suffix}{end}").unlink(missing_ok=True)
    except OSError as error:  # it holds back no receipt; the next attempt tries again
        logger().warning("manifest-left", receipt=receipt, what=error.strerror)
        return False
    return True
