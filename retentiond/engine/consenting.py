"""What people say yes or no to: plans, the list of holds after a recovery, a changed approvers file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retentiond.engine import approvals, approvers, recovery
from retentiond.engine.context import Context


@dataclass(frozen=True, slots=True)
class Consent:
    """What came of a yes.

    Attributes:
        missing: How many more people must say so.
        then: What to do once nobody is missing, in words.
        chain: The further plans that are approved with it.
    """

    missing: int
    then: str
    chain: Sequence[str] = ()


def approve(ctx: Context, reference: str, key_file: Path | None) -> Consent:
    """Say yes, with a signature.

    Raises:
        ApprovalError: It waits for nobody, or the key is nobody's.
    """
    if recovery.concerns(ctx, reference):
        recovery.sign_list(ctx, reference, key_file)
        return Consent(0, "carry it out with `retentiond run`")
    if approvers.concerns(ctx, reference):
        return Consent(approvers.sign_file(ctx, key_file, approve=True), "the approvers file is in force")
    missing = approvals.approve(ctx, reference, key_file)
    return Consent(missing, "carry it out with `retentiond apply`", approvals.covered(ctx, reference))


def reject(ctx: Context, reference: str, key_file: Path | None) -> str:
    """Say no, with a signature; return what came of it, in words."""
    if approvers.concerns(ctx, reference):
        approvers.sign_file(ctx, key_file, approve=False)
        return "rejected; who signed the approvers file has to do so again"
    approvals.reject(ctx, reference, key_file)
    return "rejected; the plan is void"
