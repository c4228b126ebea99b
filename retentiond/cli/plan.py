"""`retentiond plan`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show
from retentiond.cli.views import estimate_lines, forecasts_table, plan_document, write_plan_file
from retentiond.cli.working import working
from retentiond.engine.planning import Planned, Request, make_plan
from retentiond.errors import Exit


@click.command()
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Write the plan as JSON.")
@click.option("--policy", "policies", multiple=True, help="Only this policy; may be given more than once.")
@shared_options
def plan(output: Path | None, policies: tuple[str, ...]) -> Exit:
    """Say what would go, and what is kept or held and why. Deletes nothing.

    Exits 4 when the plan needs approval, 5 when a dataset had to be left out.
    """
    with working() as ctx:
        planned = make_plan(ctx, Request(policies=policies))
    document = plan_document(planned)
    if output is not None:
        write_plan_file(output, document)
    show(document, lambda console: _people(console, planned))
    needs = planned.plan is not None and planned.plan.approvals_needed > 0
    if needs:
        return Exit.STOPPED
    return Exit.PARTLY if planned.failures else Exit.DONE


def _people(console: Console, planned: Planned) -> None:
    console.print(forecasts_table(planned.forecasts))
    for reason in planned.reasons:
        console.print(f"! {reason}", markup=False)
    if planned.plan is None:
        rest = " in the datasets that could be planned" if planned.failures else ""
        console.print(f"nothing is due{rest}: there is no plan to carry out")
        return
    console.print(f"plan {planned.plan.id}")
    console.print(f"  sha256  {planned.plan.sha256}")
    for line in estimate_lines(planned.estimate) if planned.estimate else ():
        console.print(f"  {line}")
    for each in planned.chain:
        console.print(f"  and then {each.id}: {each.records:,} records; approved and applied with the first")
    console.print(f"  expires {planned.plan.expires_at:%Y-%m-%d %H:%M} UTC")
    verb = "approve" if planned.plan.approvals_needed else "apply"
    console.print(f"  next    retentiond {verb} {planned.plan.id}")
