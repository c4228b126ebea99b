"""`retentiond account`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show, ssh_key_option, table
from retentiond.cli.dated import account_document, dated_line, unowned_lines
from retentiond.cli.graphs import holdings_document, show_holdings
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.views import closure_document, session_exit, stays_line
from retentiond.cli.working import working
from retentiond.engine import accounts, closures
from retentiond.engine.accounts import AccountStatus
from retentiond.engine.running import close_now
from retentiond.errors import Exit


@click.group()
def account() -> None:
    """Accounts that leave: grace, then everything of theirs goes, then a closure receipt."""


@account.command()
@click.argument("account_id")
@click.option("--reason", required=True, help="Why, for the record.")
@click.option("--jurisdiction", default="", help="Where the account belongs: a name of `closure.jurisdictions`.")
@ssh_key_option
@shared_options
@by_the_daemon
def close(account_id: str, reason: str, jurisdiction: str, ssh_key: Path | None) -> Exit:
    """Ask for the closure of an account; begins at once where the policy gives no grace."""
    with working() as ctx:
        closure = closures.close_account(ctx, account_id, reason, ssh_key, jurisdiction)
        session = close_now(ctx, closure)
        found = accounts.account_status(ctx, account_id)
    show(account_document(found), lambda console: _people(console, found))
    return session_exit(session)


@account.command()
@click.argument("account_id")
@ssh_key_option
@shared_options
@by_the_daemon
def cancel(account_id: str, ssh_key: Path | None) -> None:
    """Cancel a closure that is still in its grace."""
    with working() as ctx:
        closures.cancel_closure(ctx, account_id, ssh_key)
        found = accounts.account_status(ctx, account_id)
    show(account_document(found), lambda console: _people(console, found))


@account.command()
@click.argument("account_id")
@shared_options
@by_the_daemon
def status(account_id: str) -> Exit:
    """Say where an account stands, and what is left of it."""
    with working() as ctx:
        found = accounts.account_status(ctx, account_id)
    show(account_document(found), lambda console: _people(console, found))
    return Exit.FAILED if any(remaining is None for _, remaining in found.remaining) else Exit.DONE


@account.command("show")
@click.argument("account_id")
@shared_options
@by_the_daemon
def show_(account_id: str) -> Exit:
    """List what is held of an account, by dataset and class, before anything is removed.

    Exits 1 where a dataset could not be looked at.
    """
    with working() as ctx:
        found, held = accounts.account_holdings(ctx, account_id)

    def people(console: Console) -> None:
        _state(console, found)
        show_holdings(console, held)

    show({**account_document(found), **holdings_document(held)}, people)
    return Exit.FAILED if any(each.trouble for each in held) else Exit.DONE


@account.command("list")
@shared_options
@by_the_daemon
def list_() -> None:
    """List the closures under way, by deadline."""
    with working() as ctx:
        found = closures.list_closures(ctx)
    documents = [closure_document(each) for each in found]
    rows = table("closure", "state", "due", "deadline", "stays")
    for each in found:
        due, deadline = (f"{moment:%Y-%m-%d %H:%M}" for moment in (each.due_at, each.deadline_at))
        rows.add_row(each.id, each.state, due, deadline, stays_line(each))
    show({"closures": documents}, lambda console: console.print(rows if found else "no account is leaving"))


def _people(console: Console, found: AccountStatus) -> None:
    _state(console, found)
    for dataset, remaining in found.remaining:
        left = "unknown" if remaining is None else f"{remaining:,}"
        console.print(f"  {dataset}: {left} left", markup=False)
    for part in found.dated:
        console.print(f"  still there: {dated_line(part)}", markup=False)
    for line in unowned_lines(found):
        console.print(f"  {line}", markup=False)
    if found.closure is not None and found.closure.receipt:
        said = f" RETRACTED: {found.retracted}" if found.retracted else ""
        console.print(f"  receipt {found.closure.receipt}{said}")


def _state(console: Console, found: AccountStatus) -> None:
    console.print(f"account {found.account}: {found.state}", markup=False, style="bold")
    if found.closure is not None:
        console.print(f"  removal from {found.closure.due_at:%Y-%m-%d}, deadline {found.closure.deadline_at:%Y-%m-%d}")
        if kept := stays_line(found.closure):
            console.print(f"  not closed yet: {kept}", markup=False)
