"""`retentiond approve` and `retentiond reject`."""

from __future__ import annotations

from pathlib import Path

import click

from retentiond.cli.common import shared_options, show, ssh_key_option
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.views import consent_reference
from retentiond.cli.working import working
from retentiond.engine import consenting
from retentiond.errors import Exit


@click.command()
@click.argument("plan")
@ssh_key_option
@shared_options
@by_the_daemon
def approve(plan: str, ssh_key: Path | None) -> Exit:
    """Approve a plan with an SSH signature, or the list of holds after a recovery, or the changed approvers file.

    Exits 4 while more people are missing.
    """
    reference = consent_reference(plan)
    with working() as ctx:
        given = consenting.approve(ctx, reference, ssh_key)
    document = {"plan": reference, "approved": not given.missing, "missing": given.missing, "chain": list(given.chain)}
    which = f" with {len(given.chain)} further plan(s)" if given.chain else ""
    words = f"approved{which}; " + (f"{given.missing} more needed" if given.missing else given.then)
    show(document, lambda console: console.print(words))
    return Exit.STOPPED if given.missing else Exit.DONE


@click.command()
@click.argument("plan")
@ssh_key_option
@shared_options
@by_the_daemon
def reject(plan: str, ssh_key: Path | None) -> None:
    """Reject a plan with an SSH signature, and it ends void; or the changed approvers file."""
    reference = consent_reference(plan)
    with working() as ctx:
        words = consenting.reject(ctx, reference, ssh_key)
    show({"plan": reference, "rejected": True}, lambda console: console.print(words))
