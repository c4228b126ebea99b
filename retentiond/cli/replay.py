"""`retentiond replay`."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.views import session_document, session_exit, session_people
from retentiond.cli.working import working
from retentiond.engine.replaying import Replayed
from retentiond.engine.replaying import replay as replay_all
from retentiond.errors import Exit


@click.command()
@shared_options
@by_the_daemon
def replay() -> Exit:
    """Remove again what came back when a store was restored: closed accounts, and what is past its retention period.

    A plan that exceeds a cap, or meets an account that came back, waits for `approve`; then call this again.
    """
    with working() as ctx:
        done = replay_all(ctx)
    show(_document(done), lambda console: _people(console, done))
    return session_exit(done.session)


def _document(done: Replayed) -> dict[str, Any]:
    return {
        **session_document(done.session),
        "overdue": done.overdue,
        "closures": done.closed,
        "accounts_back": done.back,
        "erasures": done.erasures,
        "users_back": done.people,
        "since_closure": done.since,
        "manual_purges_replayed": done.again,
        "manual_purges_not_replayed": done.by_hand,
        "datasets": [
            {
                "dataset": each.dataset,
                "policy": each.policy,
                "examined": each.examined,
                "due": each.due,
                "held": each.held,
                "undetermined": each.undetermined,
                "waiting": each.waiting,
                "doubts": dict(each.doubts),
            }
            for each in done.found.values()
        ],
    }


def _people(console: Console, done: Replayed) -> None:
    session_people(console, done.session)
    if done.overdue is None:
        console.print("overdue: not known, since not everything could be looked at")
    console.print(f"closed accounts that are there again: {done.back:,} ({done.closed:,} closures were looked for)")
    if done.erasures:
        looked = f"{done.erasures:,} requests for erasure were looked for"
        console.print(f"erased users that are there again: {done.people:,} ({looked})")
    if done.since:
        console.print(f"{done.since:,} records of theirs were written since their closure, and stay")
    for each in done.found.values():
        if each.held or each.undetermined:
            why = ", ".join(f"{reason} {count:,}" for reason, count in each.doubts)
            kept = f"{each.held:,} held, {each.undetermined:,} undetermined"
            console.print(f"{each.dataset}: {kept} stay{f' ({why})' if why else ''}", markup=False)
    if done.again:
        console.print(f"what {done.again:,} purges by hand had removed was there again")
    if done.by_hand:
        console.print(f"{done.by_hand:,} purges by hand can't be replayed: ask for them again where a store has them")
