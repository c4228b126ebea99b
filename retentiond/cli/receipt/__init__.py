"""`retentiond receipt`: one file for each verb."""

from __future__ import annotations

import click

from retentiond.cli.lazy import LazyGroup

_HERE = "retentiond.cli.receipt"


@click.group(
    cls=LazyGroup,
    verbs={
        "list": f"{_HERE}.listing:list_",
        "show": f"{_HERE}.listing:show_",
        "export": f"{_HERE}.export:export",
        "verify": f"{_HERE}.verify:verify",
        "page": f"{_HERE}.page:page",
    },
)
def receipt() -> None:
    """Signed receipts: what was removed, bound to evidence, in the log."""
