"""`retentiond undo`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show, ssh_key_option, table
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.selectors import optional_selector_options, scope_of
from retentiond.cli.views import key_text
from retentiond.cli.working import working
from retentiond.engine import undoing
from retentiond.engine.returning import Undone, plain
from retentiond.engine.undoing import Undo, Wanted
from retentiond.errors import Exit

DUE_AGAIN = "change the policy, or place a hold on them, before the next run: else it hides them again"


@click.command()
@optional_selector_options
@click.option("--plan", default="", metavar="ID", help="All that one run hid: the run's id, or its plan's.")
@click.option("--reason", required=True, help="Why; it stands in the journal.")
@ssh_key_option
@shared_options
@by_the_daemon
def undo(plan: str, reason: str, ssh_key: Path | None, **selector: Any) -> Exit:  # noqa: ANN401 - options
    """Bring tombstoned records back while their grace lasts, with the objects that they name.

    Only tombstones that are known as ours; nothing is overwritten. Allowed while everything is paused. Exits 0 when all
    that is selected is there, 5 when some of it is, 1 when none of it is.
    """
    with working() as ctx:
        named = any(selector.values()) or not plan
        wanted = Wanted(scope_of(ctx, **selector) if named else None, plan)
        found = undoing.undo(ctx, wanted, reason, ssh_key)
    show(_document(found, reason), lambda console: _people(console, found))
    if found.complete:
        return Exit.DONE
    return Exit.PARTLY if found.brought_any else Exit.FAILED


def _document(found: Undo, reason: str) -> dict[str, Any]:
    return {
        "undo": found.id,
        "request": {"by": found.signed.principal, "reason": reason},
        "datasets": [
            {"dataset": name, "outcomes": {each.value: counts.get(each.value, 0) for each in Undone}}
            for name, counts in plain(found.tally.counts).items()
        ],
        "records": [
            {
                "dataset": each.dataset,
                "key": key_text(each.key),
                "version": each.version.decode(errors="backslashreplace"),
                "outcome": each.outcome,
                "reason": each.reason,
            }
            for each in found.tally.told
        ],
        "forgotten": [{"dataset": name, "records": count} for name, count in found.forgotten.items()],
        "due_again": found.tally.due_again,
    }


def _people(console: Console, found: Undo) -> None:
    ever = [each for each in Undone if found.tally.total[each]]
    rows = table("dataset", *(f"#{each}" for each in ever))
    for name, counts in found.tally.counts.items():
        rows.add_row(name, *(f"{counts[each]:,}" for each in ever))
    console.print(rows if ever else "nothing that is hidden is selected")
    for each in found.tally.told:
        why = f": {each.reason}" if each.reason else ""
        console.print(f"  {each.dataset} {key_text(each.key)}: {each.outcome}{why}")
    for name, count in found.forgotten.items():
        console.print(f"! of {count:,} records of {name} that were hidden nobody can tell any more which they are")
    if found.tally.due_again:
        console.print(f"! {found.tally.due_again:,} of these are due again by policy")
        console.print(f"  what to do: {DUE_AGAIN}")
