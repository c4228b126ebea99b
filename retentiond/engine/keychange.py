"""Changes of the keys that sign: another takes a key's place, a key is revoked; each is logged before it counts.

The history that was logged last stands in the ledger, in the transaction that staged its entry, so no receipt is ever
signed by a key that the log does not know. Where a rotation is interrupted, whoever opens the instance next signs with
the new key if it was logged, else with the old one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from retentiond.domain.period import Period
from retentiond.engine import guards
from retentiond.engine.context import Context
from retentiond.engine.signing import Signed, deliver, deliver_what_stops, record_state, request
from retentiond.errors import LedgerError, NotFound, UsageError
from retentiond.evidence.canonical import Json, rfc3339
from retentiond.evidence.entry import key_entry
from retentiond.evidence.keyhistory import (
    KeyRecord,
    KeyRole,
    encode_history,
    find,
    of_role,
    pem_of_raw,
    revoked,
    rotated,
)
from retentiond.evidence.vkey import VerifierKey
from retentiond.ports.keys import KeyStore, Signer
from retentiond.ports.ledger import Ledger

HISTORY = "keys:history"
HISTORY_FILE = "keys/history.json"
CHANGED = "keys"
ROLES: tuple[KeyRole, ...] = ("issuer", "log")
_MOST_REASON_BYTES = 200
_KEY_ID = re.compile(r"[0-9a-f]{8,64}")


class _Publishing(Protocol):
    """What of the log is needed to log the first keys."""

    def publish(self) -> int: ...

    def publish_file(self, path: str, data: bytes, *, replace: bool = False) -> None: ...


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change of keys came to.

    Attributes:
        record: The key that changed, as the history has it now.
        went_on: Whether an interrupted change was ended, and no other begun.
    """

    record: KeyRecord
    went_on: bool = False


def log_first_keys(log: _Publishing, ledger: Ledger, keys: KeyStore) -> None:
    """Publish the public keys of a new instance beside its log, and log their history."""
    for path, data in keys.files().items():
        log.publish_file(path, data)
    history = keys.files()[HISTORY_FILE]
    with ledger.begin() as tx:
        tx.entries.stage(key_entry(hashlib.sha256(history).hexdigest()))
        tx.facts.set(HISTORY, history.decode())
    log.publish()


def rotate(ctx: Context, role: KeyRole, overlap: Period | None, key_file: Path | None) -> Changed:
    """Have another key take the place of the one that signs: one that was made or configured for it, else a new one.

    Args:
        overlap: How long the one before counts still, None for no longer; the log's signs with the new one till then.

    Raises:
        GuardStopped: Nobody may ask for it, or the clock is doubtful.
        KeyFileError: The new key cannot be written; the one before is in use.
        UsageError: The key in use comes from elsewhere, and no other is named.
    """
    if not is_complete(ctx, role):
        publish(ctx)
        return Changed(of_role(ctx.keys.records(), role)[-1], went_on=True)
    guards.before_planning(ctx, signing=False)
    arguments: dict[str, Json] = {"verb": "keys rotate", "role": role, "overlap": overlap.iso() if overlap else None}
    signed = request(ctx, "keys rotate", arguments, key_file)
    before = ctx.keys.records()
    signers = list(ctx.keys.log_signers())
    new = _next(ctx, role)
    public = pem_of_raw(new.public_key) if role == "issuer" else vkey_of(ctx, new.public_key)
    record = KeyRecord(role, public, ctx.now())
    after = rotated(before, record, overlap.after(record.valid_from) if overlap else record.valid_from)
    signers += [new] if role == "log" else []
    _log(ctx, before, after, signers, _said(arguments, record, signed))
    ctx.keys.use(role, new)
    publish(ctx)
    return Changed(record)


def revoke(ctx: Context, key: str, at: datetime, reason: str, key_file: Path | None) -> Changed:
    """Say that what a key signed from a time on is worth nothing; counts at once.

    Args:
        key: The first 8 digits, or more, of its id; or `issuer` for the one in use.
        at: When it may have become somebody else's; not in the future.

    Raises:
        LogIntegrityError: It counts, and is not yet logged.
        NotFound: There is no such key.
        UsageError: It was revoked before, the time lies in the future, or it is the log's key in use.
    """
    before = ctx.keys.records()
    which = _named(ctx, before, key)
    _check_revocable(ctx, which, at, reason)
    ctx.log.compare()
    arguments: dict[str, Json] = {"verb": "keys revoke", "key": which.keyid, "at": rfc3339(at), "reason": reason}
    signed = request(ctx, "keys revoke", arguments, key_file)
    signers = [each for each in ctx.keys.log_signers() if each.public_key != which.public_key]
    after = revoked(before, which, at, reason)
    _log(ctx, before, after, signers, _said(arguments, which, signed))
    deliver_what_stops(ctx, f"the {which.role} key {which.keyid[:16]} is revoked")
    publish(ctx)
    found = find(after, which.role, which.public_key)
    return Changed(found or which)


def publish(ctx: Context) -> int:
    """Write down which keys are in use, publish their public halves and their history, and log what is not logged yet.

    Returns:
        How many entries the log has.
    """
    for role in ROLES:
        ctx.keys.keep(role)
    ctx.keys.keep_history(ctx.keys.files()[HISTORY_FILE])
    publish_files(ctx)
    return deliver(ctx)


def publish_files(ctx: Context) -> None:
    """Publish the public keys and their history where what is published is not what was logged last."""
    for path, data in ctx.keys.files().items():
        if ctx.log.read_file(path) != data:
            ctx.log.publish_file(path, data, replace=True)


def is_complete(ctx: Context, role: KeyRole) -> bool:
    """Tell whether the last change of a role's keys was carried out to its end."""
    published = all(ctx.log.read_file(path) == data for path, data in ctx.keys.files().items())
    return published and ctx.keys.is_kept(role)


def _next(ctx: Context, role: KeyRole) -> Signer:
    """Return the key that comes next: at hand, and not in the history."""
    records = ctx.keys.records()
    for each in ctx.keys.held(role):
        if find(records, role, each.public_key) is None:
            return each
    if ctx.keys.is_elsewhere(role):
        raise UsageError(
            f"the {role} key comes from a key service or the environment, and no other is named",
            where="keys",
            remedy=f"name the new key before the one in use, or make one in a file with `retentiond keys new {role}`",
        )
    return ctx.keys.make(role)


def vkey_of(ctx: Context, public_key: bytes) -> str:
    """Return a raw key as a verifier key of this log."""
    name = VerifierKey.parse(of_role(ctx.keys.records(), "log")[-1].key).name
    return VerifierKey(name, public_key).encode()


def destroy_ended(ctx: Context, role: KeyRole) -> tuple[str, ...]:
    """Remove the files of keys that count no more; return their ids."""
    now = ctx.now()
    counting = [each.keyid for each in of_role(ctx.keys.records(), role) if each.counts_at(now)]
    ended = [key for key in ctx.keys.older(role) if not any(each.startswith(key) for each in counting)]
    for key in ended:
        ctx.keys.destroy(role, key)
    return tuple(ended)


def _log(
    ctx: Context,
    before: Sequence[KeyRecord],
    after: Sequence[KeyRecord],
    signers: Sequence[Signer],
    said: Mapping[str, Json],
) -> None:
    """Stage the entry of a new history, with who asked for it."""
    data = encode_history(after, signers)
    digest = hashlib.sha256(data).hexdigest()
    with ctx.ledger.begin() as tx:
        if ctx.keys.parse(tx.facts.get(HISTORY)) != before:
            raise LedgerError("somebody else changed the keys meanwhile", remedy="look at them, then ask again")
        tx.entries.stage(key_entry(digest))
        tx.facts.set(HISTORY, data.decode())
        record_state(ctx, tx, {**said, "history": digest})
        tx.events.append("keys.changed", digest, ctx.now(), {"what": str(said["what"])})


def _said(arguments: Mapping[str, Json], record: KeyRecord, signed: Signed) -> dict[str, Json]:
    return {"kind": CHANGED, "what": arguments["verb"], "arguments": dict(arguments), "key": record.keyid} | (
        signed.to_json()
    )


def _named(ctx: Context, records: Sequence[KeyRecord], key: str) -> KeyRecord:
    if key in ROLES:
        role: KeyRole = "issuer" if key == "issuer" else "log"
        found = [each for each in records if each.public_key == ctx.keys.in_use(role).public_key and each.role == role]
    elif _KEY_ID.fullmatch(key):
        found = [each for each in records if each.keyid.startswith(key)]
    else:
        found = []
    if len(found) != 1:
        raise NotFound(
            f"no key of the history is {key!r}, or more than one",
            remedy="name it by the first digits of its id, 8 at least: `retentiond keys publish` lists them",
        )
    return found[0]


def _check_revocable(ctx: Context, which: KeyRecord, at: datetime, reason: str) -> None:
    if not reason.strip() or len(reason.encode()) > _MOST_REASON_BYTES:
        raise UsageError(
            "a reason is needed, in a few words", where="--reason", remedy=f"write at most {_MOST_REASON_BYTES} bytes"
        )
    if at > ctx.now():
        raise UsageError(
            f"{rfc3339(at)} lies in the future", where="--at", remedy="say when it happened; to end a key later, rotate"
        )
    if which.revoked_at is not None and at >= which.revoked_at:
        raise UsageError(
            f"the key is revoked already, as of {rfc3339(which.revoked_at)}",
            where="--at",
            remedy="an earlier time may be said, no later one",
        )
    if which.role == "log" and which.public_key == ctx.keys.in_use("log").public_key:
        raise UsageError(
            "the log's key in use has to sign that it is revoked",
            where="KEY",
            remedy="first `retentiond keys rotate log --overlap none`, then revoke the one before",
        )
