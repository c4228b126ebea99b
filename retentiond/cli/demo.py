"""`retentiond demo`."""

from __future__ import annotations

from pathlib import Path

import click

from retentiond.cli.common import console, shared_options
from retentiond.errors import UsageError


@click.command()
@click.option(
    "--dir", "directory", type=click.Path(path_type=Path, file_okay=False), help="Leave everything in this directory."
)
@shared_options
def demo(directory: Path | None) -> None:
    """Tell the whole story on sample data: fill, enforce, close an account, verify the receipt, refuse a forgery."""
    try:
        from retentiond.demo.story import tell  # noqa: PLC0415 - the demo's parts come with the extra [demo]
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the demo needs {error.name}, which is not installed", remedy="pip install 'retentiond[demo]'"
        ) from error
    tell(directory, console())
