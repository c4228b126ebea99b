"""An audit's look at events: each against its digest, and the digests against the roots in the log."""

from __future__ import annotations

from datetime import datetime

from retentiond.engine.audit.paging import Findings, Lost, Rows
from retentiond.engine.audit.papers import OPEN_AT_MOST
from retentiond.engine.context import Context
from retentiond.evidence.entry import Entry, EntryKind
from retentiond.evidence.merkle import Frontier, leaf_hash
from retentiond.ports.rows import AnchorRow

_PAGE = 4096


class AnchorAudit:
    """Anchors, as their entries come."""

    def __init__(self, ctx: Context, findings: Findings, lost: Lost) -> None:
        self._ctx = ctx
        self._findings = findings
        self._lost = lost
        self._anchors = Rows(ctx, lambda tx, after, most: tx.audits.anchors(after, most))
        self._last = 0
        self.unanchored = 0

    def skip(self, index: int) -> None:
        """Leave out an entry that nobody can read."""
        row = self._anchors.at(index)
        self._last = row.last_event if row is not None else self._last

    def take(self, index: int, entry: Entry) -> None:
        """Take in an entry, whatever its kind."""
        row = self._anchors.at(index)
        where = f"anchor, entry {index}"
        if row is None:
            if entry.kind is EntryKind.ANCHOR and not self._lost.has(index):
                self._findings.add(where, "the ledger does not know which events it is of")
            return
        if entry.kind is not EntryKind.ANCHOR or entry.sha256 != row.root:
            self._findings.add(where, f"the ledger's row of it names that entry, which is another: `{entry.kind_line}`")
        elif row.last_event:
            self._anchor(where, entry, row)
        elif not self._lost.has(index):
            self._findings.add(where, "its row says that its events were lost, and no recovery says so")

    def finish(self, now: datetime) -> None:
        """Look at the events that no anchor is of yet."""
        late = now - OPEN_AT_MOST
        at, oldest = self._last, 0
        with self._ctx.ledger.begin() as tx:
            while rows := tx.events.digests(at, _PAGE):
                self.unanchored += len(rows)
                oldest = oldest or next((row.sequence for row in rows if row.at < late), 0)
                for row in rows:
                    if row.forgotten:
                        self._findings.add(f"event {row.sequence}", "its detail is gone, and no anchor is of it")
                at = rows[-1].sequence
        if oldest:
            self._findings.add(f"event {oldest}", "it is older than seven days, and no anchor is of it")

    def _anchor(self, where: str, entry: Entry, row: AnchorRow) -> None:
        if row.first_event != self._last + 1:
            what = f"it begins with event {row.first_event}, and the one before ended with event {self._last}"
            self._findings.add(where, what)
        keep = self._ctx.terms.events_keep
        kept_since = keep.before(self._ctx.now())
        tree, at = Frontier(), row.first_event - 1
        while at < row.last_event:
            with self._ctx.ledger.begin() as tx:
                rows = tx.events.digests(at, min(_PAGE, row.last_event - at))
            rows = [each for each in rows if each.sequence <= row.last_event]
            if not rows:
                break
            tree.extend(leaf_hash(each.digest) for each in rows)
            for each in rows:
                if each.forgotten and each.at >= kept_since:
                    self._findings.add(f"event {each.sequence}", f"its detail is gone, and it is kept for {keep}")
            at = rows[-1].sequence
        if tree.root().hex() != entry.sha256:
            what = f"the digests of events {row.first_event} to {row.last_event} do not give its root: one of them"
            self._findings.add(where, f"{what} was altered, removed or added")
        self._last = row.last_event
