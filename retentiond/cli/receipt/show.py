"""`retentiond receipt show`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show
from retentiond.cli.working import working
from retentiond.engine import showing
from retentiond.errors import ReceiptError, UsageError
from retentiond.evidence.plain import Shown, in_words
from retentiond.verify import documents
from retentiond.verify.errors import FailedStepError
from retentiond.verify.strictjson import MAX_BYTES


@click.command("show")
@click.argument("receipt", metavar="RECEIPT|FILE")
@shared_options
def show_(receipt: str) -> None:
    """Say in plain words what a receipt says: one of this instance, or a file that somebody was given.

    A file needs no configuration. Whether it is true and unaltered is for `receipt verify`.
    """
    path = Path(receipt)
    if path.is_file():
        shown, document = _of_file(path)
    else:
        with working() as ctx:
            shown, document = showing.shown(ctx, receipt)
    show(document, lambda console: _people(console, shown))


def _of_file(path: Path) -> tuple[Shown, dict[str, Any]]:
    try:
        with path.open("rb") as file:
            found = documents.read_receipt(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", remedy="name a receipt or a bundle") from error
    except FailedStepError as error:
        raise ReceiptError(f"{path} is no bundle of a receipt: {error}", remedy="ask for the file again") from error
    return showing.of_bundle(found.bundle, found.statement, found.annex, found.leaf)


def _people(console: Console, shown: Shown) -> None:
    for section in in_words(shown):
        console.print(section.title, style="bold")
        for line in section.lines:
            console.print(f"  {line}")
