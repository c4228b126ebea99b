"""`retentiond clock`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from retentiond.cli.common import UTC_TIME, shared_options, show, ssh_key_option
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.working import working
from retentiond.engine.clocks import reset_clock
from retentiond.errors import Exit
from retentiond.evidence.canonical import rfc3339


@click.group()
def clock() -> None:
    """See to the clock: nothing is removed while it is doubtful."""


@clock.command()
@click.option(
    "--now",
    "said",
    required=True,
    metavar="TIME",
    type=UTC_TIME,
    help="The time in UTC, read from somewhere else than this machine, such as 2026-11-24T03:10Z.",
)
@ssh_key_option
@shared_options
@by_the_daemon
def reset(said: datetime, ssh_key: Path | None) -> Exit:
    """Say what time it is, after a clock that ran ahead or a machine that was off for long; two people within an hour.

    Exits 4 while another person is missing.
    """
    with working() as ctx:
        done = reset_clock(ctx, said.replace(tzinfo=UTC), ssh_key)
    document = {"time": rfc3339(done.at), "reset": not done.missing, "missing": done.missing}
    words = f"{rfc3339(done.at)} is taken as seen" if not done.missing else f"{done.missing} more needed within an hour"
    show(document, lambda console: console.print(words))
    return Exit.STOPPED if done.missing else Exit.DONE
