"""`retentiond keys revoke`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from retentiond.cli.common import UTC_TIME, shared_options, show, ssh_key_option
from retentiond.cli.keys.showing import SHOWN, key_document
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.working import working
from retentiond.engine import keychange
from retentiond.evidence.canonical import rfc3339


@click.command()
@click.argument("key")
@click.option("--at", metavar="TIME", type=UTC_TIME, required=True, help="When it may have become somebody else's.")
@click.option("--reason", required=True, help="Why; published with the history.")
@ssh_key_option
@shared_options
@by_the_daemon
def revoke(key: str, at: datetime, reason: str, ssh_key: Path | None) -> None:
    """Say that what KEY signed from a time on is worth nothing, and before it only what a witness saw.

    KEY is the first digits of its id, 8 at least, or `issuer` for the one in use. It can't be taken back.
    """
    with working() as ctx:
        found = keychange.revoke(ctx, key, at.replace(tzinfo=UTC), reason, ssh_key)
    since = rfc3339(at.replace(tzinfo=UTC))
    words = f"{found.record.role} key {found.record.keyid[:SHOWN]} is revoked as of {since}"
    show({"key": key_document(found.record)}, lambda console: console.print(words))
