"""Progress on a terminal: what is done, at which rate, and how long it will take."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _RateColumn(ProgressColumn):
    """Records per second."""

    def render(self, task: Task) -> Text:
        """Return the rate."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


class TerminalReporter:
    """Shows progress on stderr where somebody reads it, and is silent elsewhere. Implements the engine's Reporter."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        """Begin to show."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop showing."""
        self._progress.stop()

    def start(self, what: str, total: int | None) -> None:
        """Begin a stretch of work."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(what, total=total)

    def advance(self, records: int) -> None:
        """So many more records are done."""
        if self._task is not None:
            self._progress.advance(self._task, records)

    def note(self, text: str) -> None:
        """Say something that a person should see now."""
        self._console.print(text, style="yellow", markup=False)
