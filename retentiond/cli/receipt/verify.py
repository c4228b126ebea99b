"""`retentiond receipt verify`."""

from __future__ import annotations

import click

from retentiond.cli.common import current, shared_options
from retentiond.errors import Exit, UsageError
from retentiond.verify import UsageError as VerifyUsage
from retentiond.verify import report, verify_files


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    help="The issuer's PEM and the log's vkey; older ones, too.",
)
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
