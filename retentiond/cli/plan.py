"""`retentiond plan`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from retentiond.cli.common import UTC_TIME, shared_options, show, table
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.views import (
    differences_document,
    estimate_lines,
    forecasts_table,
    plan_document,
    write_plan_file,
)
from retentiond.cli.working import working
from retentiond.engine.comparing import Difference, compare
from retentiond.engine.planning import Planned, Request, forecast, make_plan
from retentiond.errors import Exit


@click.command()
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Write the plan as JSON.")
@click.option("--policy", "policies", multiple=True, help="Only this policy; may be given more than once.")
@click.option("--at", metavar="TIME", type=UTC_TIME, help="A forecast for a time to come, such as 2026-11-24T03:10Z.")
@click.option("--diff", is_flag=True, help="What the policies as written would remove more than those in force.")
@shared_options
@by_the_daemon
def plan(output: Path | None, policies: tuple[str, ...], at: datetime | None, *, diff: bool) -> Exit:
    """Say what would go, and what is kept or held and why. Deletes nothing.

    A forecast (--at) and a comparison (--diff) make no plan: neither can be approved or applied.
    Exits 4 when the plan needs approval, 5 when a dataset had to be left out.
    """
    moment = at.replace(tzinfo=UTC) if at else None
    if diff:
        return _compare(output, policies, moment)
    with working() as ctx:
        planned = forecast(ctx, policies, moment) if moment else make_plan(ctx, Request(policies=policies))
    document = plan_document(planned) | {"forecast": moment is not None}
    if output is not None:
        write_plan_file(output, document)
    show(document, lambda console: _people(console, planned, moment))
    needs = planned.plan is not None and planned.plan.approvals_needed > 0
    if needs:
        return Exit.STOPPED
    return Exit.PARTLY if planned.failures else Exit.DONE


def _compare(output: Path | None, policies: tuple[str, ...], at: datetime | None) -> Exit:
    with working() as ctx:
        reference, found = compare(ctx, policies, at)
    document = differences_document(reference, found)
    if output is not None:
        write_plan_file(output, document)
    show(document, lambda console: _differences(console, found))
    return Exit.PARTLY if any(each.trouble for each in found) else Exit.DONE


def _differences(console: Console, found: list[Difference]) -> None:
    rows = table("dataset", "policy", "#more", "oldest of these", "#less", "")
    for each in found:
        oldest = f"{each.oldest:%Y-%m-%d %H:%M}" if each.oldest else ""
        said = each.trouble or ("" if each.in_force else "never approved: all that is due is more")
        rows.add_row(each.dataset, each.policy, f"{each.more:,}", oldest, f"{each.less:,}", said)
    console.print(rows)


def _people(console: Console, planned: Planned, at: datetime | None) -> None:
    console.print(forecasts_table(planned.forecasts))
    for reason in planned.reasons:
        console.print(f"! {reason}", markup=False)
    if at is not None:
        console.print(f"a forecast for {at:%Y-%m-%d %H:%M} UTC, and no plan: it can't be approved or applied")
        return
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
