"""`retentiond init`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from retentiond.bootstrap import Names, initialise
from retentiond.cli.common import current, shared_options, show


@click.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--instance", help="Names this instance in receipts and signatures.")
@click.option("--issuer-id", help="A URI that says who answers for the receipts.")
@click.option("--origin", help="The log's name, such as logs.example.com/api; part of the log's key, so for good.")
@click.option(
    "--ledger-dsn-env",
    metavar="NAME",
    help="Keep the ledger in PostgreSQL: the environment variable that holds its DSN. Else in a file.",
)
@click.option(
    "--state",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where log, keys, receipts, journal and a ledger in a file go (default: beside the configuration).",
)
@shared_options
def init(
    directory: Path | None,
    instance: str | None,
    issuer_id: str | None,
    origin: str | None,
    ledger_dsn_env: str | None,
    state: Path | None,
) -> None:
    """Write a commented configuration, keys and an empty ledger to DIRECTORY (default: the config directory)."""
    target = directory or current().directory
    names = Names(instance, issuer_id, origin, ledger_dsn_env)
    place = str(state.absolute()) if state else "."
    written = initialise(target, state=place, names=names, environ=os.environ)
    words = "\n".join((*written, "next: describe your data in datamap.yaml and policies.yaml, then `retentiond check`"))
    show({"directory": str(target), "files": written}, lambda console: console.print(words, markup=False))
