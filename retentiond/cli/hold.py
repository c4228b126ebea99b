"""`retentiond hold`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show, ssh_key_option, table
from retentiond.cli.holding import custodies_of, matter_document, matter_words, read_text
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.views import hold_document, write_plan_file
from retentiond.cli.working import working
from retentiond.domain.condition import fields
from retentiond.domain.hold import Hold
from retentiond.engine import holds, matters
from retentiond.errors import Exit
from retentiond.evidence.canonical import optional_rfc3339

DATE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ"])
_part_options = (
    click.option("--custodian", default="", help="Only what was placed for this custodian."),
    click.option("--dataset", default="", help="Only what was placed on this dataset."),
)


@click.group()
def hold() -> None:
    """Legal holds: what must not be removed or changed, whatever else is due."""


@hold.command()
@click.option("--matter", required=True, help="The matter that the hold belongs to.")
@click.option("--custodian", "custodians", multiple=True, help="Whose data it is; alone, the account of that name.")
@click.option("--dataset", "datasets", multiple=True, help="Only this dataset; may be given more than once.")
@click.option("--key", "keys", multiple=True, help="A record's key; needs --dataset; may be given more than once.")
@click.option("--account", "accounts", multiple=True, help="An account; may be given more than once.")
@click.option("--where", metavar="EXPR", help="A condition, as in a policy's `when`: {tier: gold}; needs --dataset.")
@click.option("--file", "file", type=read_text, help="Custodians of the matter, with what is held of each, as YAML.")
@click.option("--review", metavar="DATE", type=DATE, help="When somebody is to look whether it is needed still.")
@click.option("--reason", default="", help="Why, for the record.")
@ssh_key_option
@shared_options
@by_the_daemon
def add(matter: str, reason: str, review: datetime | None, ssh_key: Path | None, **named: Any) -> None:  # noqa: ANN401 - what is held
    """Place a hold by account, by keys of a dataset, or by a condition on it; what a condition can't tell is held.

    Each custodian and each dataset that is named gets a hold of its own, so that it can be released on its own.
    """
    with working() as ctx:
        placed = holds.add_hold(ctx, custodies_of(ctx, **named), matter, reason, ssh_key, _utc(review))
    document = hold_document(placed.hold) | {
        "holds": [hold_document(each) for each in placed.holds],
        "in_force_since": placed.in_force_since,
        "removed_meanwhile": placed.removed_meanwhile,
        "may_be_gone": [f"{each.plan}/{each.ordinal}" for each in placed.may_be_gone],
        "may_be_gone_records": sum(each.records for each in placed.may_be_gone),
    }

    def people(console: Console) -> None:
        for each in placed.holds[1:]:
            console.print(f"hold {each.id}: {each.custodian or '-'}, dataset {each.scope.dataset or 'all'}")
        console.print(f"hold {placed.hold.id} is {placed.text}")

    show(document, people)


@hold.command()
@click.argument("hold_or_matter")
@_part_options[0]
@_part_options[1]
@ssh_key_option
@shared_options
@by_the_daemon
def release(hold_or_matter: str, custodian: str, dataset: str, ssh_key: Path | None) -> None:
    """Release a hold by its id, or all holds of a matter, or those of one custodian or dataset.

    What another hold names, too, stays until that lets go.
    """
    with working() as ctx:
        released = holds.release_hold(ctx, holds.Part(hold_or_matter, custodian, dataset), ssh_key)
    document = {"released": [hold_document(each) for each in released]}
    show(document, lambda console: console.print(f"released {len(released)} hold(s)"))


@hold.command()
@click.argument("hold_or_matter")
@_part_options[0]
@_part_options[1]
@click.option("--until", metavar="DATE", type=DATE, required=True, help="When somebody is to look again.")
@click.option("--reason", required=True, help="Why it is needed still.")
@ssh_key_option
@shared_options
@by_the_daemon
def review(
    hold_or_matter: str, custodian: str, dataset: str, until: datetime, reason: str, ssh_key: Path | None
) -> None:
    """Say that holds are needed still, and when to look again. What they hold does not change."""
    with working() as ctx:
        part = holds.Part(hold_or_matter, custodian, dataset)
        reviewed = holds.review_hold(ctx, part, _utc(until), reason, ssh_key)
    document = {"reviewed": [each.id for each in reviewed], "review_at": _utc(until)}
    show(document, lambda console: console.print(f"{len(reviewed)} hold(s), to be reviewed {until:%Y-%m-%d}"))


@hold.command("list")
@shared_options
@by_the_daemon
def list_() -> None:
    """List the holds in force; one whose release is pending is in force still."""
    with working() as ctx:
        found, pending = holds.list_holds(ctx), holds.pending_releases(ctx)
    document = {"holds": [hold_document(each) | {"release_pending": each.id in pending} for each in found]}
    show(document, lambda console: _people(console, found, pending))


@hold.command("show")
@click.argument("hold_or_matter")
@shared_options
@by_the_daemon
def show_(hold_or_matter: str) -> None:
    """Tell of a matter, or of one hold: custodians, what is held, and every change with its entry in the log."""
    with working() as ctx:
        found = matters.report(ctx, hold_or_matter, count=False)
    show(matter_document(found), lambda console: matter_words(console, found))


@hold.command("report")
@click.argument("hold_or_matter")
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as JSON.")
@shared_options
@by_the_daemon
def report(hold_or_matter: str, output: Path | None) -> Exit:
    """Tell the same, with how many records it holds now: each dataset that it names is read once.

    Exits 3 when a dataset could not be read.
    """
    with working() as ctx:
        found = matters.report(ctx, hold_or_matter, count=True)
    document = matter_document(found)
    if output is not None:
        write_plan_file(output, document)
    show(document, lambda console: matter_words(console, found))
    return Exit.FINDINGS if found.not_looked_at else Exit.DONE


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _people(console: Console, found: list[Hold], pending: frozenset[str]) -> None:
    rows = table("hold", "matter", "custodian", "dataset", "#accounts", "#keys", "condition", "since", "review", "")
    for each in found:
        scope = each.scope
        numbers = (str(len(scope.accounts)), str(len(scope.keys)))
        condition = ", ".join(sorted(fields(scope.condition))) if scope.condition else ""
        said = "release is pending" if each.id in pending else ""
        times = (f"{each.placed_at:%Y-%m-%d %H:%M}", optional_rfc3339(each.review_at) or "-")
        rows.add_row(
            each.id, each.matter, each.custodian or "-", scope.dataset or "all", *numbers, condition, *times, said
        )
    console.print(rows if found else "no holds are in force")
