"""`retentiond receipt list` and `retentiond receipt show`."""

from __future__ import annotations

import json

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show, table
from retentiond.cli.views import receipt_line
from retentiond.cli.working import working
from retentiond.engine import bundles
from retentiond.ports.rows import ReceiptRow


@click.command("list")
@shared_options
def list_() -> None:
    """List receipts, oldest first."""
    with working() as ctx:
        found = bundles.list_receipts(ctx)
    show({"receipts": [receipt_line(each) for each in found]}, lambda console: _people(console, found))


@click.command("show")
@click.argument("receipt_id")
@shared_options
def show_(receipt_id: str) -> None:
    """Show a receipt's statement and annex."""
    with working() as ctx:
        found = bundles.get_receipt(ctx, receipt_id)
    document = bundles.readable(found)
    show(document, lambda console: console.print_json(json.dumps(document)))


def _people(console: Console, found: list[ReceiptRow]) -> None:
    rows = table("receipt", "kind", "issued", "file")
    for each in found:
        rows.add_row(each.id, each.kind, f"{each.issued_at:%Y-%m-%d %H:%M:%S}", each.file)
    console.print(rows if found else "no receipts yet")
