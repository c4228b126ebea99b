"""`retentiond approve` and `retentiond reject`."""

from __future__ import annotations

from pathlib import Path

import click

from retentiond.cli.common import shared_options, show, ssh_key_option
from retentiond.cli.views import plan_reference
from retentiond.cli.working import working
from retentiond.engine import approvals
from retentiond.errors import Exit


@click.command()
@click.argument("plan")
@ssh_key_option
@shared_options
def approve(plan: str, ssh_key: Path | None) -> Exit:
    """Approve a plan with an SSH signature. Exits 4 while more approvals are missing."""
    reference = plan_reference(plan)
    with working() as ctx:
        missing = approvals.approve(ctx, reference, ssh_key)
        chain = approvals.covered(ctx, reference)
    document = {"plan": reference, "approved": not missing, "missing": missing, "chain": chain}
    which = f" with {len(chain)} further plan(s)" if chain else ""
    words = f"approved{which}; " + (f"{missing} more needed" if missing else "carry it out with `retentiond apply`")
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
