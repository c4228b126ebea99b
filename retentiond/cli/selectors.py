"""What names records of one dataset: SELECTOR, as several verbs take it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import click

from retentiond.cli.common import F
from retentiond.domain.hold import Scope
from retentiond.engine.context import Context
from retentiond.settings import read_where


def selector_options(function: F) -> F:
    """Add what names records of one dataset: by key, by account, or by a condition."""
    return _with_options(function, click.option("--dataset", required=True, help="The dataset."))


def optional_selector_options(function: F) -> F:
    """Add the same, for a verb that takes something else, too."""
    return _with_options(function, click.option("--dataset", default="", help="The dataset."))


def _with_options(function: F, dataset: Callable[[F], F]) -> F:
    options = (
        dataset,
        click.option("--key", "keys", multiple=True, help="A record's key; may be given more than once."),
        click.option("--account", "accounts", multiple=True, help="An account; may be given more than once."),
        click.option("--where", metavar="EXPR", help="A condition, as in a policy's `when`: {tier: gold}."),
    )
    return functools.reduce(lambda made, option: option(made), reversed(options), function)


def scope_of(
    ctx: Context, *, dataset: str, keys: tuple[str, ...], accounts: tuple[str, ...], where: str | None
) -> Scope:
    """Return what the options of a selector name."""
    condition = None if where is None else read_where(where, dataset, ctx.datamap)
    return Scope(dataset, accounts, tuple(key.encode("utf-8", "surrogateescape") for key in keys), condition)
