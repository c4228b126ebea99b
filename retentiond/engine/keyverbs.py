"""What the verbs `keys new` and `keys rotate` do, whatever kind of key it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from retentiond.domain.period import Period
from retentiond.engine import keychange, rewrapping
from retentiond.engine.context import Context
from retentiond.errors import UsageError
from retentiond.evidence.envelope import key_id
from retentiond.evidence.keyhistory import KeyRecord, KeyRole, pem_of_raw

NONE = "none"


@dataclass(frozen=True, slots=True)
class Made:
    """A key that was made: its id, and its public half where it has one."""

    key: str
    public: str = ""


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation came to.

    Attributes:
        key: The id of the key that is in use.
        went_on: Whether an interrupted rotation was ended, and no other begun.
        record: What the history has of it; None for a key that it does not name.
        sealed: How much was sealed anew.
        older, destroyed: Ids of keys that were set aside, and that are gone.
        journal: How many records of the journal are sealed under each wrapping key.
    """

    key: str
    went_on: bool = False
    record: KeyRecord | None = None
    sealed: int = 0
    older: tuple[str, ...] = ()
    destroyed: tuple[str, ...] = ()
    journal: Mapping[str, int] = field(default_factory=dict)


def make(ctx: Context, kind: str) -> Made:
    """Make the key that the next rotation takes, or a wrapping or replay key where there is none.

    Raises:
        KeyFileError: It cannot be written.
        UsageError: There is a wrapping or replay key.
    """
    role = _role(kind)
    if role is None:
        return Made(rewrapping.make_missing(ctx, kind))
    public = ctx.keys.make(role).public_key
    return Made(key_id(public), pem_of_raw(public) if role == "issuer" else keychange.vkey_of(ctx, public))


def rotate(ctx: Context, kind: str, overlap: str, key_file: Path | None, *, destroy: bool) -> Rotated:
    """Have a new key take the place of the one in use, or go on with a rotation that was interrupted.

    Args:
        overlap: How long the key before counts still, or `none`.
        destroy: Whether files of keys before it are removed that nothing needs any more.

    Raises:
        RetentiondError: As `keychange.rotate` and `rewrapping` raise it.
    """
    role = _role(kind)
    if role is not None:
        return _signing(ctx, role, _period(overlap), key_file, destroy=destroy)
    if kind == "replay":
        turned = rewrapping.rotate_replay(ctx, key_file)
    elif kind == "pseudonym":
        turned = rewrapping.rotate_pseudonym(ctx, key_file, destroy=destroy)
    else:
        turned = rewrapping.rotate_wrapping(ctx, key_file, destroy=destroy)
    return Rotated(turned.key, turned.went_on, None, turned.sealed, turned.older, turned.destroyed, turned.journal)


def _signing(ctx: Context, role: KeyRole, overlap: Period | None, key_file: Path | None, *, destroy: bool) -> Rotated:
    changed = keychange.rotate(ctx, role, overlap, key_file)
    gone = keychange.destroy_ended(ctx, role) if destroy else ()
    return Rotated(changed.record.keyid, changed.went_on, changed.record, 0, tuple(ctx.keys.older(role)), gone)


def _role(kind: str) -> KeyRole | None:
    return next((role for role in keychange.ROLES if role == kind), None)


def _period(text: str) -> Period | None:
    try:
        return None if text == NONE else Period.parse(text)
    except ValueError as error:
        raise UsageError(str(error), where="--overlap", remedy="write a period, or none") from error
