"""`retentiond keys publish`."""

from __future__ import annotations

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show
from retentiond.cli.keys.showing import key_document, key_table
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.working import working
from retentiond.engine import keychange


@click.command()
@shared_options
@by_the_daemon
def publish() -> None:
    """Publish the public keys and their history beside the log, where they are not there already; list them."""
    with working() as ctx:
        entries = keychange.publish(ctx)
        records = ctx.keys.records()
    document = {"entries": entries, "keys": [key_document(each) for each in records]}

    def people(console: Console) -> None:
        key_table(console, records)

    show(document, people)
