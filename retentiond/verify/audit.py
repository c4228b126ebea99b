"""Audits a published log: reads all of it, believes none of it, and names everything that is not as it must be.

The tree is rebuilt from the entries, compared with every published tile and with every signed checkpoint that is known:
two checkpoints whose roots both come out of one tree are consistent (RFC 9162, section 2.1.4), whatever a proof says.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from .auditentries import EntryAudit
from .auditfiles import HISTORY, audit_files, history_problem, issuers_of
from .auditfindings import Audited, Findings
from .audittiles import TileAudit
from .audittree import TreeAudit
from .case import Case
from .documents import read_receipt
from .encoding import from_rfc3339
from .errors import FailedStepError
from .keyring import PinnedKeys
from .merkle import leaf_hash
from .note import Checkpoint, read_checkpoint, require_log
from .publishedlog import (
    ENTRIES_PER_BUNDLE,
    ENTRY,
    MAX_BUNDLE_BYTES,
    MAX_CHECKPOINT_BYTES,
    Source,
    split_bundle,
    tile_number,
)
from .strictjson import MAX_BYTES
from .verdict import Verdict
from .verifier import Verifier

OPEN_AT_MOST = timedelta(days=7)
_PATIENCE, _PAUSE_SECONDS = 5, 0.2
_TABLES = """
CREATE TABLE known (size INTEGER, root BLOB, whose TEXT);
CREATE TABLE receipts (entry INTEGER, leaf BLOB, whose TEXT);
"""


class Sink:
    """Is told of each entry as it is read; nobody else reads it a second time then."""

    def begin(self, size: int) -> None:
        """So many entries follow."""

    def entry(self, index: int, data: bytes | None) -> None:
        """Take an entry; None where it is not the one that was logged."""


@dataclass(slots=True)
class LogAudit:
    """One audit of one published log.

    Attributes:
        source: where the files are.
        keys: the pinned keys.
        notes: checkpoints that are known from elsewhere, each with whose it is.
        receipts: files of receipt bundles, to be verified and found in the log.
        now: the time, by which plans that stay open are found late where receipts tell how old an entry is.
        sink: is told of each entry.
    """

    source: Source
    keys: PinnedKeys
    notes: Iterable[tuple[str, bytes]] = ()
    receipts: Iterable[Path] = ()
    now: datetime | None = None
    sink: Sink = field(default_factory=Sink)
    _audited: Audited = field(init=False)
    _checkpoint: Checkpoint | None = None
    _whose: str = ""
    _latest_old: int = 0
    _history: bytes | None = None
    _others: tuple[bytes, ...] = ()

    def run(self) -> Audited:
        """Audit it.

        Raises:
            LogUnreadableError: a file could not be read, so that nothing is known of it.
        """
        self._audited = Audited(self.keys.logs[0].name)
        with closing(sqlite3.connect("", isolation_level=None)) as scratch:  # a file of its own once it grows
            scratch.executescript(_TABLES)
            scratch.execute("BEGIN")
            for whose, note in self.notes:
                self._know(scratch, whose, note)
            self._read_history()
            for path in self.receipts:
                self._receipt(scratch, path)
            self._published_checkpoint()
            scratch.execute("COMMIT")
            if self._checkpoint is not None:
                self._read(scratch, self._checkpoint)
        return self._audited

    def _published_checkpoint(self) -> None:
        """Read it, after all others: whoever publishes meanwhile only makes it newer."""
        known, found = self._checkpoint, self._published_now()
        for _ in range(_PATIENCE):
            if found is None or known is None or found.size >= known.size:
                break
            time.sleep(_PAUSE_SECONDS)  # somebody may be about to replace it
            found = self._published_now()
        if found is not None and known is not None and found.size < known.size:
            what = f"the published one has {found.size} entries, and one of {known.size} was signed ({self._whose})"
            self._findings.add("checkpoint", what)
        elif found is not None:
            self._checkpoint = found

    def _published_now(self) -> Checkpoint | None:
        note = self.source.read("checkpoint", MAX_CHECKPOINT_BYTES)
        if note is None:
            self._findings.add("checkpoint", "is missing")
            return None
        try:
            return self._opened(note)
        except (ValueError, FailedStepError) as error:
            self._findings.add("checkpoint", f"is not one that the pinned log key signed: {error}")
            return None

    @property
    def _findings(self) -> Findings:
        return self._audited.findings

    def _opened(self, note: bytes) -> Checkpoint:
        checkpoint = read_checkpoint(note.decode("utf-8"))
        require_log(checkpoint, self.keys.logs)
        return checkpoint

    def _know(self, scratch: sqlite3.Connection, whose: str, note: bytes) -> None:
        try:
            checkpoint = self._opened(note)
        except (ValueError, FailedStepError) as error:
            self._findings.add(whose, f"is not one that the pinned log key signed: {error}", "known")
            return
        self._take_known(scratch, whose, checkpoint)

    def _take_known(self, scratch: sqlite3.Connection, whose: str, checkpoint: Checkpoint) -> None:
        """Have a signed checkpoint compared with the tree; the newest one says how far to read."""
        scratch.execute("INSERT INTO known VALUES (?, ?, ?)", (checkpoint.size, checkpoint.root, whose))
        if self._checkpoint is None or checkpoint.size > self._checkpoint.size:
            self._checkpoint, self._whose = checkpoint, whose

    def _receipt(self, scratch: sqlite3.Connection, path: Path) -> None:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        verdict = self._verdict(data)
        self._audited.receipts += 1
        if not verdict.valid:
            self._findings.add(path.name, f"the receipt is refused, step {verdict.step}: {verdict.reason}", "receipt")
            return
        case = Case(read_receipt(data), self.keys)
        proof = case.receipt.proof
        self._take_known(scratch, f"the checkpoint in {path.name}", proof.checkpoint)
        scratch.execute("INSERT INTO receipts VALUES (?, ?, ?)", (proof.index, leaf_hash(case.entry), path.name))
        issued = from_rfc3339(case.receipt.predicate["issuedAt"])
        if self.now is not None and issued < self.now - OPEN_AT_MOST:
            self._latest_old = max(self._latest_old, proof.index)

    def _verdict(self, data: bytes) -> Verdict:
        """Verify a receipt under the pinned issuer key, or under one that the signed history says was in force."""
        verdict = Verifier(self.keys).verify(data)
        for issuer in self._others if verdict.step == "signature" else ():
            other = PinnedKeys((issuer,), self.keys.logs)
            if Verifier(other).verify(data).step != "signature":  # it signed this one
                return Verifier(other, history=self._history).verify(data)
        return verdict

    def _read_history(self) -> None:
        """Take the issuer's other keys from the published history, once the log's key has signed for it."""
        data = self.source.read(HISTORY, MAX_BYTES)
        if data is not None and not history_problem(data, self.keys):
            self._history = data
            self._others = tuple(key for key in issuers_of(data) if key not in self.keys.issuers)

    def _read(self, scratch: sqlite3.Connection, checkpoint: Checkpoint) -> None:
        self._audited.size = checkpoint.size
        self.sink.begin(checkpoint.size)
        entries = EntryAudit(self.source, self._audited, self._digest_at)
        tree = TreeAudit(scratch, checkpoint, self._audited)
        for group in TileAudit(self.source, checkpoint.size, self._findings, tree.fits).groups():
            for at, data in enumerate(group.entries):
                entries.take(data)
                self.sink.entry(group.start + at, data)
            tree.take(group)
        tree.finish()
        entries.finish(self._latest_old)
        self._say_unchecked()
        audit_files(self.source, self.keys, entries, self._audited)

    def _say_unchecked(self) -> None:
        if self._audited.open_count and not self._latest_old and self.now is not None:
            self._audited.unchecked.append(
                "how old the open plans are: no entry bears a time, and no receipt that was given is seven days old"
            )

    def _digest_at(self, index: int) -> str | None:
        """Give the digest in an entry, from its bundle; None where that cannot be told."""
        number, at = divmod(index, ENTRIES_PER_BUNDLE)
        path = f"tile/entries/{tile_number(number)}"
        width = self._audited.size - number * ENTRIES_PER_BUNDLE
        data = self.source.read(path, MAX_BUNDLE_BYTES) or self.source.read(f"{path}.p/{width}", MAX_BUNDLE_BYTES)
        try:
            found = ENTRY.fullmatch(split_bundle(data or b"", path)[at].decode("utf-8", errors="replace"))
        except (FailedStepError, IndexError):
            return None
        return found[2] if found else None
