"""Rotation of the keys that sign nothing: what is sealed is sealed anew, what was committed to stays as it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from retentiond.engine import guards
from retentiond.engine.context import Context
from retentiond.engine.keychange import CHANGED
from retentiond.engine.signing import Signed, deliver_what_stops, record_state, request
from retentiond.errors import UsageError
from retentiond.evidence.canonical import Json

_AT_ONCE = 50
_VERB = "keys rotate"


@dataclass(frozen=True, slots=True)
class Turned:
    """What a rotation of wrapping or replay keys came to.

    Attributes:
        key: The id of the key that is used for what is new.
        sealed: How much was sealed anew.
        older: Ids of keys before it that are there still.
        destroyed: Ids of keys before it that are gone.
        journal: How many records of the journal need each of the older keys.
    """

    key: str
    sealed: int
    older: tuple[str, ...]
    destroyed: tuple[str, ...]
    journal: dict[str, int]
    went_on: bool = False


def rotate_wrapping(ctx: Context, key_file: Path | None, *, destroy: bool = False) -> Turned:
    """Seal everything in the ledger anew, under a new key; one that was interrupted goes on under its own.

    Records of the journal stay as they are, since the log names the hashes of their sealed bytes.

    Args:
        destroy: Whether keys that nothing needs any more are removed.

    Raises:
        LedgerBusy: Another process acts.
        KeyFileError: Something is sealed under a key that is not there; what was sealed anew stays so.
    """
    with ctx.ledger.acting():
        guards.before_planning(ctx, signing=False)
        went_on = ctx.wrapping.count > 1 and _left(ctx)
        if not went_on:
            _turn(ctx, "wrapping", key_file)
        sealed = _seal_anew(ctx)
        needed = _journal(ctx)
        key = ctx.wrapping.mark[1:].hex()
        spare = [each for each in ctx.keys.older("wrapping") if each not in needed and each != key]
        for each in spare if destroy else ():
            ctx.keys.destroy("wrapping", each)
    return Turned(key, sealed, tuple(ctx.keys.older("wrapping")), tuple(spare if destroy else ()), needed, went_on)


def rotate_replay(ctx: Context, key_file: Path | None) -> Turned:
    """Make a new replay key. Those before it stay: what was remembered under them can't be made again."""
    guards.before_planning(ctx, signing=False)
    key = _turn(ctx, "replay", key_file)
    return Turned(key, 0, tuple(ctx.keys.older("replay")), (), {})


def rotate_pseudonym(ctx: Context, key_file: Path | None, *, destroy: bool) -> Turned:
    """Make a new key for pseudonyms: the same account has another one from now on.

    Args:
        destroy: Whether those before it are removed, so that nobody can tell any more whose the older pseudonyms are.
    """
    guards.before_planning(ctx, signing=False)
    key = _turn(ctx, "pseudonym", key_file)
    older = tuple(ctx.keys.older("pseudonym"))
    for each in older if destroy else ():
        ctx.keys.destroy("pseudonym", each)
    return Turned(key, 0, () if destroy else older, older if destroy else (), {})


def make_missing(ctx: Context, kind: str) -> str:
    """Make a wrapping or replay key where there is none; return its id.

    Raises:
        UsageError: There is one.
    """
    if ctx.keys.has(kind):
        raise UsageError(
            f"there is a {kind} key", where=kind, remedy=f"`retentiond keys rotate {kind}` has another take its place"
        )
    return ctx.keys.turn(kind)


def _turn(ctx: Context, kind: str, key_file: Path | None) -> str:
    arguments: dict[str, Json] = {"verb": _VERB, "role": kind}
    signed: Signed = request(ctx, _VERB, arguments, key_file)
    key = ctx.keys.turn(kind)
    with ctx.ledger.begin() as tx:
        said: dict[str, Json] = {"kind": CHANGED, "what": _VERB, "arguments": arguments, "key": key}
        record_state(ctx, tx, said | signed.to_json())
        tx.events.append("keys.changed", key, ctx.now(), {"what": f"{_VERB} {kind}"})
    deliver_what_stops(ctx, f"the new {kind} key is in use")
    return key


def _left(ctx: Context) -> bool:
    with ctx.ledger.begin() as tx:
        return bool(tx.seals.not_under(ctx.wrapping.mark, 1))


def _seal_anew(ctx: Context) -> int:
    ctx.reporter.start("sealing anew", None)
    sealed, at_once = 0, _AT_ONCE
    while at_once == _AT_ONCE:
        with ctx.ledger.begin() as tx:
            rows = tx.seals.not_under(ctx.wrapping.mark, _AT_ONCE)
            for row in rows:
                plain = ctx.wrapping.open(row.sealed, row.context)
                tx.seals.replace(row, ctx.wrapping.seal(plain, row.context))
        sealed += len(rows)
        ctx.reporter.advance(len(rows))
        at_once = _AT_ONCE if rows else 0
    return sealed


def _journal(ctx: Context) -> dict[str, int]:
    """Return how many records of the journal each wrapping key opens; "" is no key that is there."""
    found: Counter[str] = Counter()
    with ctx.ledger.begin() as tx:
        kept = {row.sha256: row.sealed for row in tx.journal.all()}
    for name in ctx.journal.names() | set(kept):
        sealed = kept.get(name) or ctx.journal.sealed(name)
        found[ctx.journal.key_of(sealed) if sealed else ""] += 1
    return dict(found)
