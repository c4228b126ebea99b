"""What was drafted becomes plans: guarded, signed, and in the log before anybody gets them; several make a chain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from retentiond.domain.dataset import Dataset
from retentiond.domain.plan import Forecast, RunState, Trigger
from retentiond.domain.policy import Policy
from retentiond.engine import caps, guards
from retentiond.engine.approvals import ask_kept, erases_unapproved, kept_asked, lists_commitment
from retentiond.engine.context import Context
from retentiond.engine.drafting import Draft, PlanDraft
from retentiond.engine.manual import Manual, remember
from retentiond.engine.signing import deliver, record_state
from retentiond.evidence.canonical import canonical_json
from retentiond.evidence.entry import plan_entry, policy_entry
from retentiond.evidence.envelope import Envelope, sign
from retentiond.evidence.statement import Digest, PlanFacts, PlanPart, plan_statement
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import PlanRow
from retentiond.telemetry import logger


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a scan found, on its way to plans.

    Attributes:
        reference: The run's reference time.
        manual: What somebody asked for; None where nobody did.
        leaving: For closures: the accounts that leave, each with its closure's id.
        caps: For closures and replays: what else a person has to look at, in words.
    """

    draft: Draft
    trigger: Trigger
    forecasts: tuple[Forecast, ...]
    reference: datetime
    manual: Manual | None = None
    leaving: Mapping[str, str] = field(default_factory=dict)
    caps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Signed:
    """One plan's statement, and what it is bound to."""

    draft: PlanDraft
    envelope: Envelope
    policies: tuple[Policy, ...]
    datasets: tuple[Dataset, ...]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Policies as plans have them."""
        return tuple((policy.id, policy.sha256) for policy in self.policies)


def propose(ctx: Context, proposal: Proposal) -> tuple[PlanRow, ...]:
    """Sign and log all plans of a draft in one transaction, the first first; return them in order.

    Caps and approvals are of all of them together, and stand in the first: its statement names the others.
    """
    proposal.draft.flush()
    first, *others = (plan for plan in proposal.draft.plans if plan.records)
    further = [_signed(ctx, proposal, plan, chain_of=first.id) for plan in others]
    signed = [_signed(ctx, proposal, first, chain=tuple(each.envelope.sha256 for each in further)), *further]
    for each in signed:
        publish_canonical(ctx, [*each.policies, *each.datasets])
    with ctx.ledger.begin() as tx:
        reasons = _reasons(ctx, tx, proposal, signed)
        rows = [_row(ctx, tx, proposal, each, reasons) for each in signed]
        for row, each in zip(rows, signed, strict=True):
            served = sorted({proposal.leaving[account] for _, account in each.draft.takes})
            erases = proposal.trigger is Trigger.ERASURE
            tx.plans.finish_draft(row, each.draft.parts, () if erases else served, served if erases else ())
            detail = {"records": row.records, "sha256": row.sha256, "plans": len(rows)}
            tx.events.append("plan.made", row.id, proposal.reference, detail)
        if proposal.trigger in (Trigger.CLOSURE, Trigger.ERASURE):
            ask_kept(tx, rows[0].id, kept_asked(ctx, tx))
        _keep_request(ctx, tx, proposal.manual, rows)
    if proposal.manual is not None:
        deliver(ctx)
    else:
        ctx.log.publish()
    known = {"plan": rows[0].id, "trigger": proposal.trigger, "approvals": rows[0].approvals_needed}
    logger().info("plan", **known, records=proposal.draft.records, plans=len(rows), reasons=len(reasons))
    return tuple(rows)


def _keep_request(ctx: Context, tx: Transaction, asked: Manual | None, rows: Sequence[PlanRow]) -> None:
    """Keep what was asked for with each plan, and in the journal, in the transaction that makes the plans."""
    if asked is None:
        return
    for row in rows:
        remember(ctx, tx, row.id, asked)
    if asked.as_of is not None:  # it is known, and was approved, since that purge
        return
    record_state(ctx, tx, {**asked.to_json(), "plans": [row.sha256 for row in rows]})
    tx.events.append("purge.asked", rows[0].id, asked.at, {"by": asked.signed.principal})


def _signed(
    ctx: Context, proposal: Proposal, draft: PlanDraft, *, chain: tuple[str, ...] = (), chain_of: str = ""
) -> _Signed:
    policies = tuple(each for each in ctx.policies.policies.values() if each.id in draft.policies)
    datasets = tuple(ctx.datamap.datasets[name] for name in dict.fromkeys(part.dataset for part in draft.parts))
    facts = PlanFacts(
        plan_id=draft.id,
        instance=ctx.terms.instance,
        created_at=proposal.reference,
        expires_at=ctx.terms.plan_expires.after(proposal.reference),
        trigger=proposal.trigger.value,
        reference_time=proposal.reference,
        policies=tuple(Digest(policy.id, policy.sha256) for policy in policies),
        datasets=tuple(Digest(dataset.name, dataset.sha256) for dataset in datasets),
        parts=tuple(
            PlanPart(p.dataset, p.policy, p.action.value, p.due, p.rule, p.cutoff, p.size_bytes) for p in draft.parts
        ),
        records=draft.records,
        records_sha256=draft.digest.hexdigest(),
        chain=chain,
        chain_of=chain_of,
    )
    return _Signed(draft, sign(plan_statement(facts), ctx.issuer), policies, datasets)


def _row(ctx: Context, tx: Transaction, proposal: Proposal, signed: _Signed, reasons: Sequence[str]) -> PlanRow:
    return PlanRow(
        id=signed.draft.id,
        sha256=signed.envelope.sha256,
        state=RunState.WAITING if reasons else RunState.PLANNED,
        trigger=proposal.trigger,
        created_at=proposal.reference,
        expires_at=ctx.terms.plan_expires.after(proposal.reference),
        reference_time=proposal.reference,
        log_index=tx.entries.stage(plan_entry(signed.envelope.sha256)),
        envelope=canonical_json(signed.envelope.to_json()),
        nonce=signed.draft.nonce,
        policies=signed.pairs,
        datasets=tuple((dataset.name, dataset.sha256) for dataset in signed.datasets),
        records=signed.draft.records,
        approvals_needed=1 if reasons else 0,
        reasons=tuple(reasons),
        forecasts=proposal.forecasts,
        lists=lists_commitment(ctx, signed.pairs),
    )


def _reasons(ctx: Context, tx: Transaction, proposal: Proposal, signed: Sequence[_Signed]) -> list[str]:
    if proposal.trigger is Trigger.CLOSURE:
        return [*proposal.caps, *(_not_approved(ctx.policies.policies[name]) for name in kept_asked(ctx, tx))]
    if proposal.trigger is Trigger.ERASURE:
        datasets = dict.fromkeys(dataset.name for each in signed for dataset in each.datasets)
        kept = (_not_approved(ctx.policies.policies[name], "erasures") for name in kept_asked(ctx, tx))
        return [*proposal.caps, *erases_unapproved(tx, (ctx.datamap.datasets[name] for name in datasets)), *kept]
    asked = proposal.manual
    if asked is not None and asked.as_of is not None:
        # Only what has these keys was looked at, so a share of it says nothing.
        limits = {each.id: replace(each.limits, max_percent=100) for some in signed for each in some.policies}
        return caps.cap_reasons(proposal.forecasts, limits)
    found: dict[str, None] = {}
    if asked is not None:
        found[f"a manual purge that {asked.signed.principal} asked for: {asked.reason}"] = None
    policies: dict[str, Policy] = {}
    for each in signed:
        if asked is None:
            found.update(dict.fromkeys(guards.approval_reasons(ctx, tx, each.policies, _decided(proposal, each))))
        policies.update((policy.id, policy) for policy in each.policies)
    above = caps.cap_reasons(proposal.forecasts, {policy.id: policy.limits for policy in policies.values()})
    return [*found, *proposal.caps, *above]


def _decided(proposal: Proposal, signed: _Signed) -> Sequence[Dataset]:
    """Return the datasets of which policy makes something due: of what goes for a closed account nobody has to ask."""
    if proposal.trigger is not Trigger.REPLAY:
        return signed.datasets
    ruled = {part.dataset for part in signed.draft.parts if part.rule}
    return [dataset for dataset in signed.datasets if dataset.name in ruled]


def _not_approved(policy: Policy, who: str = "closures") -> str:
    return f"what {who} keep of class {policy.data_class} was not approved in its present form"


def publish_canonical(ctx: Context, declared: Iterable[Policy | Dataset]) -> None:
    """Publish the canonical forms of policies and datasets beside the log, each logged the first time."""
    for each in declared:
        name = f"canonical:{each.sha256}"
        with ctx.ledger.begin() as tx:
            if tx.facts.get(name) is None:
                tx.entries.stage(policy_entry(each.sha256))
                tx.facts.set(name, each.canonical.decode())  # so that a log that is lost can be written again
        ctx.log.publish_file(f"policies/{each.sha256}.json", each.canonical)
