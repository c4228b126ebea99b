"""Anchoring events: once a day a Merkle root over the digests of all events since the last one goes into the log.

From then on nobody can change, remove or insert an event without the log telling. What events say is forgotten at the
end of its own retention period; that they happened, and their digests, stay.
"""

from __future__ import annotations

from retentiond.engine.context import Context
from retentiond.evidence.entry import anchor_entry
from retentiond.evidence.merkle import Frontier, leaf_hash
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import AnchorRow

_PAGE = 4096


def anchor_events(ctx: Context) -> None:
    """Log the root over the events of the days before today, where there are such that no anchor is of.

    Whoever calls it has compared ledger and log.

    Raises:
        RetentiondError: The log cannot be written; the entry is staged, and published with the next one.
    """
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        newest = tx.anchors.newest()
        first = newest.last_event + 1 if newest else 1
        last = tx.events.last_before(now.replace(hour=0, minute=0, second=0))
        if last < first:
            return
        root = _root(tx, first, last)
        index = tx.entries.stage(anchor_entry(root))
        tx.anchors.add(AnchorRow(index, first, last, root, now))
        tx.events.forget(ctx.terms.events_keep.before(now), last)
    ctx.log.publish()


def _root(tx: Transaction, first: int, last: int) -> str:
    tree = Frontier()
    at = first - 1
    while at < last:
        rows = tx.events.digests(at, min(_PAGE, last - at))
        tree.extend(leaf_hash(row.digest) for row in rows)
        at = rows[-1].sequence
    return tree.root().hex()
