"""Approvals of plans: SSH signatures against the approvers file.

Every approval gets a log entry, and a sealed record in the journal, before it counts; a rejection counts at once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from retentiond.domain.dataset import Dataset
from retentiond.domain.plan import RunState, Trigger
from retentiond.domain.policy import Policy
from retentiond.engine import allowed, chains
from retentiond.engine.context import Context
from retentiond.engine.manual import asked_by
from retentiond.engine.signing import (
    SIGNATURE_VALID,
    SINGLE_OPERATOR,
    deliver_what_stops,
    deliver_what_waits,
    hand_of,
    people,
    record_state,
    verified,
)
from retentiond.errors import ApprovalError, NotFound
from retentiond.evidence.canonical import Json, canonical_json, rfc3339
from retentiond.evidence.entry import void_entry
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ApprovalRow, PlanRow

_KEPT = "kept-approved"  # a fact for each policy
_ASKED = "kept-asked"  # a fact for each plan that asks for it
ERASES = "erases:"  # facts: the form of a dataset in which people approved an erasure in it
_NOT_AFTER = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def approval_text(instance: str, plan_sha256: str, verdict: str, principal: str, not_after: str) -> str:
    """Return the text that an approval signs."""
    return f"retentiond-approval/v1\n{instance}\n{plan_sha256}\n{verdict}\n{principal}\n{not_after}\n"


def find_plan(tx: Transaction, reference: str) -> PlanRow:
    """Return a plan by id or sha256.

    Raises:
        NotFound: There is none.
    """
    plan = tx.plans.get(reference)
    if plan is None:
        raise NotFound(f"there is no plan {reference}", remedy="`retentiond status` lists the plans that wait")
    return plan


def approve(ctx: Context, reference: str, key_file: Path | None) -> int:
    """Sign and record an approval of a plan; return how many more are needed.

    Raises:
        ApprovalError: The plan is not waiting, has expired, the key is nobody's, or that of whoever asked for it.
    """
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        plan = find_plan(tx, reference)
        asked = asked_by(ctx, tx, plan)
    chains.require_first(plan, "retentiond approve")
    if plan.state is RunState.PLANNED:
        return 0
    _check_open(plan, now)
    approval = _signed_verdict(ctx, plan, key_file, now, approve=True)
    _check_other(plan, asked, approval.principal)
    ctx.log.compare()
    with ctx.ledger.begin() as tx:
        _record(ctx, tx, plan, approval)
    return settle_approvals(ctx, plan.id, deliver_what_waits(ctx, f"the approval of plan {plan.id}"))


def _check_other(plan: PlanRow, asked: str, signs: str) -> None:
    if asked == signs != SINGLE_OPERATOR:
        raise ApprovalError(
            f"{asked} asked for plan {plan.id}, and can't approve it, too",
            remedy="somebody else whom the approvers file names signs it",
        )


def covered(ctx: Context, reference: str) -> list[str]:
    """Return the ids of the further plans that are approved with a plan."""
    with ctx.ledger.begin() as tx:
        return [plan.id for plan in chains.whole(tx, find_plan(tx, reference))[1:]]


def reject(ctx: Context, reference: str, key_file: Path | None) -> None:
    """Sign and record a rejection; the plan ends void at once, and of a chain whatever was not begun.

    Raises:
        ApprovalError: The plan, or the last of its chain, has begun or ended.
        LogIntegrityError: The plan is void, and that is not yet logged.
    """
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        plan = _unbegun(tx, reference)
    verdict = _signed_verdict(ctx, plan, key_file, now, approve=False)
    with ctx.ledger.begin() as tx:
        _unbegun(tx, plan.id)  # once more: it may have begun while somebody signed
        _record(ctx, tx, plan, verdict)
        void_in(ctx, tx, plan, "rejected")
    deliver_what_stops(ctx, f"plan {plan.id} is void")


def _unbegun(tx: Transaction, reference: str) -> PlanRow:
    """Return the first plan of what can be rejected; ApprovalError where all of it has begun or is void."""
    plan = find_plan(tx, reference)
    chains.require_first(plan, "retentiond reject")
    if not chains.unbegun(tx, plan):
        raise ApprovalError(f"plan {plan.id} is {plan.state} and can't be rejected", remedy="nothing needs doing")
    return plan


def settle_approvals(ctx: Context, plan_id: str, size: int) -> int:
    """Move a plan that has all its approvals from waiting to planned; return how many are still missing.

    Args:
        size: How many entries the log has; an approval counts once its own is among them.
    """
    with ctx.ledger.begin() as tx:
        plan = find_plan(tx, plan_id)
        rows = tx.approvals.of_plan(plan.sha256)
        given = {row.principal for row in rows if row.approve and row.log_index < size}
        missing = max(0, plan.approvals_needed - len(others(given, asked_by(ctx, tx, plan))))
        if missing or plan.state is not RunState.WAITING:
            return missing
        for each in chains.whole(tx, plan):
            tx.plans.set_state(each.id, RunState.PLANNED)
            _approve_pairs(ctx, tx, each)
    return 0


def others(given: set[str], asked: str) -> set[str]:
    """Return who counts of those who approved: nobody who asked for it, where people are named."""
    return given if asked == SINGLE_OPERATOR else given - {asked}


def _approve_pairs(ctx: Context, tx: Transaction, plan: PlanRow) -> None:
    """Approve what the plan is bound to, each policy with its own lists: another plan may hold fewer policies."""
    _approve_kept(ctx, tx, plan)
    if plan.trigger is Trigger.ERASURE:
        for name, sha256 in plan.datasets:
            tx.facts.set(f"{ERASES}{name}", sha256)
    if plan.trigger is not Trigger.SCHEDULE or plan.lists not in lists_commitments(ctx, plan.policies):
        return  # nothing that people asked for approves a policy; a list that changed after the plan, nobody approved
    classes = {dataset.name: dataset.data_class for dataset in ctx.datamap.datasets.values()}
    for policy in plan.policies:
        governed = ctx.policies.policies.get(policy[0])
        lists = lists_commitment(ctx, (policy,))
        for dataset in plan.datasets:
            if governed is not None and classes.get(dataset[0]) == governed.data_class:
                tx.approvals.approve_pair(policy, dataset, lists)


def kept_sha256(policy: Policy) -> str:
    """Return the SHA-256 of what a policy's class keeps of accounts that have left; empty where that is nothing."""
    kept = json.loads(policy.canonical)["closing"] if policy.kept else None
    return hashlib.sha256(canonical_json(kept)).hexdigest() if kept else ""


def kept_asked(ctx: Context, tx: Transaction) -> dict[str, str]:
    """Return the policies of which what is kept was not approved as it stands, each with the SHA-256 of that.

    Where nothing was ever kept nobody has to approve that.
    """
    forms = {name: kept_sha256(policy) for name, policy in ctx.policies.policies.items()}
    return {name: form for name, form in forms.items() if (tx.facts.get(f"{_KEPT}:{name}") or "") != form}


def ask_kept(tx: Transaction, plan: str, asked: Mapping[str, str]) -> None:
    """Note what the approval of a plan of a closure, or of an erasure, approves besides."""
    if asked:
        tx.facts.set(f"{_ASKED}:{plan}", json.dumps(asked))


def _approve_kept(ctx: Context, tx: Transaction, plan: PlanRow) -> None:
    """Approve what is kept: what the plan of a closure or an erasure asked for, or what a schedule's policies say."""
    forms: dict[str, str] = json.loads(tx.facts.get(f"{_ASKED}:{plan.id}") or "{}")
    for name, sha256 in plan.policies if plan.trigger is Trigger.SCHEDULE else ():
        policy = ctx.policies.policies.get(name)
        if policy is not None and policy.sha256 == sha256:
            forms[name] = kept_sha256(policy)
    for name, form in forms.items():
        tx.facts.set(f"{_KEPT}:{name}", form)


def erases_unapproved(tx: Transaction, datasets: Iterable[Dataset]) -> list[str]:
    """Return why an erasure in datasets needs approval: each that nobody approved as it stands, so whose data it is."""
    return [
        f"dataset {each.name}, which says whose data it is, was not approved in its present form"
        for each in datasets
        if each.sha256 not in (tx.approvals.approved_dataset(each.name), tx.facts.get(f"{ERASES}{each.name}"))
    ]


def lists_commitment(ctx: Context, policies: Iterable[tuple[str, str]]) -> str:
    """Return a keyed commitment to the members of all named lists of the policies; empty where there are none."""
    return lists_commitments(ctx, policies)[0]


def lists_commitments(ctx: Context, policies: Iterable[tuple[str, str]]) -> Sequence[str]:
    """Return what may have been remembered of these lists: a commitment of each replay key, the newest key's first."""
    named: dict[str, Json] = {}
    for name, _ in policies:
        policy = ctx.policies.policies.get(name)
        if policy is not None and policy.lists:
            named[name] = {each: sorted(members) for each, members in policy.lists.items()}
    return ctx.replay.commitments("lists", canonical_json(named).decode()) if named else [""]


def void(ctx: Context, plan: PlanRow, reason: str) -> None:
    """End a plan that was not begun: expired, rejected, cancelled or superseded; logged.

    With it go those that follow it in its chain, as far as they were not begun.
    """
    ctx.log.compare()
    with ctx.ledger.begin() as tx:
        void_in(ctx, tx, plan, reason)
    ctx.log.publish()


def void_in(ctx: Context, tx: Transaction, plan: PlanRow, reason: str) -> None:
    """Do that inside a transaction; the entries are staged, and published by whoever publishes next.

    What was begun since the plan was read is left alone: whether a plan begins or ends void, one of the two wins.
    """
    for each in chains.unbegun(tx, find_plan(tx, plan.id)):
        tx.plans.set_state(each.id, RunState.CANCELLED)
        tx.entries.stage(void_entry(each.log_index, reason, each.sha256))
        tx.events.append("plan.void", each.id, ctx.now(), {"reason": reason})


def _check_open(plan: PlanRow, now: datetime) -> None:
    if plan.state is not RunState.WAITING:
        raise ApprovalError(f"plan {plan.id} is {plan.state} and waits for nobody", remedy="make a new plan")
    if plan.has_expired(now):
        raise ApprovalError(f"plan {plan.id} expired at {rfc3339(plan.expires_at)}", remedy="make a new plan")


def _signed_verdict(ctx: Context, plan: PlanRow, key_file: Path | None, now: datetime, *, approve: bool) -> ApprovalRow:
    not_after = rfc3339(min(now + SIGNATURE_VALID, plan.expires_at))
    verdict = "approve" if approve else "reject"
    if not people(ctx):
        return ApprovalRow(plan.sha256, SINGLE_OPERATOR, approve, not_after, "", now, 0)
    hand = hand_of(ctx, key_file)
    text = approval_text(ctx.terms.instance, plan.sha256, verdict, hand.principal, not_after)
    signature = hand.sign(text)
    verified(ctx, text, signature, hand.principal, now)
    return ApprovalRow(plan.sha256, hand.principal, approve, not_after, signature, now, 0)


def check_approval(ctx: Context, row: ApprovalRow) -> None:
    """Check a recorded approval again, as of the time it was given.

    Raises:
        ApprovalError: It does not verify: the ledger was tampered with.
    """
    if row.principal == SINGLE_OPERATOR:
        if not ctx.terms.single_operator or allowed.in_force(ctx).principals:
            raise ApprovalError("an unsigned approval counts only for a single operator", remedy="make a new plan")
        return
    if _NOT_AFTER.fullmatch(row.not_after) is None or rfc3339(row.at) > row.not_after:
        raise ApprovalError(f"the approval by {row.principal} had expired", remedy="approve a new plan")
    verdict = "approve" if row.approve else "reject"
    text = approval_text(ctx.terms.instance, row.plan_sha256, verdict, row.principal, row.not_after)
    verified(ctx, text, row.signature, row.principal, row.at)


def _record(ctx: Context, tx: Transaction, plan: PlanRow, approval: ApprovalRow) -> None:
    record: dict[str, Json] = {
        "kind": "approval",
        "plan": plan.sha256,
        "planId": plan.id,
        "principal": approval.principal,
        "approve": approval.approve,
        "notAfter": approval.not_after,
        "signature": approval.signature,
    }
    tx.approvals.add(replace(approval, log_index=record_state(ctx, tx, record)))
    detail = {"principal": approval.principal, "approve": approval.approve}
    tx.events.append("plan.approval", plan.id, approval.at, detail)
