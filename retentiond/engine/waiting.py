"""Records that a store does not let go before a date: reported once, and planned again for then.

What a run was refused for a lock with a date is remembered in the ledger until that date: as a keyed digest of the
record's name, so that nobody reads a key there. Plans leave such records out, and count them as overdue. Beyond what is
remembered, records are planned again and refused again, which costs requests and harms nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from retentiond.domain.record import Record
from retentiond.domain.waiting import read_wait
from retentiond.engine.context import Context
from retentiond.engine.identifiers import identity
from retentiond.ports.ledger import Transaction

MOST = 200_000
_DIGEST_BYTES = 12


class Waiting:
    """The records of one dataset that wait, at a reference time."""

    def __init__(self, keys: Sequence[bytes], digests: frozenset[bytes]) -> None:
        self._keys = keys
        self._digests = digests

    def __bool__(self) -> bool:
        """Whether any record waits."""
        return bool(self._digests)

    def __contains__(self, record: Record) -> bool:
        """Tell whether a record waits."""
        return bool(self._digests) and any(_digest(key, record) in self._digests for key in self._keys)


def waiting(ctx: Context, tx: Transaction, dataset: str, reference: datetime) -> Waiting:
    """Return the records of a dataset that wait longer than a reference time."""
    known = _read(tx, dataset, reference)
    return Waiting(_keys(ctx, dataset), frozenset(digest for digests in known.values() for digest in _split(digests)))


def remember(
    ctx: Context, tx: Transaction, dataset: str, records: Sequence[Record], reasons: Mapping[int, str]
) -> None:
    """Remember the records of an ended batch that a store does not let go before a date, by index of their reason."""
    waits = {index: read_wait(text) for index, text in reasons.items()}
    dated = [(index, wait[1]) for index, wait in waits.items() if wait and wait[1]]
    if not dated:
        return
    known = _read(tx, dataset, ctx.now())
    key = _keys(ctx, dataset)[0]
    digests = {each: until for until, many in known.items() for each in _split(many)}
    for index, until in dated:
        if len(digests) < MOST:
            digests[_digest(key, records[index])] = until.isoformat()
    by_date: dict[str, list[bytes]] = {}
    for digest, moment in sorted(digests.items()):
        by_date.setdefault(moment, []).append(digest)
    written = {moment: base64.b64encode(b"".join(many)).decode() for moment, many in by_date.items()}
    tx.facts.set(_name(dataset), json.dumps(written, separators=(",", ":"), sort_keys=True))


def _read(tx: Transaction, dataset: str, after: datetime) -> dict[str, bytes]:
    written = json.loads(tx.facts.get(_name(dataset)) or "{}")
    return {until: base64.b64decode(many) for until, many in written.items() if datetime.fromisoformat(until) > after}


def _split(digests: bytes) -> list[bytes]:
    return [digests[start : start + _DIGEST_BYTES] for start in range(0, len(digests), _DIGEST_BYTES)]


def _name(dataset: str) -> str:
    return f"waiting:{dataset}"


def _keys(ctx: Context, dataset: str) -> list[bytes]:
    return [bytes.fromhex(each) for each in ctx.replay.commitments("waiting", dataset)]


def _digest(key: bytes, record: Record) -> bytes:
    name, version = identity(record)
    return hashlib.blake2b(len(name).to_bytes(4) + name + version, digest_size=_DIGEST_BYTES, key=key).digest()
