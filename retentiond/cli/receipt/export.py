"""`retentiond receipt export`."""

from __future__ import annotations

from pathlib import Path

import click

from retentiond.cli.common import shared_options, show
from retentiond.cli.working import working
from retentiond.engine import bundles
from retentiond.errors import UsageError


@click.command()
@click.option("--all", "directory", type=click.Path(path_type=Path, file_okay=False), help="Write all receipts here.")
@click.option("--account", "account_id", help="What this customer gets: its own part, without the annex.")
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Write one receipt here.")
@click.option("--retracted", is_flag=True, help="Also what was retracted, which is left out else.")
@click.argument("receipt_id", required=False)
@shared_options
def export(
    directory: Path | None, account_id: str | None, output: Path | None, receipt_id: str | None, *, retracted: bool
) -> None:
    """Write receipts as bundles that verify offline."""
    if (directory is None) == (receipt_id is None):
        raise UsageError(
            "name one receipt, or all of them", remedy="receipt export --all DIR, or receipt export RECEIPT"
        )
    with working() as ctx:
        if receipt_id is not None:
            written = [bundles.export_one(ctx, receipt_id, output, account_id, retracted=retracted)]
        else:
            written = bundles.export_all(ctx, Path(str(directory)), account_id, retracted=retracted)
    files = [str(path) for path in written]
    show({"files": files}, lambda console: console.print("\n".join(files) or "no receipts", markup=False))
