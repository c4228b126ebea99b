"""The instance that a verb works on, from its opening to its end."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from retentiond.bootstrap import open_context
from retentiond.cli.common import console, current
from retentiond.cli.progress import TerminalReporter
from retentiond.cli.stopping import StopFlag
from retentiond.engine.context import Context
from retentiond.telemetry import configure


@contextmanager
def working(*, create_ledger: bool = False, mending: bool = False) -> Iterator[Context]:
    """Open the instance for a verb, unless the daemon has it open for that.

    Ctrl-C and SIGTERM finish the batch in hand, a second one ends at once.

    Args:
        create_ledger: Make an empty ledger where there is none, to be filled from the log.
        mending: Whether keys may be missing, since others are to take their place.
    """
    captured = current().captured
    if captured is not None:
        yield captured.ctx
        return
    configure(sys.stderr, verbose=current().verbose)
    stopping = StopFlag("stopping after the batch in hand; once more to stop at once")
    reporter = TerminalReporter(console(stderr=True))
    directory, asked = current().directory, stopping.asked
    opened = open_context(directory, os.environ, reporter, asked, create_ledger=create_ledger, mending=mending)
    with opened as ctx, stopping, reporter, _settled():
        yield ctx


@contextmanager
def _settled() -> Iterator[None]:
    """Keep what is there by now from being looked through for garbage: with each batch, for half of all the time."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
