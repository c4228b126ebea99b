"""`retentiond receipt retract`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show, ssh_key_option
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.working import working
from retentiond.engine import retracting
from retentiond.engine.retracting import Retracted


@click.command()
@click.argument("receipt_id", metavar="RECEIPT")
@click.option("--reason", metavar="WORD", required=True, help="Why, in a word that everybody may read: wrong-policy.")
@ssh_key_option
@shared_options
@by_the_daemon
def retract(receipt_id: str, reason: str, ssh_key: Path | None) -> None:
    """Take a wrong receipt back, with a signature: from then on the log says so, and verifiers refuse it.

    Closures and attestations that were built on it are taken back with it.
    """
    with working() as ctx:
        found = retracting.retract(ctx, receipt_id, reason, ssh_key)
    document = {
        "receipt": found.receipt.id,
        "reason": found.reason,
        "retracted_at": found.at,
        "built_on_it": [{"receipt": each.id, "kind": each.kind} for each in found.built_on_it],
    }
    show(document, lambda console: _people(console, found))


def _people(console: Console, found: Retracted) -> None:
    console.print(f"receipt {found.receipt.id} ({found.receipt.kind}) is retracted: {found.reason}")
    for each in found.built_on_it:
        console.print(f"  and with it {each.id} ({each.kind}), which was built on it")
    console.print("whoever got it sees that with `receipt verify --log`; tell them")
