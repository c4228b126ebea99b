"""`retentiond explain`."""

from __future__ import annotations

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.views import explanation_document
from retentiond.cli.working import working
from retentiond.engine.explaining import Explanation
from retentiond.engine.explaining import explain as explain_record


@click.command()
@click.argument("dataset")
@click.argument("key")
@shared_options
@by_the_daemon
def explain(dataset: str, key: str) -> None:
    """Try every rule on one record: which won, when it goes, what holds it."""
    with working() as ctx:
        found = explain_record(ctx, dataset, key)
    document = explanation_document(dataset, key, found[0])
    document["versions"] = [explanation_document(dataset, key, each) for each in found]
    show(document, lambda console: _people(console, dataset, key, found))


def _people(console: Console, dataset: str, key: str, found: list[Explanation]) -> None:
    for each in found:
        version = f" version {each.record.version.decode(errors='replace')}" if each.record.version else ""
        console.print(f"{dataset} {key}{version}: {each.disposition} ({each.reason})", markup=False, style="bold")
        for line in each.trail:
            console.print(f"  {line}", markup=False)
        if each.due_at is not None:
            console.print(f"  due at {each.due_at:%Y-%m-%d %H:%M:%S} UTC")
        for part in each.content:
            when = f", due at {part.due_at:%Y-%m-%d %H:%M:%S} UTC" if part.due_at else ""
            what = f"  content window {part.window}, {part.action} {', '.join(part.targets)}: {part.state}{when}"
            console.print(what, markup=False)
        if each.holds:
            console.print(f"  held by {', '.join(each.holds)}", markup=False)
