"""A changed approvers file: people of the one in force sign it, and it counts once their entries are in the log."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from retentiond.engine import allowed
from retentiond.engine.context import Context
from retentiond.engine.signing import Signed, check_request, deliver, deliver_what_waits, people, record_state, request
from retentiond.errors import ApprovalError
from retentiond.evidence.canonical import Json, rfc3339
from retentiond.ports.ledger import Transaction

VERB = "approvers"
SIGNED = "approvers-signed"
TAKEN = "approvers"
_FACT = "approvers_change"
_PEOPLE = 2


@dataclass(frozen=True, slots=True)
class _Signature:
    """One person's signature of a change, and the entry that shows it."""

    signed: Signed
    at: datetime
    log_index: int


@dataclass(frozen=True, slots=True)
class _Change:
    """A file that is to follow another one, and who signed it so far."""

    sha256: str
    before: str
    signatures: tuple[_Signature, ...]

    def arguments(self, verdict: str) -> dict[str, Json]:
        """Return what a signature signs."""
        return {"verb": VERB, "sha256": self.sha256, "before": self.before, "verdict": verdict}


def concerns(ctx: Context, reference: str) -> bool:
    """Tell whether something that is to be approved or rejected is the approvers file as it stands."""
    return bool(reference) and reference == ctx.approvers.sha256


def waiting(ctx: Context) -> tuple[str, int] | None:
    """Return the digest of a changed file that is not in force, and how many signatures it lacks; None for none."""
    with ctx.ledger.begin() as tx:
        current = allowed.in_force_in(ctx, tx)
        change = _read(tx)
    if current.sha256 == ctx.approvers.sha256 or not current.sha256:
        return None
    given = change.signatures if change and change.sha256 == ctx.approvers.sha256 else ()
    return ctx.approvers.sha256, _needed(ctx) - len({each.signed.principal for each in given})


def sign_file(ctx: Context, key_file: Path | None, *, approve: bool) -> int:
    """Sign the approvers file as it stands; return how many more must.

    Two people of the file in force make it count, one where that names one. One rejection drops what was signed.

    Raises:
        ApprovalError: It names nobody, or the key is nobody's in the file in force.
        LogIntegrityError: The signature is pending: it is not yet logged.
    """
    people(ctx)
    now = ctx.now()
    current = allowed.in_force(ctx)
    if current.sha256 == ctx.approvers.sha256:
        return 0
    if approve and not ctx.approvers.principals:
        raise ApprovalError("the changed approvers file names nobody", where="approvers", remedy="name somebody in it")
    change = _Change(ctx.approvers.sha256, current.sha256, ())
    arguments = change.arguments("approve" if approve else "reject")
    signed = request(ctx, VERB, arguments, key_file)
    ctx.log.compare()
    with ctx.ledger.begin() as tx:
        index = record_state(ctx, tx, {"kind": SIGNED, **arguments, **signed.to_json()})
        known = _read(tx)
        earlier = known.signatures if known and (known.sha256, known.before) == (change.sha256, change.before) else ()
        kept = [each for each in earlier if _counts(each, now) and each.signed.principal != signed.principal]
        allowed.propose(tx, ctx.approvers)
        _write(tx, replace(change, signatures=(*kept, _Signature(signed, now, index)) if approve else ()))
        tx.events.append("approvers.signed", change.sha256, now, {"by": signed.principal, "approve": approve})
    return settle_approvers(ctx, deliver_what_waits(ctx, "the signature of the approvers file"))


def settle_approvers(ctx: Context, size: int) -> int:
    """Put a changed file in force once enough people's signatures are in a log of so many entries.

    Returns:
        How many are missing; 0 also where nothing is to be changed.
    """
    with ctx.ledger.begin() as tx:
        change = _read(tx)
        current = allowed.in_force_in(ctx, tx)
    if change is None or change.before != current.sha256:
        return 0
    logged = [each for each in change.signatures if each.log_index < size]
    for each in logged:
        check_request(ctx, VERB, change.arguments("approve"), each.signed, each.at)
    given = {each.signed.principal for each in logged}
    missing = _needed(ctx) - len(given)
    if missing > 0:
        return missing
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        same = _read(tx) == change
        if same:
            new = allowed.proposed(ctx, tx, change.sha256)
            allowed.take(tx, new, now)
            tx.facts.set(_FACT, "")
            record_state(ctx, tx, {"kind": TAKEN, **allowed.write(new), "by": sorted(given)})
            tx.events.append("approvers.taken", "approvers", now, {"sha256": new.sha256, "by": sorted(given)})
    if not same:  # somebody signed or rejected it meanwhile, or put it in force
        return settle_approvers(ctx, size) or (waiting(ctx) or ("", 0))[1]
    deliver(ctx)
    return 0


def is_pending(tx: Transaction) -> bool:
    """Tell whether signatures of a changed file wait."""
    return bool(tx.facts.get(_FACT))


def _needed(ctx: Context) -> int:
    return min(_PEOPLE, len({each.name for each in allowed.in_force(ctx).principals}))


def _counts(signature: _Signature, now: datetime) -> bool:
    return rfc3339(now) <= signature.signed.not_after


def _read(tx: Transaction) -> _Change | None:
    kept = tx.facts.get(_FACT)
    if not kept:
        return None
    written = json.loads(kept)
    signatures = tuple(
        _Signature(Signed(**each["signed"]), datetime.fromisoformat(each["at"]), each["index"])
        for each in written["signatures"]
    )
    return _Change(written["sha256"], written["before"], signatures)


def _write(tx: Transaction, change: _Change) -> None:
    signatures = [
        {"signed": asdict(each.signed), "at": each.at.isoformat(), "index": each.log_index}
        for each in change.signatures
    ]
    written = {"sha256": change.sha256, "before": change.before, "signatures": signatures}
    tx.facts.set(_FACT, json.dumps(written) if signatures else "")
