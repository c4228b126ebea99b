"""Ctrl-C and SIGTERM, while a verb is at work."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, Self

import click


class StopFlag:
    """Set by SIGINT or SIGTERM; a second one ends at once.

    Args:
        said: What the first one is answered with.
    """

    def __init__(self, said: str) -> None:
        self._said = said
        self._set = False
        self._before: dict[signal.Signals, Any] = {}

    def asked(self) -> bool:
        """Tell whether somebody wants it to stop."""
        return self._set

    def __enter__(self) -> Self:
        """Listen."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no longer."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if self._set:
            raise KeyboardInterrupt
        self._set = True
        click.echo(self._said, err=True)
