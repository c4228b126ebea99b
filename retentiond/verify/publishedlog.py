"""A published log (c2sp.org/tlog-tiles), read by rebuilding its tree from its entries.

The hash tiles are not read at all: a tile that was tampered with is then no way to be told a wrong root.
"""

from __future__ import annotations

import http.client
import os
import re
import urllib.error
import urllib.request
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .errors import FailedStepError, LogUnreadableError, TooLargeError, UsageError
from .files import read_at_most
from .merkle import GrowingTree, leaf_hash
from .note import Checkpoint, NoteKey, read_checkpoint, require_log

ENTRIES_PER_BUNDLE = 256
_LENGTH_BYTES = 2
MAX_BUNDLE_BYTES = ENTRIES_PER_BUNDLE * (_LENGTH_BYTES + 0xFFFF)
MAX_CHECKPOINT_BYTES = 1 << 20
_TIMEOUT_SECONDS = 30
_WEB = ("http://", "https://")
_GZIP = 16 + zlib.MAX_WBITS
_NOT_FOUND = (404, 410)
_NUMBER = r"(0|[1-9][0-9]{0,17})"
ENTRY = re.compile(r"retentiond/log-entry/v1\n([^\n]+)\nsha256:([0-9a-f]{64})\n")
_OVER_RUNS = "receipt -"
RECEIPT = re.compile(f"receipt {_NUMBER}")
VOID = re.compile(f"void {_NUMBER} (.+)")
RETRACT = re.compile(f"retract {_NUMBER} (.+)")


def entry(kind_line: str, sha256: str) -> bytes:
    """Give the bytes of a log entry."""
    return f"retentiond/log-entry/v1\n{kind_line}\nsha256:{sha256}\n".encode()


@dataclass(slots=True)
class PublishedLog:
    """What a whole log says, its tree rebuilt and agreed with its signed checkpoint.

    Attributes:
        tree: the leaf hashes of all entries.
        receipts: plan index to the indexes of the receipts that name it.
        voids: (plan index, plan digest in hex) to why it was voided.
        retractions: (receipt index, receipt digest in hex) to the reason word.
        newest_keys: the digest (hex) of the newest key history, None where none is logged.
        digests: receipt index to the receipt's digest (hex).
        checkpoint: the checkpoint that was read with it.
    """

    tree: GrowingTree = field(default_factory=GrowingTree)
    receipts: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    voids: dict[tuple[int, str], str] = field(default_factory=dict)
    retractions: dict[tuple[int, str], str] = field(default_factory=dict)
    newest_keys: str | None = None
    digests: dict[int, str] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None

    def holds(self, index: int, data: bytes) -> bool:
        """Say whether entry `index` is exactly this one."""
        return self.tree.leaf(index) == leaf_hash(data)

    def add(self, data: bytes) -> None:
        """Take in the next entry. What is of an unknown kind counts for the tree and says nothing here."""
        index = self.tree.size
        self.tree.append(leaf_hash(data))
        found = ENTRY.fullmatch(data.decode("utf-8", errors="replace"))
        if not found:
            return
        kind_line, digest = found[1], found[2]
        if kind_line == "key":
            self.newest_keys = digest
        elif kind_line == _OVER_RUNS:
            self.digests[index] = digest
        elif receipt := RECEIPT.fullmatch(kind_line):
            self.digests[index] = digest
            self.receipts[int(receipt[1])].append(index)
        elif void := VOID.fullmatch(kind_line):
            self.voids[int(void[1]), digest] = void[2]
        elif retract := RETRACT.fullmatch(kind_line):
            self.retractions[int(retract[1]), digest] = retract[2]


class Source(Protocol):
    """Where the files of a log come from."""

    def read(self, path: str, limit: int) -> bytes | None:
        """Give a file of at most `limit` bytes, None where it is known not to be there; else LogUnreadableError."""

    def names(self, folder: str) -> Iterator[str] | None:
        """Name all files in a folder and below, relative to the log; None where nobody can list them."""


@dataclass(frozen=True, slots=True)
class _Directory:
    root: Path

    def read(self, path: str, limit: int) -> bytes | None:
        try:
            return _bounded(read_at_most(self.root / path, limit), path, limit)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from error

    def names(self, folder: str) -> Iterator[str]:
        for place, _, files in os.walk(self.root / folder):
            yield from (str((Path(place) / name).relative_to(self.root)) for name in files)


@dataclass(frozen=True, slots=True)
class _Web:
    prefix: str

    def read(self, path: str, limit: int) -> bytes | None:
        headers = {"Accept-Encoding": "gzip, identity"}
        try:
            # S310 warns of other schemes than http(s): `require_location` lets none of them through.
            request = urllib.request.Request(f"{self.prefix}/{path}", headers=headers)  # noqa: S310
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                data = _bounded(answer.read(limit + 1), path, limit)
                return _unpacked(data, path, limit) if answer.headers.get("Content-Encoding") == "gzip" else data
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in _NOT_FOUND:
                return None
            raise _unreadable(path, error) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _unreadable(path, error) from error

    def names(self, folder: str) -> None:
        del folder


def require_location(location: str) -> None:
    """Raise UsageError unless the location is an http(s) URL or a directory that is there."""
    if not location.startswith(_WEB) and not Path(location).is_dir():
        remedy = "give the directory or URL in which the file `checkpoint` stands"
        raise UsageError("the log is neither a directory nor an http(s) URL", where=location, remedy=remedy)


def read_log(location: str, keys: Sequence[NoteKey]) -> PublishedLog:
    """Read a published log whole.

    Args:
        location: a directory, or the http(s) URL under which one is served.
        keys: the log's pinned keys, one of which must have signed its checkpoint.

    Raises:
        LogUnreadableError: a file is missing or cannot be read, the checkpoint is not the pinned log's, or its root
            hash is not that of the entries.
    """
    source = source_of(location)
    note = source.read("checkpoint", MAX_CHECKPOINT_BYTES)
    if note is None:
        raise LogUnreadableError("the log has no checkpoint")
    try:
        checkpoint = read_checkpoint(note.decode("utf-8"))
        require_log(checkpoint, keys)
    except UnicodeDecodeError as error:
        raise LogUnreadableError("the log's checkpoint is refused: not UTF-8") from error
    except (ValueError, FailedStepError) as error:
        raise LogUnreadableError(f"the log's checkpoint is refused: {error}") from error
    log = PublishedLog(checkpoint=checkpoint)
    for data in _entries(source, checkpoint.size):
        log.add(data)
    if log.tree.root(checkpoint.size) != checkpoint.root:
        raise LogUnreadableError("the log's entries do not give the root hash that its checkpoint signs")
    return log


def source_of(location: str) -> Source:
    """Give the files of a log in a directory, or under an http(s) URL."""
    return _Web(location.rstrip("/")) if location.startswith(_WEB) else _Directory(Path(location))


def _entries(source: Source, size: int) -> Iterator[bytes]:
    for number in range(-(-size // ENTRIES_PER_BUNDLE)):
        width = min(size - number * ENTRIES_PER_BUNDLE, ENTRIES_PER_BUNDLE)
        yield from _bundle(source, number, width)


def _bundle(source: Source, number: int, width: int) -> list[bytes]:
    """Read one entry bundle. A partial one may have gone once the full one is there, which then begins with it."""
    path = f"tile/entries/{tile_number(number)}"
    data = None
    if width < ENTRIES_PER_BUNDLE:
        data = source.read(f"{path}.p/{width}", MAX_BUNDLE_BYTES)
    held = width
    if data is None:
        data, held = source.read(path, MAX_BUNDLE_BYTES), ENTRIES_PER_BUNDLE
    if data is None:
        raise LogUnreadableError(f"the log has no entry bundle {path} of {width} entries")
    entries = split_bundle(data, path)
    if len(entries) != held:
        raise LogUnreadableError(f"{path} holds {len(entries)} entries instead of {held}")
    return entries[:width]


def split_bundle(data: bytes, path: str) -> list[bytes]:
    """Give the entries of a bundle; LogUnreadableError where it ends inside one."""
    entries = []
    at = 0
    while at < len(data):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data) or start > len(data):
            raise LogUnreadableError(f"{path} ends in the middle of an entry")
        entries.append(data[start:at])
    return entries


def tile_number(number: int) -> str:
    """Spell a tile's number in groups of three digits, all but the last with an x: 1234067 is x001/x234/067."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups))


def _bounded(data: bytes, path: str, limit: int) -> bytes:
    if len(data) > limit:
        raise TooLargeError(f"{path} is larger than {limit} bytes")
    return data


def _unpacked(data: bytes, path: str, limit: int) -> bytes:
    try:
        return _bounded(zlib.decompressobj(_GZIP).decompress(data, limit + 1), path, limit)
    except zlib.error as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> LogUnreadableError:
    return LogUnreadableError(f"{path} could not be read ({error}), so nothing is known of it")
