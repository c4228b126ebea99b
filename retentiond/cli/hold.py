"""`retentiond hold`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show, ssh_key_option, table
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.selectors import scope_of
from retentiond.cli.views import hold_document
from retentiond.cli.working import working
from retentiond.domain.condition import fields
from retentiond.domain.hold import Hold
from retentiond.engine import holds


@click.group()
def hold() -> None:
    """Legal holds: what must not be removed or changed, whatever else is due."""


@hold.command()
@click.option("--matter", required=True, help="The matter that the hold belongs to.")
@click.option("--dataset", default="", help="Only this dataset.")
@click.option("--key", "keys", multiple=True, help="A record's key; needs --dataset; may be given more than once.")
@click.option("--account", "accounts", multiple=True, help="An account; may be given more than once.")
@click.option("--where", metavar="EXPR", help="A condition, as in a policy's `when`: {tier: gold}; needs --dataset.")
@click.option("--reason", default="", help="Why, for the record.")
@ssh_key_option
@shared_options
@by_the_daemon
def add(
    matter: str,
    dataset: str,
    keys: tuple[str, ...],
    accounts: tuple[str, ...],
    where: str | None,
    reason: str,
    ssh_key: Path | None,
) -> None:
    """Place a hold by account, by keys of a dataset, or by a condition on it; what a condition can't tell is held."""
    with working() as ctx:
        scope = scope_of(ctx, dataset=dataset, keys=keys, accounts=accounts, where=where)
        placed = holds.add_hold(ctx, scope, matter, reason, ssh_key)
    document = hold_document(placed.hold) | {
        "in_force_since": placed.in_force_since,
        "removed_meanwhile": placed.removed_meanwhile,
        "may_be_gone": [f"{each.plan}/{each.ordinal}" for each in placed.may_be_gone],
        "may_be_gone_records": sum(each.records for each in placed.may_be_gone),
    }
    show(document, lambda console: console.print(f"hold {placed.hold.id} is {placed.text}"))


@hold.command()
@click.argument("hold_or_matter")
@ssh_key_option
@shared_options
@by_the_daemon
def release(hold_or_matter: str, ssh_key: Path | None) -> None:
    """Release a hold by its id, or all holds of a matter."""
    with working() as ctx:
        released = holds.release_hold(ctx, hold_or_matter, ssh_key)
    document = {"released": [hold_document(each) for each in released]}
    show(document, lambda console: console.print(f"released {len(released)} hold(s)"))


@hold.command("list")
@shared_options
@by_the_daemon
def list_() -> None:
    """List the holds in force; one whose release is pending is in force still."""
    with working() as ctx:
        found, pending = holds.list_holds(ctx), holds.pending_releases(ctx)
    document = {"holds": [hold_document(each) | {"release_pending": each.id in pending} for each in found]}
    show(document, lambda console: _people(console, found, pending))


def _people(console: Console, found: list[Hold], pending: frozenset[str]) -> None:
    rows = table("hold", "matter", "dataset", "#accounts", "#keys", "condition", "since", "")
    for each in found:
        scope = each.scope
        numbers = (str(len(scope.accounts)), str(len(scope.keys)))
        condition = ", ".join(sorted(fields(scope.condition))) if scope.condition else ""
        said = "release is pending" if each.id in pending else ""
        since = f"{each.placed_at:%Y-%m-%d %H:%M}"
        rows.add_row(each.id, each.matter, scope.dataset or "all", *numbers, condition, since, said)
    console.print(rows if found else "no holds are in force")
