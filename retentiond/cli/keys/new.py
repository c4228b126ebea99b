"""`retentiond keys new`."""

from __future__ import annotations

import click

from retentiond.cli.common import shared_options, show
from retentiond.cli.keys.kinds import KIND
from retentiond.cli.working import working
from retentiond.engine import keyverbs


@click.command()
@click.argument("kind", type=KIND)
@shared_options
def new(kind: str) -> None:
    """Make the key that the next rotation takes (issuer, log), or one where there is none (the other kinds)."""
    with working(mending=True) as ctx:
        made = keyverbs.make(ctx, kind)
    document = {"kind": kind, "key_id": made.key, "public_key": made.public or None}
    show(document, lambda console: console.print(f"{kind} key {made.key}\n{made.public}".rstrip()))
