"""`retentiond keys`: one file for each verb."""

from __future__ import annotations

import click

from retentiond.cli.lazy import LazyGroup

_HERE = "retentiond.cli.keys"


@click.group(
    cls=LazyGroup,
    verbs={
        "new": f"{_HERE}.new:new",
        "rotate": f"{_HERE}.rotate:rotate",
        "publish": f"{_HERE}.publish:publish",
        "revoke": f"{_HERE}.revoke:revoke",
    },
)
def keys() -> None:
    """Look after the keys: those that sign receipts and log, and those that seal and remember."""
