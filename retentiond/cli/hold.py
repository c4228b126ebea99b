"""`retentiond hold`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show, ssh_key_option, table
from retentiond.cli.views import hold_document
from retentiond.cli.working import working
from retentiond.domain.hold import Hold, Scope
from retentiond.engine import holds


@click.group()
def hold() -> None:
    """Legal holds: what must not be removed or changed, whatever else is due."""


@hold.command()
@click.option("--matter", required=True, help="The matter that the hold belongs to.")
@click.option("--dataset", default="", help="Only this dataset.")
@click.option("--key", "keys", multiple=True, help="A record's key; needs --dataset; may be given more than once.")
@click.option("--account", "accounts", multiple=True, help="An account; may be given more than once.")
@click.option("--reason", default="", help="Why, for the record.")
@ssh_key_option
@shared_options
def add(
    matter: str, dataset: str, keys: tuple[str, ...], accounts: tuple[str, ...], reason: str, ssh_key: Path | None
) -> None:
    """Place a hold by account, or by keys of a dataset."""
    scope = Scope(dataset, accounts, tuple(key.encode("utf-8", "surrogateescape") for key in keys))
    with working() as ctx:
        placed = holds.add_hold(ctx, scope, matter, reason, ssh_key)
    document = hold_document(placed.hold) | {
        "in_force_since": placed.in_force_since,
        "removed_meanwhile": placed.removed_meanwhile,
        "may_be_gone": list(placed.may_be_gone),
    }
    words = f"hold {placed.hold.id} in force since {placed.in_force_since:%Y-%m-%dT%H:%M:%SZ}; "
    show(document, lambda console: console.print(words + f"removed meanwhile: {placed.removed_meanwhile}"))


@hold.command()
@click.argument("hold_or_matter")
@ssh_key_option
@shared_options
def release(hold_or_matter: str, ssh_key: Path | None) -> None:
    """Release a hold by its id, or all holds of a matter."""
    with working() as ctx:
        released = holds.release_hold(ctx, hold_or_matter, ssh_key)
    document = {"released": [hold_document(each) for each in released]}
    show(document, lambda console: console.print(f"released {len(released)} hold(s)"))


@hold.command("list")
@shared_options
def list_() -> None:
    """List the holds in force."""
    with working() as ctx:
        found = holds.list_holds(ctx)
    show({"holds": [hold_document(each) for each in found]}, lambda console: _people(console, found))


def _people(console: Console, found: list[Hold]) -> None:
    rows = table("hold", "matter", "dataset", "#accounts", "#keys", "since")
    for each in found:
        scope = each.scope
        numbers = (str(len(scope.accounts)), str(len(scope.keys)))
        rows.add_row(each.id, each.matter, scope.dataset or "all", *numbers, f"{each.placed_at:%Y-%m-%d %H:%M}")
    console.print(rows if found else "no holds are in force")
