"""`retentiond check`."""

from __future__ import annotations

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show, table
from retentiond.cli.covering import coverage_document, coverage_lines
from retentiond.cli.graphs import graph_document, show_graph
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.working import working
from retentiond.engine.checking import Report
from retentiond.engine.checking import check as check_all
from retentiond.errors import Exit


@click.command()
@shared_options
@by_the_daemon
@click.option("--graph", "only_graph", is_flag=True, help="Show how datasets belong together, and whose they are.")
def check(*, only_graph: bool) -> Exit:
    """Check configuration, stores, permissions, clock, effective retention against promise, and coverage.

    Changes nothing. Exits 3 when there are findings.
    """
    with working() as ctx:
        report = check_all(ctx)
    document = {
        "findings": [
            {
                "what": each.what,
                "where": each.where,
                "remedy": each.remedy,
                "refuses": each.refuses,
                "guard": each.guard or None,
            }
            for each in report.findings
        ],
        "retention": [
            {
                "policy": each.policy,
                "rule": each.rule,
                "window": each.window or None,
                "effective": each.effective,
                "promise": each.promise,
                "fits": each.fits,
            }
            for each in report.retention
        ],
        "notes": list(report.notes),
        "coverage": coverage_document(report.coverage),
        "graph": graph_document(report.graph),
    }
    show(document, lambda console: show_graph(console, report.graph) if only_graph else _people(console, report))
    return Exit.FINDINGS if report.findings else Exit.DONE


def _people(console: Console, report: Report) -> None:
    rows = table("policy", "#rule", "what", "effective", "promised", "fits")
    for each in report.retention:
        rows.add_row(
            each.policy,
            f"content {each.window}" if each.window else str(each.rule),
            each.what,
            each.effective,
            each.promise or "-",
            "yes" if each.fits else "NO",
        )
    console.print(rows)
    for line in coverage_lines(report.coverage):
        console.print(line, markup=False)
    for note in report.notes:
        console.print(f"note: {note}", markup=False)
    for finding in report.findings:
        console.print(f"! {finding.where}: {finding.what}", markup=False, style="red")
        console.print(f"  what to do: {finding.remedy}", markup=False)
    console.print("all is well" if not report.findings else f"{len(report.findings)} finding(s)")
