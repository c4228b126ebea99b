"""`retentiond receipt list`."""

from __future__ import annotations

from collections.abc import Mapping

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show, table
from retentiond.cli.views import receipt_line
from retentiond.cli.working import working
from retentiond.engine import bundles
from retentiond.engine.retractions import retractions
from retentiond.ports.rows import ReceiptRow, RetractionRow


@click.command("list")
@shared_options
def list_() -> None:
    """List receipts, oldest first."""
    with working() as ctx:
        found, taken = bundles.list_receipts(ctx), retractions(ctx)
    lines = [receipt_line(each, taken.get(each.log_index)) for each in found]
    show({"receipts": lines}, lambda console: _people(console, found, taken))


def _people(console: Console, found: list[ReceiptRow], taken: Mapping[int, RetractionRow]) -> None:
    rows = table("receipt", "kind", "issued", "file", "")
    for each in found:
        said = f"RETRACTED: {taken[each.log_index].reason}" if each.log_index in taken else ""
        rows.add_row(each.id, each.kind, f"{each.issued_at:%Y-%m-%d %H:%M:%S}", each.file, said)
    console.print(rows if found else "no receipts yet")
