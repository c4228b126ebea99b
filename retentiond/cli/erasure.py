"""`retentiond erasure`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from retentiond.cli.common import F, shared_options, show, ssh_key_option, table
from retentiond.cli.erasure_views import days_left, erasure_document, erasure_line, status_people
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.working import working
from retentiond.domain.erasure import OPEN, ErasureEvent, Person
from retentiond.domain.statute import burn_down
from retentiond.engine import erasures
from retentiond.engine.context import Context
from retentiond.engine.erasing import ErasureStatus, erasure_status
from retentiond.engine.erasures import Asked
from retentiond.errors import UsageError
from retentiond.ports.rows import ErasureRow

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def erasure() -> None:
    """Erase what a request names (GDPR, CCPA/CPRA): intake, deadlines, removal, a receipt."""


def _reason(what: str) -> Callable[[F], F]:
    return click.option("--reason", required=True, help=what)


@erasure.command()
@click.option("--account", required=True, help="The account, exactly.")
@click.option("--user", default="", help="The account's user, exactly.")
@click.option("--all", "whole", is_flag=True, help="The whole account, which stays open.")
@click.option("--law", required=True, help="gdpr, ccpa, or a law that policies.yaml declares.")
@click.option("--received", type=_DAY, metavar="DATE", help="The day of receipt (YYYY-MM-DD); default today.")
@_reason("Where it came from, or its number elsewhere.")
@click.option("--identity", default="", help="How the identity of whoever asks was verified; later with `verify`.")
@click.option("--jurisdiction", default="", help="Where the account belongs: a name of `closure.jurisdictions`.")
@ssh_key_option
@shared_options
@by_the_daemon
def add(*, account: str, user: str, whole: bool, received: datetime | None, ssh_key: Path | None, **words: str) -> None:
    """Take a request in. Nothing of it is guessed: it names an account, and a user or --all."""
    if whole == bool(user):
        raise UsageError(
            "a request is of one user, or of the whole account", where="--user", remedy="--user U, or --all"
        )
    person, day = Person(account, user), received.date() if received else None
    asked = Asked(person, words["law"], day, words["reason"], words["identity"], words["jurisdiction"])
    with working() as ctx:
        _show(ctx, erasure_status(ctx, erasures.add_erasure(ctx, asked, ssh_key)))


@erasure.command()
@click.argument("erasure_id")
@click.option("--identity", required=True, help="How the identity of whoever asks was verified.")
@ssh_key_option
@shared_options
@by_the_daemon
def verify(erasure_id: str, identity: str, ssh_key: Path | None) -> None:
    """Say how the identity was verified; removal begins with the next run."""
    _change(erasure_id, ErasureEvent.VERIFY, identity, ssh_key)


@erasure.command()
@click.argument("erasure_id")
@_reason("Why, as whoever asked is told.")
@ssh_key_option
@shared_options
@by_the_daemon
def extend(erasure_id: str, reason: str, ssh_key: Path | None) -> None:
    """Take the longer time that the law gives, once, before the first has ended."""
    _change(erasure_id, ErasureEvent.EXTEND, reason, ssh_key)


@erasure.command()
@click.argument("erasure_id")
@_reason("Why, as whoever asked is told.")
@ssh_key_option
@shared_options
@by_the_daemon
def refuse(erasure_id: str, reason: str, ssh_key: Path | None) -> None:
    """Refuse a request, or what is left of it; nothing more goes because of it."""
    _change(erasure_id, ErasureEvent.REFUSE, reason, ssh_key)


@erasure.command()
@click.argument("erasure_id")
@_reason("Why, for the record.")
@ssh_key_option
@shared_options
@by_the_daemon
def cancel(erasure_id: str, reason: str, ssh_key: Path | None) -> None:
    """Cancel a request of which nothing was begun, such as one that was taken back."""
    _change(erasure_id, ErasureEvent.CANCEL, reason, ssh_key)


@erasure.command()
@click.argument("erasure_id")
@shared_options
@by_the_daemon
def status(erasure_id: str) -> None:
    """Say where a request stands, and what each dataset still has of it."""
    with working() as ctx:
        _show(ctx, erasure_status(ctx, erasures.erasure_of(ctx, erasure_id)))


erasure.add_command(status, "show")


@erasure.command("list")
@click.option("--ended", is_flag=True, help="Those that are done, refused or cancelled, too.")
@click.option("--account", help="Those of this account and its users.")
@shared_options
@by_the_daemon
def list_(account: str | None, *, ended: bool) -> None:
    """List requests by deadline, and how many end within how many days."""
    with working() as ctx:
        found, now = erasures.list_erasures(ctx, account=account, ended=ended), ctx.now()
    rows = table("erasure", "law", "state", "received", "deadline", "#days left", "stays")
    for each in found:
        rows.add_row(*erasure_line(each, now))
    down = burn_down((each.next_deadline for each in found if each.state in OPEN), now)
    documents = [erasure_document(each, now) for each in found]
    within = [{"days": days, "erasures": count} for days, count in down]
    show(
        {"erasures": documents, "within": within}, lambda console: _list_people(console, rows if found else None, down)
    )


def _list_people(console: Console, rows: Table | None, down: list[tuple[int, int]]) -> None:
    console.print(rows or "no request for erasure is open")
    told = ", ".join(
        f"{count} {f'within {days} days' if days else 'past their deadline'}" for days, count in down if count
    )
    if told:
        console.print(told)


def _change(erasure_id: str, event: ErasureEvent, reason: str, ssh_key: Path | None) -> None:
    with working() as ctx:
        row = erasures.change_erasure(ctx, erasure_id, event, reason, ssh_key)
        _show(ctx, ErasureStatus(row))


def _show(ctx: Context, found: ErasureStatus) -> None:
    row: ErasureRow = found.row
    now, person, texts = ctx.now(), erasures.subject_of(ctx, row), erasures.texts_of(ctx, row)

    def people(console: Console) -> None:
        status_people(console, found, person, days_left(row, now))

    show(erasure_document(row, now, found, person, texts), people)
