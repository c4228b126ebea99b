"""`retentiond receipt attest`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import click
from rich.console import Console

from retentiond.cli.common import UTC_TIME, shared_options, show, table
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.views import receipt_line
from retentiond.cli.working import working
from retentiond.engine import attesting
from retentiond.engine.attesting import Attested, Question


@click.command()
@click.option("--from", "start", metavar="TIME", type=UTC_TIME, required=True, help="Such as 2026-11-01T00:00Z.")
@click.option("--to", "end", metavar="TIME", type=UTC_TIME, required=True, help="A later time that is over.")
@click.option("--account", "account_id", help="For this customer: about its records, and bearing its name.")
@click.option("--policy", "policies", multiple=True, help="Only this policy; may be given more than once.")
@shared_options
@by_the_daemon
def attest(start: datetime, end: datetime, account_id: str | None, policies: tuple[str, ...]) -> None:
    """Attest that all that had to go by the end of a period is gone, by a fresh look at everything.

    Exits 3, and signs nothing, when anything is overdue, undetermined or unfinished, or could not be looked at.
    """
    question = Question(start.replace(tzinfo=UTC), end.replace(tzinfo=UTC), account_id, policies)
    with working() as ctx:
        found = attesting.attest(ctx, question)
    document = receipt_line(found.receipt) | {"from": question.start, "to": question.end}
    document["datasets"] = [_dataset(each) for each in found.datasets]
    show(document, lambda console: _people(console, found, account_id))


def _dataset(line: Mapping[str, object]) -> dict[str, object]:
    names = ("dataset", "policy", "examined", "remaining", "held", "overdue", "oldest")
    return {name: line[name] for name in names} | {"looked_at": line["lookedAt"]}


def _people(console: Console, found: Attested, account_id: str | None) -> None:
    rows = table("dataset", "policy", "#examined", "#remaining", "#held", "#overdue", "oldest")
    for each in found.datasets:
        numbers = (each[name] for name in ("examined", "remaining", "held", "overdue"))
        cells = ("-" if number is None else f"{number:,}" for number in numbers)
        rows.add_row(str(each["dataset"]), str(each["policy"]), *cells, str(each["oldest"] or "-"))
    console.print(rows)
    console.print(f"receipt {found.receipt.file}")
    if account_id is not None:
        console.print(f"  for the customer: retentiond receipt export {found.receipt.id} --account {account_id}")
