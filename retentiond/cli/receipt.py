"""`retentiond receipt`."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from retentiond.cli.common import current, shared_options, show, table, working
from retentiond.cli.views import receipt_line
from retentiond.engine import bundles
from retentiond.errors import Exit, UsageError
from retentiond.ports.rows import ReceiptRow
from retentiond.verify import UsageError as VerifyUsage
from retentiond.verify import report, verify_files


@click.group()
def receipt() -> None:
    """Signed receipts: what was removed, bound to evidence, in the log."""


@receipt.command("list")
@shared_options
def list_() -> None:
    """List receipts, oldest first."""
    with working() as ctx:
        found = bundles.list_receipts(ctx)
    show({"receipts": [receipt_line(each) for each in found]}, lambda console: _people(console, found))


@receipt.command("show")
@click.argument("receipt_id")
@shared_options
def show_(receipt_id: str) -> None:
    """Show a receipt's statement and annex."""
    with working() as ctx:
        found = bundles.get_receipt(ctx, receipt_id)
    document = bundles.readable(found)
    show(document, lambda console: console.print_json(json.dumps(document)))


@receipt.command()
@click.option("--all", "directory", type=click.Path(path_type=Path, file_okay=False), help="Write all receipts here.")
@click.option("--account", "account_id", help="What this customer gets: its own part, without the annex.")
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Write one receipt here.")
@click.argument("receipt_id", required=False)
@shared_options
def export(directory: Path | None, account_id: str | None, output: Path | None, receipt_id: str | None) -> None:
    """Write receipts as bundles that verify offline."""
    if (directory is None) == (receipt_id is None):
        raise UsageError(
            "name one receipt, or all of them", remedy="receipt export --all DIR, or receipt export RECEIPT"
        )
    with working() as ctx:
        if receipt_id is not None:
            written = [bundles.export_one(ctx, receipt_id, output, account_id)]
        else:
            written = bundles.export_all(ctx, Path(str(directory)), account_id)
    files = [str(path) for path in written]
    show({"files": files}, lambda console: console.print("\n".join(files) or "no receipts", markup=False))


@receipt.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--key", "keys", multiple=True, required=True, help="The issuer's PEM and the log's vkey, in any order.")
@click.option("--log", "log", help="The published log, a directory or a URL.")
@click.option("--history", help="The issuer's key history.")
@click.option("--witness", "witnesses", multiple=True, help="A witness's vkey; each must have cosigned.")
@shared_options
def verify(
    files: tuple[str, ...], keys: tuple[str, ...], log: str | None, history: str | None, witnesses: tuple[str, ...]
) -> Exit:
    """Verify receipts offline, against keys of your own; needs no configuration."""
    try:
        results = verify_files(files, keys, log=log, history=history, witnesses=witnesses)
    except VerifyUsage as error:
        raise UsageError(error.what, where=error.where or "", remedy=error.remedy or "") from error
    click.echo(report.as_json(results) if current().json else report.as_text(results), nl=False)
    return Exit.DONE if all(verdict.valid for _, verdict in results) else Exit.FAILED


def _people(console: Console, found: list[ReceiptRow]) -> None:
    rows = table("receipt", "kind", "issued", "file")
    for each in found:
        rows.add_row(each.id, each.kind, f"{each.issued_at:%Y-%m-%d %H:%M:%S}", each.file)
    console.print(rows if found else "no receipts yet")
