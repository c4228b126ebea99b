"""`retentiond ledger`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from retentiond.bootstrap import open_old_ledger
from retentiond.cli.common import current, shared_options, show
from retentiond.cli.recovering import recovery_document, recovery_words
from retentiond.cli.working import working
from retentiond.engine import recovery
from retentiond.engine.checking import check_ledger
from retentiond.errors import Exit


@click.group()
def ledger() -> None:
    """Look after the ledger, which says what happened."""


@ledger.command()
@click.argument("target", type=click.Path(path_type=Path))
@shared_options
def backup(target: Path) -> None:
    """Write a consistent copy of the ledger to TARGET, which must not exist."""
    with working() as ctx:
        ctx.ledger.backup(target)
    show({"file": str(target)}, lambda console: console.print(f"ledger copied to {target}", markup=False))


@ledger.command()
@shared_options
def check() -> Exit:
    """Check the ledger, and that it is not older than its log. Exits 3 on findings, 4 where the log is ahead."""
    with working() as ctx:
        findings = check_ledger(ctx)
    words = "\n".join(findings) or "the ledger is sound and agrees with its log"
    show({"findings": findings}, lambda console: console.print(words, markup=False))
    return Exit.FINDINGS if findings else Exit.DONE


@ledger.command()
@shared_options
def upgrade() -> None:
    """Upgrade the tables of a ledger that an older release made. Back it up before; nobody may act meanwhile."""
    with open_old_ledger(current().directory, os.environ) as opened:
        changed = opened.upgrade()
    words = "the ledger was upgraded" if changed else "the ledger is up to date"
    show({"upgraded": changed}, lambda console: console.print(words, markup=False))


@ledger.command()
@shared_options
def recover() -> Exit:
    """Bring a ledger that went back in time up to its log, or write again what was lost beside a whole ledger.

    Exits 4 as long as the resulting list of holds waits for a signature.
    """
    with working(create_ledger=True) as ctx:
        found = recovery.recover(ctx)
    show(recovery_document(found), lambda console: recovery_words(console, found))
    return Exit.STOPPED if found.reference else Exit.DONE
