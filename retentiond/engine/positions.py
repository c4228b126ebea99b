"""Where a store stood when its records were verified, and whether it has gone back, or elsewhere, since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from retentiond.ports.ledger import Transaction
from retentiond.ports.stores import Verified

LOOK_BACK = timedelta(hours=24)
LSN = "lsn"
_LSN_HALF = 32

Position = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Verification:
    """The last verification of a part: how, as whom, when, and where the store stood."""

    method: str
    role: str
    at: datetime
    position: Position | None


@dataclass(frozen=True, slots=True)
class Move:
    """A store that went back or elsewhere; what was verified in it since a time must be looked for again."""

    since: datetime
    noticed_at: datetime
    before: Position
    after: Position


def encode_verification(verified: Verified, at: datetime) -> str:
    """Return a verification as a fact of the ledger."""
    position = json.dumps(dict(verified.position)) if verified.position else ""
    return f"{verified.method}\n{verified.role}\n{at.isoformat()}\n{position}"


def decode_verification(fact: str) -> Verification:
    """Read what encode_verification() wrote, and what was written before positions were."""
    method, role, at, *rest = fact.split("\n")
    return Verification(method, role, datetime.fromisoformat(at), json.loads(rest[0]) if rest and rest[0] else None)


def has_moved(before: Position, after: Position) -> bool:
    """Tell whether a store can't have come from one position to the other by going on.

    Anything but the LSN differs (another cluster, timeline, file system), or the LSN is lower. A position that says
    less than the other, as by a role that may not read it, is compared in what both say.
    """
    known = (before.keys() & after.keys()) - {LSN}
    if any(before[name] != after[name] for name in known):
        return True
    return LSN in before and LSN in after and _number(after[LSN]) < _number(before[LSN])


def _number(lsn: str | int) -> int:
    high, _, low = str(lsn).partition("/")
    return (int(high, 16) << _LSN_HALF) + int(low, 16)


def note_position(tx: Transaction, store: str, position: Position | None, now: datetime) -> None:
    """Remember where a store stands, in the transaction that ends what was verified there.

    A move is remembered too, until what was verified in the hours before was looked for again.
    """
    if position is None:
        return
    known = read_position(tx, store)
    if known is not None and has_moved(known[0], position):
        _note_move(tx, store, known, position, now)
    value = {"position": dict(position), "at": now.isoformat()}
    tx.facts.set(f"position:{store}", json.dumps(value))


def read_position(tx: Transaction, store: str) -> tuple[Position, datetime] | None:
    """Return where a store stood when that was last known, and when; None where it never said."""
    fact = tx.facts.get(f"position:{store}")
    if not fact:
        return None
    value = json.loads(fact)
    return value["position"], datetime.fromisoformat(value["at"])


def read_move(tx: Transaction, store: str) -> Move | None:
    """Return the move of a store that nobody has looked into yet."""
    fact = tx.facts.get(f"moved:{store}")
    if not fact:
        return None
    value = json.loads(fact)
    since, noticed_at = (datetime.fromisoformat(value[name]) for name in ("since", "noticedAt"))
    return Move(since, noticed_at, value["before"], value["after"])


def forget_move(tx: Transaction, store: str) -> None:
    """Note that what was verified before the move was looked for again."""
    tx.facts.set(f"moved:{store}", "")


def _note_move(tx: Transaction, store: str, known: tuple[Position, datetime], after: Position, now: datetime) -> None:
    before, at = known
    earlier = read_move(tx, store)
    since = min(at, now) - LOOK_BACK  # from when it was last known to be whole, which may be long ago
    if earlier is not None:
        since, before = min(since, earlier.since), earlier.before
    value = {
        "since": since.isoformat(),
        "noticedAt": now.isoformat(),
        "before": dict(before),
        "after": dict(after),
    }
    tx.facts.set(f"moved:{store}", json.dumps(value))
    tx.events.append("store.moved", store, now, {"before": dict(before), "after": dict(after)})
