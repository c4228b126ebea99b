"""When the ledger, the log or what stands beside them was lost or went back in time.

The log is the order of things, the journal says what its `state` entries mean, the bundles show its receipts. A ledger
that is behind its log is brought up to it in one transaction, and then nothing is removed until somebody has signed the
resulting list of holds. A log that is behind its ledger is written again. Where both went back, nothing is written:
to go on would give the log two histories.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retentiond.domain.hold import Hold
from retentiond.domain.plan import RunState
from retentiond.domain.scopes import write_scope
from retentiond.engine.approvals import void
from retentiond.engine.context import Context, new_id
from retentiond.engine.docket import holds_in_force
from retentiond.engine.finding import Surroundings, look_around, unlogged
from retentiond.engine.guards import RECOVERY
from retentiond.engine.rebuilding import Rebuilding, Rebuilt
from retentiond.engine.rewriting import Rewritten, own_entries, rewrite
from retentiond.engine.signing import deliver, record_state, request
from retentiond.errors import ApprovalError, LedgerBehindLog, LogIntegrityError
from retentiond.evidence.canonical import Json, canonical_json, rfc3339
from retentiond.evidence.entry import Entry, EntryKind, parse_entry
from retentiond.ports.ledger import Transaction


@dataclass(frozen=True, slots=True)
class OpenPlan:
    """A plan in the log that has neither receipt nor void. `state` is None where the ledger does not know it."""

    log_index: int
    sha256: str
    state: RunState | None


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a recovery did, and what waits for a signature.

    Attributes:
        reference: What `retentiond approve` takes: SHA-256 of the list to be signed; empty where none waits.
        adopted: Entries that the ledger took over from the log, when it was behind.
        receipts: Receipts that it took from bundles.
        without_bundle: Entries of receipts that no bundle shows.
        unreadable: Entries of changes of holds, closures or approvals that nothing can tell any more.
        damaged: Files among the receipts that are no bundles.
    """

    reference: str
    holds: Sequence[Hold]
    plans: Sequence[OpenPlan]
    rewritten: Rewritten
    adopted: int = 0
    receipts: int = 0
    without_bundle: Sequence[int] = ()
    unreadable: Sequence[int] = ()
    damaged: Sequence[str] = ()


def recover(ctx: Context) -> Recovered:
    """Bring the ledger up to its log, or the log, journal and bundles up to the ledger.

    Raises:
        LedgerBehindLog: Log and ledger both went back in time; nothing was written.
        LogIntegrityError: They are not of one history; nothing was written.
    """
    with ctx.ledger.acting():
        around = look_around(ctx)
        published, own = list(ctx.log.read_entries()), own_entries(ctx)
        _check_one_history(published, own)
        _check_not_both_old(ctx, around, max(published, own, key=len))
        if _is_behind(ctx):
            _rebuild(ctx, around, published, len(own))
        rewritten = rewrite(ctx)
        return _report(ctx, rewritten)


def concerns(ctx: Context, reference: str) -> bool:
    """Tell whether something that is to be approved is the list of holds after a recovery, and no plan."""
    with ctx.ledger.begin() as tx:
        return bool(tx.facts.get(RECOVERY)) and tx.plans.get(reference) is None


def sign_list(ctx: Context, reference: str, key_file: Path | None) -> None:
    """Sign the list of holds after a recovery; from now on policies are carried out again.

    Plans that were made before it and never begun are void: whatever is due is planned again.

    Raises:
        ApprovalError: The list has changed since it was shown.
        LogIntegrityError: The signature could not be logged; it does not count.
    """
    facts, listed = _listed(ctx)
    current = _digest(listed)
    if reference != current:
        raise ApprovalError(
            "the list of holds is not the one that was shown",
            where=reference,
            remedy="`retentiond ledger recover` shows it as it is now, and how to sign it",
        )
    arguments: dict[str, Json] = {"verb": "recovery", "recovery": facts["id"], "list": current}
    signed = request(ctx, "recovery", arguments, key_file)
    ctx.log.compare()
    with ctx.ledger.begin() as tx:
        record_state(ctx, tx, {"kind": "recovery", "id": facts["id"], "signed": listed, **signed.to_json()})
    deliver(ctx)
    with ctx.ledger.begin() as tx:
        unbegun = tx.plans.in_state(RunState.PLANNED, RunState.WAITING)
    for plan in unbegun:
        void(ctx, plan, "cancelled")
    with ctx.ledger.begin() as tx:
        if facts["lostApprovals"]:
            _withdraw_pairs(ctx, tx)
        tx.facts.set(RECOVERY, "")
        tx.events.append("ledger.recovery-signed", facts["id"], ctx.now(), {"by": signed.principal})


def _check_one_history(published: Sequence[bytes], own: Sequence[bytes]) -> None:
    if not published and not own:
        raise LogIntegrityError(
            "neither ledger nor log has an entry, so there is nothing to recover from",
            remedy="put back a copy of the log, with its journal and keys; a new instance is made by `retentiond init`",
        )
    for index, (theirs, ours) in enumerate(zip(published, own, strict=False)):
        if theirs != ours:
            raise LogIntegrityError(
                f"entry {index} of the log is not the one that the ledger has: it was used after it went back in time",
                remedy="put the ledger's backup back once more, and recover it before anything else is done with it",
            )


def _check_not_both_old(ctx: Context, around: Surroundings, newest: Sequence[bytes]) -> None:
    logged = frozenset(entry.sha256 for entry in map(parse_entry, newest) if entry.kind is EntryKind.STATE)
    strange = list(unlogged(ctx, logged))
    evidence = []
    if around.vouched > len(newest):
        evidence.append(f"a bundle proves a log of {around.vouched} entries, and {len(newest)} are left")
    if strange:
        evidence.append(f"{len(strange)} records of the journal have no entry, {strange[0]} among them")
    if evidence:
        raise LedgerBehindLog(
            f"ledger and log both went back in time: {'; '.join(evidence)}",
            remedy="nothing was written; put back a newer copy of the ledger or of the log. Where there is none, make "
            "a new instance with a log of another name, and place the holds there before its first run",
        )


def _is_behind(ctx: Context) -> bool:
    try:
        ctx.log.compare()
    except LedgerBehindLog:
        return True
    return False


def _rebuild(ctx: Context, around: Surroundings, published: Sequence[bytes], first: int) -> None:
    note, size = ctx.log.published()
    if note is None or size != len(published):
        raise LogIntegrityError("the log changed while it was read", remedy="stop who writes to it, then try again")
    entries = [parse_entry(entry) for entry in published]
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        tx.recovery.adopt_entries(first, published[first:])
        tx.recovery.adopt_checkpoint(note)
        rebuilt = Rebuilding(ctx, tx, around, entries).run(first)
        facts = _facts(new_id(now), rebuilt, size, around)
        tx.facts.set(RECOVERY, json.dumps(facts))
        tx.events.append("ledger.recovered", facts["id"], now, {"from": first, "to": size})


def _facts(recovery_id: str, rebuilt: Rebuilt, size: int, around: Surroundings) -> dict[str, Any]:
    return {
        "id": recovery_id,
        "adopted": max(0, size - rebuilt.first),
        "receipts": rebuilt.receipts,
        "withoutBundle": rebuilt.without_bundle,
        "unreadable": sorted(set(rebuilt.unreadable)),
        "damaged": list(around.damaged),
        "lostApprovals": rebuilt.lost_approvals,
    }


def _report(ctx: Context, rewritten: Rewritten) -> Recovered:
    facts, listed = _listed(ctx)
    with ctx.ledger.begin() as tx:
        holds = holds_in_force(ctx, tx)
    plans = _open_plans(ctx)
    if not facts:
        return Recovered("", holds, plans, rewritten)
    return Recovered(
        reference=_digest(listed),
        holds=holds,
        plans=plans,
        rewritten=rewritten,
        adopted=facts["adopted"],
        receipts=facts["receipts"],
        without_bundle=facts["withoutBundle"],
        unreadable=facts["unreadable"],
        damaged=facts["damaged"],
    )


def _open_plans(ctx: Context) -> list[OpenPlan]:
    """Return the plans in the log that have neither receipt nor void."""
    entries = [parse_entry(entry) for entry in own_entries(ctx)]
    ended = {entry.subject for entry in entries if entry.kind in (EntryKind.RECEIPT, EntryKind.VOID)}
    left = [(index, entry) for index, entry in enumerate(entries) if _is_open(index, entry, ended)]
    with ctx.ledger.begin() as tx:
        known = {entry.sha256: tx.plans.get(entry.sha256) for _, entry in left}
    return [
        OpenPlan(index, entry.sha256, plan.state if (plan := known[entry.sha256]) else None) for index, entry in left
    ]


def _is_open(index: int, entry: Entry, ended: set[int | None]) -> bool:
    return entry.kind is EntryKind.PLAN and index not in ended


def _listed(ctx: Context) -> tuple[dict[str, Any], dict[str, Json]]:
    """Return what is remembered of a recovery that waits, and the list that is to be signed; both may be empty."""
    with ctx.ledger.begin() as tx:
        written = tx.facts.get(RECOVERY)
        holds = holds_in_force(ctx, tx)
    if not written:
        return {}, {}
    facts: dict[str, Any] = json.loads(written)
    return facts, {
        "recovery": facts["id"],
        "holds": [
            {"id": each.id, "matter": each.matter, "scope": write_scope(each.scope), "at": rfc3339(each.placed_at)}
            for each in holds
        ],
        "unreadable": facts["unreadable"],
        "withoutBundle": facts["withoutBundle"],
    }


def _digest(listed: dict[str, Json]) -> str:
    return hashlib.sha256(canonical_json(listed)).hexdigest()


def _withdraw_pairs(ctx: Context, tx: Transaction) -> None:
    """Have every policy approved again: what people approved last may have been another form of it."""
    for policy in ctx.policies.policies.values():
        for dataset in ctx.datamap.datasets.values():
            if dataset.data_class == policy.data_class:
                tx.approvals.approve_pair((policy.id, ""), (dataset.name, ""), "")
