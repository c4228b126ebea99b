"""`retentiond keys rotate`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show, ssh_key_option
from retentiond.cli.keys.kinds import KIND
from retentiond.cli.keys.showing import SHOWN, key_document
from retentiond.cli.working import working
from retentiond.engine import keyverbs
from retentiond.engine.keyverbs import Rotated


@click.command()
@click.argument("kind", type=KIND)
@click.option("--overlap", metavar="PERIOD", default="7 days", help="How long the key before counts still, or none.")
@click.option("--destroy-old", is_flag=True, help="Remove the files of keys before it that nothing needs any more.")
@ssh_key_option
@shared_options
def rotate(kind: str, overlap: str, ssh_key: Path | None, *, destroy_old: bool) -> None:
    """Have a new key take the place of the one in use, or go on with a rotation that was interrupted.

    issuer, log: it is logged before it signs. wrapping: the ledger is sealed anew. replay: the keys before it stay.
    pseudonym: the same account has another pseudonym from now on.
    """
    with working(mending=True) as ctx:
        found = keyverbs.rotate(ctx, kind, overlap, ssh_key, destroy=destroy_old)
    document = {
        "kind": kind,
        "key_id": found.key,
        "went_on": found.went_on,
        "key": key_document(found.record) if found.record else None,
        "sealed": found.sealed,
        "older": list(found.older),
        "destroyed": list(found.destroyed),
        "journal_records": found.journal,
    }
    show(document, lambda console: _people(console, kind, found))


def _people(console: Console, kind: str, found: Rotated) -> None:
    begun = "the rotation that was interrupted is complete: " if found.went_on else ""
    console.print(f"{begun}{kind} key {found.key[:SHOWN]} is in use")
    if found.record is not None:
        console.print(found.record.key.rstrip())
    if kind == "wrapping":
        console.print(f"sealed anew: {found.sealed}")
    for each in found.older:
        needed = found.journal.get(each, 0)
        why = f"; {needed} records of the journal are sealed under it" if needed else ""
        console.print(f"set aside: {kind}-{each}.key{why}")
    for each in found.destroyed:
        console.print(f"destroyed: {kind}-{each}.key")
