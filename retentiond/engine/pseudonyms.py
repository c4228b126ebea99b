"""Pseudonyms of accounts: an account's own salt, in the ledger, under a key of a ring that nothing else uses.

A salt stands under the commitment to its account. It is committed before anything is changed, so that a batch that is
carried out again gives the same pseudonyms; and it is overwritten when its account is closed: then nobody can tell any
more which pseudonym was its own, whoever holds the keys.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime

from retentiond.domain.content import PSEUDONYM, PSEUDONYM_DIGITS
from retentiond.engine.context import Context
from retentiond.errors import KeyFileError
from retentiond.ports.ledger import Transaction

KIND = "pseudonym"
_SALT_BYTES = 32
_KEY = "pseudonym-key"  # a fact: the newest key, by a commitment of its own, and when it was first used
_ENDED = ""


def pseudonyms_of(ctx: Context, accounts: Iterable[str]) -> dict[str, str]:
    """Return the pseudonyms of accounts under the newest key; a key is made where there is none.

    Raises:
        KeyFileError: It cannot be written.
    """
    if not ctx.keys.has(KIND):
        ctx.keys.turn(KIND)
    with ctx.ledger.begin() as tx:
        _note_key(ctx, tx)
        salts = {account: _salt(ctx, tx, account) for account in sorted(set(accounts))}
    return {account: _pseudonym(ctx, salt, account) for account, salt in salts.items()}


def end_salt(ctx: Context, tx: Transaction, account: str) -> None:
    """Overwrite what an account's pseudonyms were made of; does nothing where it never had any."""
    for name in _names(ctx, account):
        if tx.facts.get(name) is not None:
            tx.facts.set(name, _ENDED)


def may_have_any(ctx: Context, account: str) -> bool:
    """Tell whether rows may bear a pseudonym of an account, so that nothing finds them by its name any more."""
    with ctx.ledger.begin() as tx:
        if any(tx.facts.get(name) for name in _names(ctx, account)):
            return True
    return any(window.change.pseudonymises for policy in ctx.policies.policies.values() for window in policy.content)


def renew_key(ctx: Context) -> None:
    """Replace a key that is older than the policies let it be, and destroy those before the new one."""
    periods = [window.keys for policy in ctx.policies.policies.values() for window in policy.content if window.keys]
    with ctx.ledger.begin() as tx:
        since = _note_key(ctx, tx) if periods and ctx.keys.has(KIND) else None
    if since is None or all(period.after(since) > ctx.now() for period in periods):
        return
    try:
        ctx.keys.turn(KIND)
    except KeyFileError as error:
        ctx.reporter.note(f"the pseudonym key is older than a policy lets it be: {error}")
        return
    for key in ctx.keys.older(KIND):
        ctx.keys.destroy(KIND, key)
    with ctx.ledger.begin() as tx:
        _note_key(ctx, tx)
        tx.events.append("keys.changed", KIND, ctx.now(), {"what": "renewed by policy, and those before it destroyed"})


def _note_key(ctx: Context, tx: Transaction) -> datetime:
    """Return since when the newest key is used; from now on where it was not seen before."""
    own = ctx.pseudonym.commit(_KEY, "")
    known, _, since = (tx.facts.get(_KEY) or "").partition(" ")
    if known == own:
        return datetime.fromisoformat(since)
    now = ctx.now()
    tx.facts.set(_KEY, f"{own} {now.isoformat()}")
    return now


def _salt(ctx: Context, tx: Transaction, account: str) -> str:
    names = _names(ctx, account)
    known = next((salt for name in names if (salt := tx.facts.get(name))), None)
    if known is None:
        known = secrets.token_hex(_SALT_BYTES)
        tx.facts.set(names[0], known)
    return known


def _names(ctx: Context, account: str) -> list[str]:
    """Return the names of the fact that holds an account's salt, under each replay key, the newest first."""
    return [f"{KIND}:{each}" for each in ctx.replay.commitments(KIND, account)]


def _pseudonym(ctx: Context, salt: str, account: str) -> str:
    return PSEUDONYM + ctx.pseudonym.commit(KIND, f"{salt}{account}")[:PSEUDONYM_DIGITS]
