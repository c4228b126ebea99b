"""`retentiond run`."""

from __future__ import annotations

import click

from retentiond.cli.common import shared_options
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.views import session_exit, show_session
from retentiond.cli.working import working
from retentiond.engine.running import run_all
from retentiond.errors import Exit


@click.command()
@click.option("--policy", "policies", multiple=True, help="Only this policy; may be given more than once.")
@shared_options
@by_the_daemon
def run(policies: tuple[str, ...]) -> Exit:
    """Finish what was begun, advance closures, then plan and carry out what is due, where the guards let it."""
    with working() as ctx:
        session = run_all(ctx, policies)
    show_session(session)
    return session_exit(session)
