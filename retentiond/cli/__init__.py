"""The command line: one file for each verb, no logic."""

from __future__ import annotations

import click

from retentiond import __version__
from retentiond.cli.common import EPILOG, Verb, shared_options
from retentiond.cli.lazy import LazyGroup

_HERE = "retentiond.cli"
_VERBS = {
    "demo": f"{_HERE}.demo:demo",
    "init": f"{_HERE}.init:init",
    "check": f"{_HERE}.check:check",
    "plan": f"{_HERE}.plan:plan",
    "approve": f"{_HERE}.approve:approve",
    "reject": f"{_HERE}.approve:reject",
    "apply": f"{_HERE}.apply:apply_",
    "run": f"{_HERE}.run:run",
    "serve": f"{_HERE}.serve:serve",
    "purge": f"{_HERE}.purge:purge",
    "undo": f"{_HERE}.undo:undo",
    "pause": f"{_HERE}.pause:pause",
    "resume": f"{_HERE}.pause:resume",
    "cancel": f"{_HERE}.pause:cancel",
    "explain": f"{_HERE}.explain:explain",
    "hold": f"{_HERE}.hold:hold",
    "account": f"{_HERE}.account:account",
    "erasure": f"{_HERE}.erasure:erasure",
    "receipt": f"{_HERE}.receipt:receipt",
    "keys": f"{_HERE}.keys:keys",
    "audit": f"{_HERE}.audit:audit",
    "replay": f"{_HERE}.replay:replay",
    "clock": f"{_HERE}.clock:clock",
    "status": f"{_HERE}.status:status",
    "ledger": f"{_HERE}.ledger:ledger",
}


@click.group(cls=LazyGroup, verbs=_VERBS, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="retentiond")
@shared_options
def cli() -> None:
    """Remove API request data past its retention period, and prove it with signed receipts."""


def main() -> None:
    """Entry point of the `retentiond` program."""
    Verb.main_of(cli)
