"""Chains: several plans of one scan, of which the first commits to the others, so that who approves it approves all.

What belongs together is read from the signed statements and from nothing else: the first plan names the SHA-256 of the
further ones (`chain`), each of these names the id of the first (`chainOf`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from retentiond.domain.plan import RunState
from retentiond.engine.context import Context
from retentiond.errors import LedgerError, UsageError
from retentiond.evidence.envelope import Envelope
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import PlanRow

OPEN = (RunState.PLANNED, RunState.WAITING)
UNFINISHED = (RunState.RUNNING, RunState.STOPPED)
_CHECK = "nothing is removed by it; run `retentiond ledger check`"


def first_id(plan: PlanRow) -> str:
    """Return the id of the first plan of the chain that a further plan belongs to; empty for any other plan."""
    return str(_predicate(plan).get("chainOf", ""))


def first_of(tx: Transaction, plan: PlanRow) -> PlanRow:
    """Return the plan whose approvals count for a plan: the first of its chain, or itself.

    Raises:
        LedgerError: The chain's statements do not agree, or one of its plans is missing.
    """
    name = first_id(plan)
    if not name:
        return plan
    first = tx.plans.get(name)
    if first is None or plan.sha256 not in _further(first):
        raise LedgerError(
            f"plan {plan.id} says that it belongs to a chain, and the first plan of that does not name it",
            remedy=_CHECK,
        )
    return first


def whole(tx: Transaction, first: PlanRow) -> list[PlanRow]:
    """Return a plan and the further plans that it commits to, in the order in which they are carried out.

    Raises:
        LedgerError: One of them is missing, or names another first plan.
    """
    plans = [first]
    for sha256 in _further(first):
        plan = tx.plans.get(sha256)
        if plan is None or first_id(plan) != first.id:
            raise LedgerError(f"plan {sha256} of the chain of {first.id} is not in the ledger", remedy=_CHECK)
        plans.append(plan)
    return plans


def unbegun(tx: Transaction, plan: PlanRow) -> list[PlanRow]:
    """Return a plan and all that follow it in its chain, as far as they were not begun and are not void."""
    plans = whole(tx, first_of(tx, plan))
    place = [each.id for each in plans].index(plan.id)
    return [each for each in plans[place:] if each.state in OPEN]


def begun(ctx: Context) -> list[PlanRow]:
    """Return the first plans of what was begun and has not ended, oldest first; a plan alone is its own first."""
    with ctx.ledger.begin() as tx:
        plans = tx.plans.in_state(*UNFINISHED, RunState.PLANNED)
        found: dict[str, PlanRow] = {}
        for plan in plans:
            first = first_of(tx, plan)
            if plan.state in UNFINISHED or (first.id != plan.id and has_begun(first)):
                found.setdefault(first.id, first)
    return list(found.values())


def has_begun(plan: PlanRow) -> bool:
    """Tell whether a plan was begun, or has ended."""
    return plan.state in (*UNFINISHED, RunState.DONE, RunState.PARTIAL)


def named_by(plan: PlanRow) -> tuple[str, str]:
    """Return the instance that made a plan, and the plan's id, as its signed statement has them."""
    predicate = _predicate(plan)
    return str(predicate["instance"]), str(predicate["planId"])


def require_first(plan: PlanRow, verb: str) -> None:
    """Raise UsageError for a further plan of a chain: it is approved, rejected and carried out with its first one."""
    name = first_id(plan)
    if name:
        raise UsageError(
            f"plan {plan.id} belongs to a chain of plans", where=verb, remedy=f"name the first one: `{verb} {name}`"
        )


def _further(first: PlanRow) -> Sequence[str]:
    return [str(each) for each in _predicate(first).get("chain", ())]


def _predicate(plan: PlanRow) -> Mapping[str, Any]:
    envelope = Envelope.from_json(json.loads(plan.envelope))
    if envelope.sha256 != plan.sha256:
        raise LedgerError(f"the statement of plan {plan.id} is not the one that was logged", remedy=_CHECK)
    predicate: Mapping[str, Any] = json.loads(envelope.payload)["predicate"]
    return predicate
