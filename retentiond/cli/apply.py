"""`retentiond apply`."""

from __future__ import annotations

import click

from retentiond.cli.common import shared_options
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.views import plan_reference, session_exit, show_session
from retentiond.cli.working import working
from retentiond.engine.running import apply_plan
from retentiond.errors import Exit


@click.command("apply")
@click.argument("plan")
@shared_options
@by_the_daemon
def apply_(plan: str) -> Exit:
    """Carry out exactly that plan: its id, or the file that `plan -o` wrote. Goes on with one that was begun."""
    with working() as ctx:
        session = apply_plan(ctx, plan_reference(plan))
    show_session(session)
    return session_exit(session)
