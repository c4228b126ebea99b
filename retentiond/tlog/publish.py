"""Sequencing, publication and recovery of the log.

Entries are staged in the ledger; then tiles are written and synced; then the checkpoint is compared-and-swapped in the
ledger; then the file `checkpoint` is replaced. Whatever step was interrupted, running the same function again finishes
it, byte for byte: tiles follow from the entries, and Ed25519 signs the same text alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from retentiond.errors import LedgerBehindLog, LogIntegrityError
from retentiond.evidence.merkle import inclusion_ranges, leaf_hash, root_from_path, root_hash
from retentiond.evidence.vkey import VerifierKey
from retentiond.ports.keys import Signer
from retentiond.ports.log import LogState
from retentiond.tlog.note import Checkpoint, is_signed_by, open_checkpoint, sign_note
from retentiond.tlog.proof import encode_proof
from retentiond.tlog.store import TileStore
from retentiond.tlog.tiles import TILE_WIDTH, bundle_path, decode_bundle
from retentiond.tlog.tree import Edge, Sink, TileReader

CHECKPOINT = "checkpoint"
_READ_AT_ONCE = 4096
_MOST_ATTEMPTS = 100
_BESIDE = re.compile(r"(?!tile/)[a-z0-9][\w.-]*(?:/[\w-][\w.-]*)+", re.ASCII)
_AUDIT = "nothing was signed; run `retentiond ledger check`"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What log and ledger said when they were looked at."""

    shown: bytes | None
    published: Checkpoint | None
    note: bytes | None
    signed: Checkpoint | None
    staged: int

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """Every checkpoint that the log must extend."""
        return [each for each in (self.published, self.signed) if each]


@dataclass(frozen=True, slots=True)
class _Proving:
    """A checkpoint that was verified, and the reader of its tree."""

    note: bytes
    checkpoint: Checkpoint
    reader: TileReader


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The log's keys, asked for anew each time: one may take another's place.

    Attributes:
        signers: Those that sign checkpoints now, the one in use first; while a rotation's overlap lasts, also others.
        verifiers: Those under which checkpoints of this log are known, the one in use first.
    """

    signers: Callable[[], Sequence[Signer]]
    verifiers: Callable[[], Sequence[VerifierKey]]


def _alone(origin: str, signer: Signer) -> LogKeys:
    key = VerifierKey(origin, signer.public_key)
    return LogKeys(lambda: [signer], lambda: [key])


class TileLog:
    """The append-only log, one writer among possibly many. Implements the port `Log`.

    Args:
        origin: The log's name, which its key signs under.
        keys: The log's key, or several of them: see `LogKeys`.
        state: The ledger as the log sees it.
        store: Where the log is published.

    Raises:
        LogIntegrityError: The origin cannot name a key.
    """

    def __init__(self, origin: str, keys: Signer | LogKeys, state: LogState, store: TileStore) -> None:
        self._origin = origin
        self._keys = keys if isinstance(keys, LogKeys) else _alone(origin, keys)
        self._state = state
        self._store = store
        self._proving: _Proving | None = None

    def publish(self) -> int:
        """Integrate and publish everything that is staged; return the tree size.

        Raises:
            LedgerBehindLog: The published log is ahead of the ledger.
            LogIntegrityError: Log, ledger and key do not agree; nothing was signed.
            RetentiondError: The log cannot be read or written; what is staged is published next time.
        """
        for _ in range(_MOST_ATTEMPTS):
            seen = self._look()
            completed: list[str] = []
            note = self._integrate(seen, completed)
            # Another writer may have been first: what it signed is then to be extended.
            if note != seen.note and not self._state.swap_checkpoint(seen.note, note):
                continue
            if self._show(seen.shown, note):
                for path in completed:
                    self._store.discard_partials(path)
                return seen.staged
        raise LogIntegrityError(
            f"the log's checkpoint was changed by others {_MOST_ATTEMPTS} times in a row",
            where=self._origin,
            remedy="find out which other processes publish this log, then run the command again",
        )

    def compare(self) -> None:
        """Compare what is published with the ledger, and the newest entries and tiles with both checkpoints.

        A published log that is behind, or lost, is no error: `publish` writes it again.

        Raises:
            LedgerBehindLog: The published log is ahead: the ledger went back in time.
            LogIntegrityError: They contradict each other.
            RetentiondError: The log cannot be read.
        """
        seen = self._look()
        if seen.signed:
            self._walk(self._edge(seen.published, _discard), seen.checkpoints, seen.signed.size)

    def prove(self, index: int) -> str:
        """Return an entry's inclusion proof against the newest checkpoint, as c2sp.org/tlog-proof@v1.

        Raises:
            LogIntegrityError: The entry is not published yet, or tiles and entry do not lead to the checkpoint.
        """
        note = self._state.checkpoint()
        proving = self._prover(note) if note is not None else None
        if note is None or proving is None or not 0 <= index < proving.checkpoint.size:
            raise LogIntegrityError(f"entry {index} is not published yet", remedy="publish the log, then ask again")
        checkpoint, reader = proving.checkpoint, proving.reader
        path = [reader.range_hash(span) for span in inclusion_ranges(index, checkpoint.size)]
        (entry,) = self._entries(index, index + 1)
        if root_from_path(leaf_hash(entry), index, checkpoint.size, path) != checkpoint.root:
            self._proving = None  # whoever mends a tile is to be believed
            raise LogIntegrityError(f"the log's tiles do not prove entry {index}", remedy=_AUDIT)
        return encode_proof(index, path, note)

    def _prover(self, note: bytes) -> _Proving:
        """Return what proofs against a checkpoint are read with; the last one is kept."""
        if self._proving is None or self._proving.note != note:
            checkpoint = open_checkpoint(note, *self._keys.verifiers())
            self._proving = _Proving(note, checkpoint, TileReader(self._store, checkpoint.size))
        return self._proving

    def publish_file(self, path: str, data: bytes, *, replace: bool = False) -> None:
        """Publish a file beside the log, such as `policies/<sha256>.json`.

        Args:
            path: Relative, with at least one directory that is not the log's own.
            data: The file's bytes.
            replace: Whether a file there may change, such as `keys/history.json`; others have the same bytes for ever.

        Raises:
            LogIntegrityError: The path is not allowed, or has other bytes already.
            RetentiondError: It cannot be written.
        """
        if not _BESIDE.fullmatch(path):
            raise LogIntegrityError(f"not a path beside the log: {path!r}", remedy="nothing was published")
        self._store.put(path, data, replace=replace)
        self._store.sync()

    def read_file(self, path: str) -> bytes | None:
        """Return a file that was published beside the log; None where it is not there."""
        return self._store.read(path) if _BESIDE.fullmatch(path) else None

    def vouched(self, proof: str) -> int:
        """Return the tree size of the checkpoint in an inclusion proof; 0 where it is not one that this log signed."""
        _, _, note = proof.partition("\n\n")
        try:
            return open_checkpoint(note.encode(), *self._keys.verifiers()).size
        except (LogIntegrityError, UnicodeEncodeError):
            return 0

    def read_entries(self) -> Iterator[bytes]:
        """Yield the published entries in order, once the whole log has been rebuilt from them and found to be right.

        Raises:
            LogIntegrityError: The entries do not make the tree of the published checkpoint, or one is missing.
        """
        published = _opened(self._store.read(CHECKPOINT), self._keys.verifiers())
        size = published.size if published else 0
        if published and root_hash(map(leaf_hash, self._published_entries(size))) != published.root:
            raise LogIntegrityError("the published entries do not make the log's checkpoint", remedy=_AUDIT)
        yield from self._published_entries(size)

    def published(self) -> tuple[bytes | None, int]:
        """Return the published checkpoint as it stands, and its tree size; None and 0 where there is none.

        Raises:
            LogIntegrityError: It does not verify.
            RetentiondError: It cannot be read.
        """
        note = self._store.read(CHECKPOINT)
        checkpoint = _opened(note, self._keys.verifiers())
        return note, checkpoint.size if checkpoint else 0

    def remarks(self) -> Sequence[str]:
        """Say what an operator should know of where the log is published, in words.

        Raises:
            RetentiondError: It cannot be found out.
        """
        return self._store.remarks()

    def read_published(self, path: str) -> bytes | None:
        """Return any published file as it stands, for audits; None where it is not there."""
        return self._store.read(path)

    def published_names(self, folder: str) -> Iterator[str]:
        """Yield the paths of all published files in a folder and below."""
        return self._store.names(folder)

    def rebuild_check(self) -> int:
        """Rebuild the whole log from the ledger and compare everything published with it; for audits.

        Returns:
            The number of entries.

        Raises:
            LogIntegrityError: Something differs; says what.
        """
        seen = self._look()
        if seen.signed is None:
            return 0
        if seen.signed != seen.published:
            raise LogIntegrityError("the newest checkpoint is not published", remedy="publish the log, then look again")
        self._walk(Edge(self._must_be_published), seen.checkpoints, seen.signed.size)
        return seen.signed.size

    def _integrate(self, seen: _Seen, completed: list[str]) -> bytes:
        """Write what is missing of the tree of all staged entries, and return the note that may be shown for it."""

        def write(path: str, data: bytes) -> None:
            partial = ".p/" in path
            # A partial tile that differs was never signed: the checkpoints on the way have been compared.
            self._store.put(path, data, replace=partial)
            if not partial:
                completed.append(path)

        root = self._walk(self._edge(seen.published, write), seen.checkpoints, seen.staged)
        self._store.sync()
        signers = self._keys.signers()
        keys = [VerifierKey(self._origin, each.public_key) for each in signers]
        whole = seen.note is not None and seen.signed is not None and seen.signed.size == seen.staged
        # What another key signed alone is signed again: whoever knows only the newer one must be able to read it.
        if whole and seen.note is not None and is_signed_by(seen.note, keys):
            return seen.note
        checkpoint = Checkpoint(self._origin, seen.staged, root)
        note = sign_note(checkpoint.encode(), self._origin, *signers)
        open_checkpoint(note, *keys)
        return note

    def _walk(self, edge: Edge, checks: Sequence[Checkpoint], size: int) -> bytes:
        """Append the ledger's entries up to a size, compare with each checkpoint on the way, and return the root."""
        known = {check.size: check.root for check in checks}
        root = edge.root()
        for stop in sorted({*known, size}):
            for entry in self._entries(edge.size, stop):
                edge.append(entry)
            root = edge.root()
            if known.get(stop, root) != root:
                raise LogIntegrityError(
                    f"the checkpoint of {stop} entries is not of the entries that the ledger and the log have",
                    where=self._origin,
                    remedy=_AUDIT,
                )
            edge.flush_partials()
        return root

    def _look(self) -> _Seen:
        """Read both checkpoints, verify them, and refuse what their sizes alone rule out.

        A writer goes from the ledger to the file; read the other way round, whatever another one does meanwhile
        never looks like a log that is ahead of its ledger.
        """
        shown = self._store.read(CHECKPOINT)
        note = self._state.checkpoint()
        staged = self._state.size()
        keys = self._keys.verifiers()  # after the notes: a key is known before anything is signed under it
        published = _opened(shown, keys)
        signed = published if note == shown else _opened(note, keys)
        _refuse_contradiction(published, signed, staged)
        return _Seen(shown, published, note, signed, staged)

    def _edge(self, published: Checkpoint | None, sink: Sink) -> Edge:
        if published is None:
            return Edge(sink)
        try:
            return TileReader(self._store, published.size).edge(sink)
        except LogIntegrityError:
            # Tiles were lost: they are written again from the ledger, and compared with the checkpoints on the way.
            return Edge(sink)

    def _show(self, shown: bytes | None, note: bytes) -> bool:
        """Replace the published checkpoint, again if another writer's newer one was overtaken.

        Returns:
            False when somebody else replaced it since it was read: then all is to be looked at again.
        """
        newest: bytes | None = note
        while newest is not None and newest != shown:
            if not self._store.swap(CHECKPOINT, shown, newest):
                return False
            self._store.sync()
            shown, newest = newest, self._state.checkpoint()
        return True

    def _entries(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            entries = self._state.entries(start, min(_READ_AT_ONCE, end - start))
            if not entries:
                raise LogIntegrityError(f"the ledger lacks entry {start} of the log", remedy=_AUDIT)
            yield from entries
            start += len(entries)

    def _published_entries(self, size: int) -> Iterator[bytes]:
        for number in range(-(-size // TILE_WIDTH)):
            width = min(TILE_WIDTH, size - number * TILE_WIDTH)
            path = bundle_path(number, width)
            data = self._store.read(path)
            if data is None:
                data = self._store.read(bundle_path(number)) or b""
            entries = decode_bundle(data, path)[:width]
            if len(entries) != width:
                raise LogIntegrityError("a published entry bundle is missing or short", where=path, remedy=_AUDIT)
            yield from entries

    def _must_be_published(self, path: str, data: bytes) -> None:
        if self._store.read(path) != data:
            what = "a published tile is missing or is not the one that the ledger's entries make"
            raise LogIntegrityError(what, where=path, remedy=_AUDIT)


def _opened(note: bytes | None, keys: Sequence[VerifierKey]) -> Checkpoint | None:
    return None if note is None else open_checkpoint(note, *keys)


def _refuse_contradiction(published: Checkpoint | None, signed: Checkpoint | None, staged: int) -> None:
    signed_size = signed.size if signed else -1
    if signed_size > staged:
        what = f"a checkpoint of {signed_size} entries was signed, and the ledger has {staged}"
        raise LogIntegrityError(what, remedy="nothing was signed; restore the newest ledger")
    _refuse_older_ledger(published, signed_size)
    if published and signed and published.size == signed.size and published.root != signed.root:
        what = f"two different checkpoints of {signed_size} entries were signed"
        raise LogIntegrityError(what, where=published.origin, remedy=_AUDIT)


def _refuse_older_ledger(published: Checkpoint | None, signed_size: int) -> None:
    if published and published.size > signed_size:
        raise LedgerBehindLog(
            f"the published log has {published.size} entries and the ledger knows of {max(signed_size, 0)}: "
            "the ledger went back in time",
            where=published.origin,
            remedy="nothing was removed or signed; put back the newest ledger, or `retentiond ledger recover`",
        )


def _discard(_path: str, _data: bytes) -> None:
    """Take a tile that nobody needs."""
