"""`retentiond init`."""

from __future__ import annotations

from pathlib import Path

import click

from retentiond.bootstrap import initialise
from retentiond.cli.common import current, shared_options, show


@click.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False))
@shared_options
def init(directory: Path | None) -> None:
    """Write a commented configuration, keys and an empty ledger to DIRECTORY (default: the config directory)."""
    target = directory or current().directory
    written = [str(path) for path in initialise(target)]
    words = "\n".join((*written, "next: describe your data in datamap.yaml and policies.yaml, then `retentiond check`"))
    show({"directory": str(target), "files": written}, lambda console: console.print(words, markup=False))
