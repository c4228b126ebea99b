"""`retentiond receipt hold-notice`."""

from __future__ import annotations

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.views import receipt_line
from retentiond.cli.working import working
from retentiond.engine import noticing


@click.command("hold-notice")
@click.option("--account", "account_id", required=True, help="Whose records are retained.")
@shared_options
@by_the_daemon
def hold_notice(account_id: str) -> None:
    """Tell a customer how many of its records are retained under a legal obligation; no matter, and no date.

    Counted are the records that would have gone but for a hold. Exits 3, and signs nothing, when there are none.
    """
    with working() as ctx:
        receipt, retained = noticing.hold_notice(ctx, account_id)

    def people(console: Console) -> None:
        console.print(f"{retained:,} records of that account are retained")
        console.print(f"receipt {receipt.file}")
        console.print(f"  for the customer: retentiond receipt export {receipt.id} --account {account_id}")

    show(receipt_line(receipt) | {"retained": retained}, people)
