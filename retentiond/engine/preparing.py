"""A receipt's manifest made beside the run: a process of its own hashes and sorts what ended, while the store works.

Nothing depends on it. What it made counts only where every batch is, at the receipt, what it was when the process was
told of it, to the byte; where one is not, or the process is gone, the manifest is made again from the ledger. The
process knows the receipt's K and names of records, as this one does; it holds no credentials, opens nothing but the
manifest's files, and ends with its standard input, so also when this process is killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from retentiond.engine.identifiers import Ended, decode_ended, encode_ended
from retentiond.engine.itemrows import Rows, has_rows
from retentiond.engine.manifest import Tree, gathering, write_gathered

LEAST = 100_000
"""With fewer records a run is over before such a process has paid for its start."""
_WAITING = 32  # batches on their way; whoever adds one more waits, so that memory stays flat
_PATIENCE_SECONDS = 60  # for a process that takes no batch any more
_WRITING_SECONDS = 1_800  # at most
_RECORDS_A_SECOND = 10_000  # are written where much is in the way; otherwise fifty times as many
_LENGTH_BYTES = 4
_ENDS = b""
_PROGRAM = "from retentiond.engine.preparing import main; main()"
_PASSED_ON = ("PATH", "PYTHONPATH", "SYSTEMROOT", "TMPDIR", "LD_LIBRARY_PATH")


class Prepared:
    """What was prepared of one run's manifest: nothing."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of it."""

    def take(self, ordinal: int, dataset: str, ended: Ended) -> None:
        """Hear of a batch that ended."""

    def begin(self, base: Path) -> None:
        """Begin to write the manifest's files; no batch comes after this."""

    def fits(self, ordinal: int, ended: Ended) -> bool:
        """Tell whether a batch, as it is now, is in it as it is now."""
        del ordinal
        return not has_rows(ended)

    def tree(self) -> Tree | None:
        """Return the accounts tree once the files are written; None where they are not, and nobody writes them now."""
        return None

    def drop(self) -> None:
        """Let it write nothing any more: once this returns, the files belong to whoever writes them next."""


NOTHING_PREPARED = Prepared()


class Preparing(Prepared):
    """A process that makes the rows of ended batches, sorts them, and writes the manifest when it is told where.

    Args:
        key: The receipt's K.
        directory: Where the manifest will be; rows are spilled there, too.
    """

    def __init__(self, key: bytes, directory: Path) -> None:
        self._known: dict[int, bytes] = {}
        self._records = 0
        self._frames: queue.Queue[tuple[bytes, ...]] = queue.Queue(_WAITING)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            start_new_session=True,  # Ctrl-C is for the process that acts
        )
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()
        self._pass_on(key, os.fsencode(directory))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process, whatever it is at."""
        self.drop()
        self._frames.put(())
        self._writer.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                _close(pipe)

    def take(self, ordinal: int, dataset: str, ended: Ended) -> None:
        """Hear of a batch that ended."""
        data = encode_ended(ended)
        self._known[ordinal] = hashlib.sha256(data).digest()
        self._records += len(ended.finals)
        self._pass_on(dataset.encode(), data)

    def begin(self, base: Path) -> None:
        """Begin to write the manifest's files; no batch comes after this."""
        self._pass_on(_ENDS, os.fsencode(base))

    def fits(self, ordinal: int, ended: Ended) -> bool:
        """Tell whether a batch, as it is now, is in it as it is now."""
        known = self._known.get(ordinal)
        if known is None:
            return not has_rows(ended)
        return known == hashlib.sha256(encode_ended(ended)).digest()

    def tree(self) -> Tree | None:
        """Return the accounts tree once the files are written; None where they are not, and nobody writes them now."""
        try:
            code = self._process.wait(min(_WRITING_SECONDS, _PATIENCE_SECONDS + self._records / _RECORDS_A_SECOND))
        except subprocess.TimeoutExpired:
            self.drop()
            return None
        said = self._process.stdout.read() if self._process.stdout and code == 0 else b""
        if not said:
            return None
        size, root = json.loads(said)
        return Tree(size, bytes.fromhex(root))

    def drop(self) -> None:
        """Let it write nothing any more: once this returns, the files belong to whoever writes them next."""
        self._process.kill()
        self._process.wait()

    def _pass_on(self, *frame: bytes) -> None:
        try:
            self._frames.put(frame, timeout=_PATIENCE_SECONDS)
        except queue.Full:  # it hangs; what it has is not whole, and counts for nothing
            self._process.kill()

    def _write(self) -> None:
        """Pass frames on, as fast as the process takes them; where it is gone, they are dropped."""
        pipe, is_gone = self._process.stdin, self._process.stdin is None
        while frame := self._frames.get():
            if pipe is None or is_gone:
                continue
            try:
                for part in frame:
                    pipe.write(len(part).to_bytes(_LENGTH_BYTES))
                    pipe.write(part)
                pipe.flush()
            except (OSError, ValueError):
                is_gone = True


def beside(key: bytes, directory: Path) -> Prepared:
    """Begin to prepare a manifest where there is a second core for it."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if cores == 1 or not sys.executable:
        return NOTHING_PREPARED
    try:
        return Preparing(key, directory)
    except OSError:  # no process can be started; the manifest is made at the end, as always
        return NOTHING_PREPARED


def _close(pipe: BinaryIO | object) -> None:
    try:
        pipe.close()  # type: ignore[union-attr]
    except OSError:  # what was still to be written is of no use to anybody
        return


def main() -> None:
    """Be the process: read batches, and write the manifest once its place is named."""
    tree = _prepared(sys.stdin.buffer)
    if tree is not None:
        sys.stdout.write(json.dumps([tree.size, tree.root.hex()]))
        sys.stdout.flush()


def _prepared(stream: BinaryIO) -> Tree | None:
    parts = _parts(stream)
    key, directory = next(parts, b""), next(parts, None)
    if directory is None:
        return None
    rows = Rows(key)
    with gathering(Path(os.fsdecode(directory))) as items:
        while True:
            dataset, data = next(parts, None), next(parts, None)
            if dataset is None or data is None:  # whoever began this is gone
                return None
            if dataset == _ENDS:
                return write_gathered(Path(os.fsdecode(data)), key, items)
            for some in rows.of(dataset.decode(), decode_ended(data)):
                items.extend(some)


def _parts(stream: BinaryIO) -> Iterator[bytes]:
    """Give what was written, part by part; one that is cut off is none."""
    while len(head := stream.read(_LENGTH_BYTES)) == _LENGTH_BYTES:
        size = int.from_bytes(head)
        part = stream.read(size)
        if len(part) < size:
            return
        yield part
