"""`retentiond receipt`: one file for each verb."""

from __future__ import annotations

import click

from retentiond.cli.lazy import LazyGroup

_HERE = "retentiond.cli.receipt"


@click.group(
    cls=LazyGroup,
    verbs={
        "list": f"{_HERE}.listing:list_",
        "show": f"{_HERE}.show:show_",
        "export": f"{_HERE}.export:export",
        "disclose": f"{_HERE}.disclose:disclose",
        "verify": f"{_HERE}.verify:verify",
        "page": f"{_HERE}.page:page",
        "retract": f"{_HERE}.retract:retract",
        "attest": f"{_HERE}.attest:attest",
        "hold-notice": f"{_HERE}.hold_notice:hold_notice",
    },
)
def receipt() -> None:
    """Signed receipts: what was removed, bound to evidence, in the log."""
