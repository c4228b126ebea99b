"""The command line: one file for each verb, no logic."""

from __future__ import annotations

import click

from retentiond import __version__
from retentiond.cli.account import account
from retentiond.cli.apply import apply_
from retentiond.cli.approve import approve, reject
from retentiond.cli.check import check
from retentiond.cli.common import EPILOG, Verb, shared_options
from retentiond.cli.demo import demo
from retentiond.cli.explain import explain
from retentiond.cli.hold import hold
from retentiond.cli.init import init
from retentiond.cli.ledger import ledger
from retentiond.cli.plan import plan
from retentiond.cli.receipt import receipt
from retentiond.cli.run import run
from retentiond.cli.status import status


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="retentiond")
@shared_options
def cli() -> None:
    """Remove API request data past its retention period, and prove it with signed receipts."""


for verb in (
    demo,
    init,
    check,
    plan,
    approve,
    reject,
    apply_,
    run,
    explain,
    hold,
    account,
    receipt,
    status,
    ledger,
):
    cli.add_command(verb)


def main() -> None:
    """Entry point of the `retentiond` program."""
    Verb.main_of(cli)
