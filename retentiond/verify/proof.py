"""Proofs that an entry is in a log (c2sp.org/tlog-proof@v1)."""

from __future__ import annotations

from dataclasses import dataclass

from .encoding import from_base64
from .merkle import HASH_BYTES
from .note import Checkpoint, read_checkpoint, read_decimal

_HEADER = "c2sp.org/tlog-proof@v1"
_EXTRA = "extra "
_INDEX = "index "


@dataclass(frozen=True, slots=True)
class LogProof:
    """Where an entry stands (`index`, from 0), its path from leaf to root, and the checkpoint that it leads to."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint


def read_proof(text: str) -> LogProof:
    """Read a proof; nothing of it is verified yet. The `extra` line, which nothing authenticates, is dropped.

    Raises:
        ValueError: the lines are not those of the specification.
    """
    head, _, checkpoint = text.partition("\n\n")
    header, *lines = head.split("\n")
    if header != _HEADER:
        raise ValueError(f"does not begin with {_HEADER}")
    if lines and lines[0].startswith(_EXTRA):
        from_base64(lines.pop(0).removeprefix(_EXTRA))
    if not lines or not lines[0].startswith(_INDEX):
        raise ValueError("has no index line")
    index = read_decimal(lines[0].removeprefix(_INDEX))
    return LogProof(index, tuple(map(_hash, lines[1:])), read_checkpoint(checkpoint))


def _hash(line: str) -> bytes:
    data = from_base64(line)
    if len(data) != HASH_BYTES:
        raise ValueError("has a hash that is not 32 bytes")
    return data
