"""`retentiond receipt disclose`."""

from __future__ import annotations

from pathlib import Path

import click

from retentiond.cli.common import shared_options, show
from retentiond.cli.working import working
from retentiond.engine.disclosing import Named
from retentiond.engine.disclosing import disclose as disclose_records


@click.command()
@click.argument("receipt_id", metavar="RECEIPT")
@click.option("--dataset", required=True, help="The record's dataset.")
@click.option("--key", "keys", multiple=True, required=True, help="A record's key; more than once for one account's.")
@click.option("--version", default="", help="Of an object: its version in the bucket.")
@click.option("--account", "account_id", help="Show whose it is, too; else nobody learns that.")
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Default: RECEIPT.disclosure.json")
@shared_options
def disclose(
    receipt_id: str, dataset: str, keys: tuple[str, ...], version: str, account_id: str | None, output: Path | None
) -> None:
    """Write a bundle that proves that a receipt is about one named record, and shows no other.

    It holds the counts of the record's account, which stays unnamed unless --account is given. Possible as long as the
    receipt's key is kept (`commitments.keep`).
    """
    with working() as ctx:
        written = disclose_records(ctx, receipt_id, Named(dataset, keys, version, account_id), output)
    show({"files": [str(written)]}, lambda console: console.print(str(written)))
