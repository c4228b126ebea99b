"""Signed requests: who asked, checked with SSH signatures against the approvers file; and the record of state changes.

A name that anyone can type is not a second person.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from retentiond.engine import allowed, sshsig
from retentiond.engine.context import Approvers, Context, Pen
from retentiond.errors import ApprovalError, GuardStopped, LogIntegrityError, RetentiondError, UsageError
from retentiond.evidence.canonical import Json, canonical_json, rfc3339
from retentiond.evidence.entry import state_entry
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import JournalRow

SIGNATURE_VALID = timedelta(hours=24)
SINGLE_OPERATOR = "single-operator"


@dataclass(frozen=True, slots=True)
class Signed:
    """A request that somebody signed: who, the signature, and what else its text holds."""

    principal: str
    signature: str
    nonce: str = ""
    not_after: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return who asked, and how that can be shown later, as the journal has it."""
        return {"by": self.principal, "signature": self.signature, "nonce": self.nonce, "notAfter": self.not_after}


@dataclass(frozen=True, slots=True)
class Hand:
    """Whose hand signs, and with which key: a file's, or (None) the agent's; elsewhere, where there is a pen."""

    principal: str
    key_file: Path | None
    public: tuple[str, str]
    pen: Pen | None = None

    def sign(self, text: str) -> str:
        """Return the armoured signature of a text."""
        if self.pen is not None:
            return self.pen.sign(text, self.public)
        if self.key_file is None:
            return sshsig.sign_with_agent(text, self.public)
        return sshsig.sign(text, self.key_file)


def request(ctx: Context, verb: str, arguments: Mapping[str, Json], key_file: Path | None) -> Signed:
    """Sign a request (hold, closure, …) and check the signature as anybody else would.

    Raises:
        GuardStopped: Nobody is named in the approvers file and no single operator is allowed.
    """
    now = ctx.now()
    if not people(ctx):
        return Signed(SINGLE_OPERATOR, "")
    hand = hand_of(ctx, key_file)
    unsigned = Signed(hand.principal, "", secrets.token_hex(16), rfc3339(now + SIGNATURE_VALID))
    text = request_text(ctx.terms.instance, verb, arguments, unsigned)
    signed = replace(unsigned, signature=hand.sign(text))
    verified(ctx, text, signed.signature, hand.principal, now)
    with ctx.ledger.begin() as tx:
        if not tx.approvals.use_nonce(signed.nonce, now):
            raise ApprovalError("this request was made before", remedy="sign a new one")
    return signed


def request_text(instance: str, verb: str, arguments: Mapping[str, Json], signed: Signed) -> str:
    """Return the text that a request signs; its arguments stand in it as a digest of their canonical JSON."""
    digest = hashlib.sha256(canonical_json(arguments)).hexdigest()
    lines = ("retentiond-request/v1", instance, verb, digest, signed.principal, signed.nonce, signed.not_after)
    return "\n".join(lines) + "\n"


def check_request(ctx: Context, verb: str, arguments: Mapping[str, Json], signed: Signed, at: datetime) -> None:
    """Check a recorded request again, as of the time it was made.

    Raises:
        ApprovalError: It does not verify: the ledger was tampered with.
    """
    if signed.principal == SINGLE_OPERATOR:
        if not ctx.terms.single_operator or allowed.in_force(ctx).principals:
            raise ApprovalError("an unsigned request counts only for a single operator", remedy="ask again, signed")
        return
    if rfc3339(at) > signed.not_after:
        raise ApprovalError(f"the request of {signed.principal} had expired", remedy="ask again")
    text = request_text(ctx.terms.instance, verb, arguments, signed)
    verified(ctx, text, signed.signature, signed.principal, at)


def record_state(ctx: Context, tx: Transaction, record: Mapping[str, Json]) -> int:
    """Seal a change of state (hold, closure, approval) for the journal and stage its log entry; return its index.

    It is delivered, to journal and log, by `deliver`.
    """
    name, sealed = ctx.journal.seal(record, ctx.now())
    index = tx.entries.stage(state_entry(name))
    tx.journal.add(JournalRow(name, sealed, index))
    return index


def record_unstaged(ctx: Context, tx: Transaction, record: Mapping[str, Json]) -> None:
    """Seal a change of state whose entry can't be staged yet: an entry that the log does not have might stand there."""
    tx.journal.add(JournalRow(*ctx.journal.seal(record, ctx.now())))


def deliver(ctx: Context) -> int:
    """Write what the journal lacks, stage what has no entry yet, and publish; return the log's tree size.

    Raises:
        LedgerBehindLog: The ledger is older than its log; nothing was staged.
        RetentiondError: Journal or log cannot be written; the next call goes on where this one ended.
    """
    with ctx.ledger.begin() as tx:
        rows = tx.journal.undelivered()
    for row in rows:
        ctx.journal.write(row.sha256, row.sealed)
    ctx.log.compare()
    if rows:
        written = {row.sha256 for row in rows}
        with ctx.ledger.begin() as tx:
            for row in tx.journal.undelivered():
                index = tx.entries.stage(state_entry(row.sha256)) if row.log_index is None else row.log_index
                tx.journal.deliver(replace(row, log_index=index, written=row.written or row.sha256 in written))
    return ctx.log.publish()


def deliver_what_waits(ctx: Context, what: str) -> int:
    """Deliver what lets go, which counts only then; return how many entries the log has.

    Args:
        what: Such as `the closure`.

    Raises:
        LogIntegrityError: It is pending.
    """
    try:
        return deliver(ctx)
    except RetentiondError as error:
        raise LogIntegrityError(
            f"{what} is pending, since it is not yet logged: {error.what}",
            where=error.where,
            remedy="make log and journal writable; the next `retentiond run` publishes the entry, and it counts",
        ) from error


def deliver_what_stops(ctx: Context, what: str) -> None:
    """Deliver what stops something, which counts already.

    Args:
        what: Such as `the pause is in force`.

    Raises:
        LogIntegrityError: It counts, and is not yet logged.
    """
    try:
        deliver(ctx)
    except RetentiondError as error:
        raise LogIntegrityError(
            f"{what}, but not yet logged: {error.what}",
            where=error.where,
            remedy="make log and journal writable; the next command that writes to the log publishes the entry",
        ) from error


def people(ctx: Context) -> bool:
    """Tell whether the approvers file that is in force names anybody; the first that does is taken as it stands.

    Raises:
        GuardStopped: It names nobody, and no single operator is allowed; or nothing tells any more whom it named.
    """
    with ctx.ledger.begin() as tx:
        known = tx.facts.get(allowed.CURRENT)
        if known is None and ctx.approvers.principals:
            record_unstaged(ctx, tx, {"kind": "approvers", **allowed.write(ctx.approvers)})
            allowed.take(tx, ctx.approvers, ctx.now())
            tx.events.append("approvers.taken", "approvers", ctx.now(), {"sha256": ctx.approvers.sha256})
        allowed.complete(ctx, tx)
        found = allowed.in_force_in(ctx, tx)
    if known is not None and not found.principals:
        raise GuardStopped(
            "the approvers file is not the one that is in force, and nothing tells whom that named",
            guard="approvers-changed",
            where="approvers",
            remedy=f"put back the file whose SHA-256 is {known}; then change it, and have the change signed",
        )
    _check_somebody(ctx, found)
    return bool(found.principals)


def _check_somebody(ctx: Context, found: Approvers) -> None:
    if not found.principals and not ctx.terms.single_operator:
        raise GuardStopped(
            "nobody is named in the approvers file",
            guard="approvers-empty",
            where="approvers",
            remedy="add a line `NAME ssh-ed25519 AAAA…` with your SSH public key, or set `single_operator: true`",
        )


def hand_of(ctx: Context, key_file: Path | None) -> Hand:
    """Return whose hand signs: the principal of a key file, or of a key that the agent holds.

    Raises:
        ApprovalError: The key belongs to nobody in the approvers file.
        GuardStopped: It belongs to somebody whom only the changed file names, which is not in force.
        UsageError: No key is named, and the agent holds none of an approver.
    """
    names = _names(allowed.in_force(ctx))
    if ctx.pen is not None:
        return _hand_elsewhere(ctx, ctx.pen, names)
    if key_file is not None:
        public = sshsig.public_key(key_file)
        if public not in names:
            raise _nobody(ctx, f"the key {key_file}", public)
        return Hand(names[public], key_file, public)
    for public in sshsig.agent_keys():
        if public in names:
            return Hand(names[public], None, public)
    raise _no_key()


def _hand_elsewhere(ctx: Context, pen: Pen, names: Mapping[tuple[str, str], str]) -> Hand:
    for public in pen.offered:
        if public in names:
            return Hand(names[public], None, public, pen)
    if not pen.offered:
        raise _no_key()
    raise _nobody(ctx, "the key that was offered", pen.offered[0])


def _names(approvers: Approvers) -> dict[tuple[str, str], str]:
    return {(each.key_type, each.key): each.name for each in approvers.principals}


def _no_key() -> UsageError:
    return UsageError(
        "a signature is needed, and the SSH agent holds no key of an approver",
        where="--ssh-key",
        remedy="name your SSH key with --ssh-key FILE, or add it to the agent",
    )


def _nobody(ctx: Context, whose: str, public: tuple[str, str]) -> RetentiondError:
    if public in _names(ctx.approvers):
        return GuardStopped(
            f"{whose} is named only in the changed approvers file, which is not in force",
            guard="approvers-changed",
            where="approvers",
            remedy="people of the file before sign it: `retentiond approve` with the path of the approvers file",
        )
    return ApprovalError(
        f"{whose} belongs to nobody in the approvers file",
        where="approvers",
        remedy="sign with the key of an approver",
    )


def verified(ctx: Context, text: str, signature: str, principal: str, at: datetime) -> None:
    """Check a signature as anybody else would, against the approvers file of its time.

    Raises:
        ApprovalError: It is not this principal's signature of this text.
    """
    files = allowed.at_the_time(ctx, at)
    for approvers in files[1:]:  # where the file changed in that very second
        with suppress(ApprovalError):
            if sshsig.verify(text, signature, approvers.text, at) == principal:
                return
    found = sshsig.verify(text, signature, files[0].text, at)
    if found != principal:
        raise ApprovalError(f"the signature is {found}'s, not {principal}'s", remedy="sign with your own key")
