"""Inclusion proofs as text (c2sp.org/tlog-proof@v1)."""

from __future__ import annotations

from collections.abc import Iterable

from retentiond.evidence.envelope import to_base64

HEADER = "c2sp.org/tlog-proof@v1"


def encode_proof(index: int, path: Iterable[bytes], checkpoint: bytes) -> str:
    """Return a proof's text.

    Args:
        index: The entry's index in the log, from 0.
        path: Its inclusion path, from leaf to root.
        checkpoint: The signed note that the path leads to, verbatim.
    """
    lines = [HEADER, f"index {index}", *map(to_base64, path)]
    return "\n".join(lines) + "\n\n" + checkpoint.decode()
