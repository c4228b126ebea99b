"""Takes the entries of the published log as they are read, and compares the ledger and what stands beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from retentiond.engine.audit.anchors import AnchorAudit
from retentiond.engine.audit.paging import Findings, Lost
from retentiond.engine.audit.papers import PaperAudit
from retentiond.engine.audit.states import StateAudit
from retentiond.engine.context import Context
from retentiond.errors import LogIntegrityError
from retentiond.evidence.entry import Entry, EntryKind, parse_entry

_PAGE = 4096
_STEP = 256


def signed_checkpoints(ctx: Context) -> Iterator[tuple[str, bytes]]:
    """Yield every checkpoint that the ledger says was signed, each with whose it is."""
    newest = ctx.ledger.log_state.checkpoint()
    if newest is not None:
        yield "the ledger's newest checkpoint (log_checkpoint)", newest
    after = 0
    while True:
        with ctx.ledger.begin() as tx:
            rows = tx.audits.checkpoints(after, _PAGE)
        if not rows:
            return
        yield from ((f"row {number} of the ledger's checkpoints (signed_checkpoints)", note) for number, note in rows)
        after = rows[-1][0]


class LedgerAudit:
    """One audit; it is told of each entry, in order, and asked for what it found at the end."""

    def __init__(self, ctx: Context) -> None:
        self.findings = Findings()
        self.unchecked: list[str] = []
        self._ctx = ctx
        self._lost = Lost(ctx)
        self._papers = PaperAudit(ctx, self.findings, self._lost)
        self._states = StateAudit(ctx, self.findings, self._lost)
        self._anchors = AnchorAudit(ctx, self.findings, self._lost)
        self._size = 0
        self._own: Sequence[bytes] = ()
        self._start = 0
        self._policies: set[str] = set()
        self._lost_entries = 0

    def begin(self, size: int) -> None:
        """So many entries follow."""
        self._size = size
        self._ctx.reporter.start("audit", size)

    def entry(self, index: int, data: bytes | None) -> None:
        """Take an entry; None where it is not the one that was logged, and the ledger's own says what that was."""
        own = self._own_entry(index)
        if own is None:
            self.findings.add(f"entry {index}", "the ledger lacks it (log_entries)")
        elif data is not None and own != data:
            self.findings.add(f"entry {index}", "the ledger's row of it (log_entries) is not what was logged")
        self._take(index, _parsed(own if data is None else data))
        self._lost_entries += self._lost.has(index)
        if index % _STEP == _STEP - 1:
            self._ctx.reporter.advance(_STEP)

    def finish(self) -> None:
        """Look at what the ledger has beside the entries."""
        now = self._ctx.now()
        self._papers.finish(self._later(), now)
        self._states.finish(self._size)
        self._anchors.finish(now)
        for path, data in self._ctx.keys.files().items():
            if self._ctx.log.read_published(path) != data:
                self.findings.add(path, "what is published is not this instance's own")
        for name in self._lost.unsigned():
            self.findings.add(f"recovery {name}", "the ledger was recovered, and nobody signed the list of holds")
        for problem in self._ctx.ledger.check():
            self.findings.add("ledger", problem)
        self._say_unchecked()

    def _take(self, index: int, entry: Entry | None) -> None:
        for part in (self._papers, self._states, self._anchors):
            if entry is None:
                part.skip(index)
            else:
                part.take(index, entry)
        if entry is not None and entry.kind is EntryKind.POLICY and entry.sha256 not in self._policies:
            self._policies.add(entry.sha256)
            self._policy(index, entry.sha256)

    def _own_entry(self, index: int) -> bytes | None:
        if not self._start <= index < self._start + len(self._own):
            self._start, self._own = index, self._ctx.ledger.log_state.entries(index, _PAGE)
        at = index - self._start
        return self._own[at] if at < len(self._own) else None

    def _policy(self, index: int, sha256: str) -> None:
        with self._ctx.ledger.begin() as tx:
            text = tx.facts.get(f"canonical:{sha256}")
        if text is None and not self._lost.has(index):
            self.findings.add(f"policy {sha256}, entry {index}", "the ledger does not know it")
        elif text is not None and text.startswith("{") and hashlib.sha256(text.encode()).hexdigest() != sha256:
            self.findings.add(f"policy {sha256}, entry {index}", "what the ledger has of it is another text")

    def _later(self) -> Iterator[Entry]:
        """Yield the entries that the ledger has beyond those of the log as it was read."""
        at = self._size
        while page := self._ctx.ledger.log_state.entries(at, _PAGE):
            yield from (entry for entry in map(_parsed, page) if entry is not None)
            at += len(page)

    def _say_unchecked(self) -> None:
        if self._anchors.unanchored:
            self.unchecked.append(
                f"{self._anchors.unanchored} events of the last days against the log: no anchor is of them yet"
            )
        if self._lost_entries:
            what = "entries that an older ledger made, which was lost: the recovered one has no rows of some of them"
            self.unchecked.append(f"{self._lost_entries} {what}")


def _parsed(data: bytes | None) -> Entry | None:
    """Return an entry; None where nobody can read it, which the look at the published log says."""
    try:
        return parse_entry(data) if data is not None else None
    except LogIntegrityError:
        return None
