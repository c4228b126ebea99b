"""`retentiond purge`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show, ssh_key_option, table
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.selectors import scope_of, selector_options
from retentiond.cli.views import estimate_lines, forecasts_table, key_text, plan_document, write_plan_file
from retentiond.cli.working import working
from retentiond.engine.purging import Asked, ask_purge
from retentiond.errors import Exit


@click.command()
@selector_options
@click.option("--reason", required=True, help="Why; the receipt says so to auditors.")
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Write the plan as JSON.")
@ssh_key_option
@shared_options
@by_the_daemon
def purge(reason: str, output: Path | None, ssh_key: Path | None, **selector: Any) -> Exit:  # noqa: ANN401 - options
    """Ask, with a signature, for records of a dataset to be removed; somebody else approves the plan, then apply it.

    Removes nothing by itself. Holds win; what is younger than the floor stays, and what can't be told.
    Exits 4 while approval is missing, 0 when nothing is selected.
    """
    with working() as ctx:
        asked = ask_purge(ctx, scope_of(ctx, **selector), reason, ssh_key)
    document = plan_document(asked.planned) | {
        "request": {"by": asked.manual.signed.principal, "reason": reason},
        "sample": [
            {"dataset": each.dataset, "records": each.records, "keys": [key_text(key) for key in each.keys]}
            for each in asked.samples
        ],
        "missing_keys": [key_text(key) for key in asked.missing],
    }
    if output is not None:
        write_plan_file(output, document)
    show(document, lambda console: _people(console, asked))
    return Exit.STOPPED if asked.planned.plan else Exit.DONE


def _people(console: Console, asked: Asked) -> None:
    planned = asked.planned
    console.print(forecasts_table(planned.forecasts))
    for key in asked.missing:
        console.print(f"! no record has the key {key_text(key)}")
    if planned.plan is None:
        console.print("nothing is selected that may go: there is no plan to carry out")
        return
    rows = table("what would go", "#records", "some of the keys")
    for each in asked.samples:
        rows.add_row(each.dataset, f"{each.records:,}", ", ".join(key_text(key) for key in each.keys))
    console.print(rows)
    console.print(f"plan {planned.plan.id}")
    console.print(f"  sha256  {planned.plan.sha256}")
    for line in estimate_lines(planned.estimate) if planned.estimate else ():
        console.print(f"  {line}")
    for reason in planned.reasons:
        console.print(f"  {reason}")
    console.print(f"  expires {planned.plan.expires_at:%Y-%m-%d %H:%M} UTC")
    console.print(f"  next    somebody else: retentiond approve {planned.plan.id}")
