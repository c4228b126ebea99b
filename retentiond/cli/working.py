"""The instance that a verb works on, from its opening to its end."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from retentiond.bootstrap import open_context
from retentiond.cli.common import console, current
from retentiond.cli.progress import TerminalReporter
from retentiond.engine.context import Context
from retentiond.telemetry import configure


@contextmanager
def working(*, create_ledger: bool = False) -> Iterator[Context]:
    """Open the instance for a verb; Ctrl-C and SIGTERM finish the batch in hand, a second one ends at once."""
    configure(sys.stderr, verbose=current().verbose)
    stopping = _StopFlag()
    reporter = TerminalReporter(console(stderr=True))
    directory, asked = current().directory, stopping.asked
    opened = open_context(directory, os.environ, reporter, asked, create_ledger=create_ledger)
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


class _StopFlag:
    """Set by SIGINT or SIGTERM."""

    def __init__(self) -> None:
        self._set = False
        self._before: dict[signal.Signals, Any] = {}

    def asked(self) -> bool:
        return self._set

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._stop)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if self._set:
            raise KeyboardInterrupt
        self._set = True
        click.echo("stopping after the batch in hand; once more to stop at once", err=True)
