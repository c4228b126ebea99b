"""`retentiond receipt page`."""

from __future__ import annotations

from pathlib import Path

import click

from retentiond.cli.common import shared_options, show
from retentiond.errors import UsageError
from retentiond.verify import UsageError as VerifyUsage
from retentiond.verify import build_page


@click.command()
@click.option(
    "-o", "output", type=click.Path(path_type=Path), default="retentiond-verify.html", help="The file to write."
)
@click.option("--key", "keys", multiple=True, help="Fill in the issuer's PEM and the log's vkey.")
@click.option("--witness", "witnesses", multiple=True, help="Fill in a witness's vkey, which must then have cosigned.")
@shared_options
def page(output: Path, keys: tuple[str, ...], witnesses: tuple[str, ...]) -> None:
    """Write the page that verifies receipts in a browser, offline; needs no configuration."""
    try:
        build_page(str(output), keys, witnesses)
    except VerifyUsage as error:
        raise UsageError(error.what, where=error.where or "", remedy=error.remedy or "") from error
    show({"file": str(output)}, lambda console: console.print(str(output), markup=False))
