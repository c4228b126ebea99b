"""`retentiond pause`, `retentiond resume` and `retentiond cancel`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show, ssh_key_option
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.working import working
from retentiond.engine import pausing
from retentiond.engine.pausing import Cancelled
from retentiond.evidence.canonical import rfc3339


@click.command()
@click.option("--reason", default="", help="Why, for the record.")
@shared_options
@by_the_daemon
def pause(reason: str) -> None:
    """Stop everything at once, also a run that is under way, until somebody resumes with a signature."""
    with working() as ctx:
        found = pausing.pause(ctx, reason)
    document = {"paused": True, "since": rfc3339(found.at), "reason": found.reason}
    show(document, lambda console: console.print(f"everything is paused since {rfc3339(found.at)}"))


@click.command()
@ssh_key_option
@shared_options
@by_the_daemon
def resume(ssh_key: Path | None) -> None:
    """Let everything go on after a pause; counts once its entry is in the log."""
    with working() as ctx:
        pausing.resume(ctx, ssh_key)
    show({"paused": False}, lambda console: console.print("nothing is paused; `retentiond run` goes on"))


@click.command()
@click.argument("run")
@ssh_key_option
@shared_options
@by_the_daemon
def cancel(run: str, ssh_key: Path | None) -> None:
    """End a run, or a plan that was not begun: what was done gets its receipt, the rest is left as it is."""
    with working() as ctx:
        found = pausing.cancel(ctx, run, ssh_key)
    carried = found.carried
    document = {
        "plan": found.plan.id,
        "run": carried.run.id if carried else None,
        "state": carried.run.state if carried else ("running" if found.begun else "cancelled"),
        "receipt": carried.receipt.id if carried else None,
    }
    show(document, lambda console: _people(console, found))


def _people(console: Console, found: Cancelled) -> None:
    if found.carried is not None:
        console.print(f"run {found.carried.run.id} has ended: {found.carried.run.state}")
        console.print(f"receipt {found.carried.receipt.file}")
    elif found.begun:
        console.print("cancelled; the process that carries it out ends it before its next batch")
    else:
        console.print("cancelled; the plan is void")
