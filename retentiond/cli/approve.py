"""`retentiond approve` and `retentiond reject`."""

from __future__ import annotations

from pathlib import Path

import click

from retentiond.cli.common import shared_options, show, ssh_key_option
from retentiond.cli.views import plan_reference
from retentiond.cli.working import working
from retentiond.engine import approvals, recovery
from retentiond.errors import Exit


@click.command()
@click.argument("plan")
@ssh_key_option
@shared_options
def approve(plan: str, ssh_key: Path | None) -> Exit:
    """Approve a plan with an SSH signature, or the list of holds after a recovery. Exits 4 while more are missing."""
    reference = plan_reference(plan)
    with working() as ctx:
        chain: list[str] = []
        if recovery.concerns(ctx, reference):
            recovery.sign_list(ctx, reference, ssh_key)
            missing, then = 0, "run"
        else:
            missing, then = approvals.approve(ctx, reference, ssh_key), "apply"
            chain = approvals.covered(ctx, reference)
    document = {"plan": reference, "approved": not missing, "missing": missing, "chain": chain}
    which = f" with {len(chain)} further plan(s)" if chain else ""
    words = f"approved{which}; " + (f"{missing} more needed" if missing else f"carry it out with `retentiond {then}`")
    show(document, lambda console: console.print(words))
    return Exit.STOPPED if missing else Exit.DONE


@click.command()
@click.argument("plan")
@ssh_key_option
@shared_options
def reject(plan: str, ssh_key: Path | None) -> None:
    """Reject a plan with an SSH signature; it ends void."""
    reference = plan_reference(plan)
    with working() as ctx:
        approvals.reject(ctx, reference, ssh_key)
    show({"plan": reference, "rejected": True}, lambda console: console.print("rejected; the plan is void"))
