"""Parts to build logs from: a key, a ledger in memory, and ways to break things at a chosen moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from retentiond.evidence.vkey import VerifierKey
from retentiond.tlog.directory import DirectoryStore
from retentiond.tlog.publish import TileLog

T = TypeVar("T")
ORIGIN = "log.example/retentiond"


class FixedKey:
    """An Ed25519 key that is the same in every run."""

    def __init__(self, seed: int = 1) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


VKEY = VerifierKey(ORIGIN, FixedKey().public_key).encode()


@dataclass
class MemoryState:
    """The ledger as the log sees it, in memory."""

    staged: list[bytes] = field(default_factory=list)
    note: bytes | None = None
    signed: list[bytes] = field(default_factory=list)

    def checkpoint(self) -> bytes | None:
        return self.note

    def swap_checkpoint(self, old: bytes | None, new: bytes) -> bool:
        if self.note != old:
            return False
        self.note = new
        self.signed.append(new)
        return True

    def size(self) -> int:
        return len(self.staged)

    def entries(self, start: int, limit: int) -> Sequence[bytes]:
        return self.staged[start : start + limit]

    def stage(self, count: int) -> None:
        self.staged += (b"entry %d" % number for number in range(len(self.staged), len(self.staged) + count))


class CrashError(Exception):
    """The process dies here."""


class Crasher:
    """Counts the steps that change something, and dies before or after the chosen one."""

    def __init__(self, at: int | None = None, *, before: bool = True) -> None:
        self.steps = 0
        self._at = at
        self._before = before

    def step(self, effect: Callable[[], T]) -> T:
        self.steps += 1
        if self.steps == self._at and self._before:
            raise CrashError
        result = effect()
        if self.steps == self._at:
            raise CrashError
        return result


def open_log(root: Path, state: MemoryState, seed: int = 1, origin: str = ORIGIN) -> TileLog:
    return TileLog(origin, FixedKey(seed), state, DirectoryStore(root))


def content(root: Path) -> dict[str, bytes]:
    """All files of a directory, but for partial tiles that a complete one has replaced: those may stay or go."""
    files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return {path: data for path, data in files.items() if path.split(".p/")[0] not in files or ".p/" not in path}
