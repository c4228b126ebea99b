"""What a manual purge was asked for: kept with its plan, sealed, and looked at whenever the plan is."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime

from retentiond.domain.decision import Cases, manual_cases
from retentiond.domain.hold import Scope
from retentiond.domain.plan import Part, Trigger
from retentiond.domain.record import Key
from retentiond.domain.scopes import read_scope, write_scope
from retentiond.engine.context import Context
from retentiond.engine.signing import Signed, check_request
from retentiond.errors import LedgerError
from retentiond.evidence.canonical import Json, canonical_json, rfc3339
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import PlanRow

VERB = "purge"


@dataclass(frozen=True, slots=True)
class Manual:
    """A purge that somebody asked for, with a signature.

    Attributes:
        scope: The records of one dataset: by account, by key, or by a condition.
        at: When it was signed.
        as_of: For a replay: the reference time of the purge that is done again; None for the plan's own.
        cutoff: For a replay: that less the floor of then, as the parts of its plan have it.
        exact: For a replay: the keys as the store has them; what is kept with a plan does not say them.
    """

    scope: Scope
    reason: str
    signed: Signed
    at: datetime
    as_of: datetime | None = None
    cutoff: datetime | None = None
    exact: frozenset[Key] = frozenset()

    def arguments(self) -> dict[str, Json]:
        """Return what the request signs."""
        return arguments(self.scope, self.reason)

    def to_json(self) -> dict[str, Json]:
        """Return the request as journal and ledger keep it, sealed."""
        return {
            "kind": VERB,
            "reason": self.reason,
            "scope": write_scope(self.scope),
            "askedAt": rfc3339(self.at),
            **({"asOf": rfc3339(self.as_of)} if self.as_of else {}),
            **self.signed.to_json(),
        }


def arguments(scope: Scope, reason: str) -> dict[str, Json]:
    """Return the arguments of a request to purge."""
    return {"verb": VERB, "reason": reason, "scope": write_scope(scope)}


def remember(ctx: Context, tx: Transaction, plan: str, asked: Manual) -> None:
    """Keep a request with a plan that was made for it."""
    sealed = ctx.wrapping.seal(canonical_json(asked.to_json()), _context(plan))
    tx.facts.set(_fact(plan), base64.b64encode(sealed).decode("ascii"))


def manual_of(ctx: Context, tx: Transaction, plan: PlanRow) -> Manual | None:
    """Return what a plan was asked for; None where nobody asked for it.

    Raises:
        LedgerError: It is a manual purge, and its request is not there.
    """
    return _request_of(ctx, tx, plan) if plan.trigger is Trigger.MANUAL else None


def _request_of(ctx: Context, tx: Transaction, plan: PlanRow) -> Manual:
    kept = tx.facts.get(_fact(plan.id))
    if not kept:
        raise LedgerError(
            f"the request of the manual purge {plan.id} is not in the ledger",
            remedy="nothing is removed by it; run `retentiond ledger check`",
        )
    written = json.loads(ctx.wrapping.open(base64.b64decode(kept), _context(plan.id)))
    return Manual(
        scope=read_scope(written["scope"]),
        reason=written["reason"],
        signed=Signed(written["by"], written["signature"], written["nonce"], written["notAfter"]),
        at=datetime.fromisoformat(written["askedAt"]),
        as_of=datetime.fromisoformat(written["asOf"]) if "asOf" in written else None,
    )


def forget_request(tx: Transaction, plan: str) -> None:
    """Destroy the request of a plan that has ended."""
    tx.facts.set(_fact(plan), "")


def asked_by(ctx: Context, tx: Transaction, plan: PlanRow) -> str:
    """Return who asked for a plan, and so can't approve it; empty where nobody did."""
    found = manual_of(ctx, tx, plan)
    return found.signed.principal if found else ""


def check_asked(ctx: Context, plan: PlanRow) -> None:
    """Check the request of a manual purge again, as of the time it was made.

    Raises:
        ApprovalError: It does not verify.
        LedgerError: It is not there.
    """
    with ctx.ledger.begin() as tx:
        found = manual_of(ctx, tx, plan)
    if found is not None:
        check_request(ctx, VERB, found.arguments(), found.signed, found.at)


def cases_of_request(ctx: Context, plan: PlanRow, part: Part) -> Cases:
    """Return the cases of a part of a manual purge: what it selects, and the floor of the policy it is bound to.

    A replay has the floor that the purge was made with: it is of exactly what that removed.
    """
    with ctx.ledger.begin() as tx:
        found = _request_of(ctx, tx, plan)
    as_of = found.as_of or plan.reference_time
    cutoff = part.cutoff if found.as_of else ctx.policies.policies[part.policy].floor.before(as_of)
    return manual_cases(found.scope.selects, ctx.datamap.datasets[part.dataset], as_of, cutoff)


def _fact(plan: str) -> str:
    return f"purge:{plan}"


def _context(plan: str) -> bytes:
    return f"purge/{plan}".encode()
