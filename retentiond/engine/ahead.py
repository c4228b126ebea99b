"""One step ahead: a store is asked for the next thing while this process works on what it gave last.

The store is never asked for two things at once, and never from two threads at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Step = TypeVar("_Step")
_Given = TypeVar("_Given")
_Got = TypeVar("_Got")


def ahead(steps: Iterator[_Step]) -> Iterator[_Step]:
    """Give steps, each made in a thread of its own while whoever takes them is at the one before."""

    def step() -> tuple[_Step, ...]:
        return next(((each,) for each in steps), ())

    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        coming: Future[tuple[_Step, ...]] = pool.submit(step)
        while found := coming.result():
            coming = pool.submit(step)
            yield found[0]


def asked_ahead(given: Iterable[_Given], ask: Callable[[_Given], _Got]) -> Iterator[tuple[_Given, _Got]]:
    """Give each thing with what was answered for it; the next one is asked for before this one is given."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        before: tuple[_Given, Future[_Got]] | None = None
        for each in given:
            asked = pool.submit(ask, each)
            if before is not None:
                yield before[0], before[1].result()
            before = each, asked
        if before is not None:
            yield before[0], before[1].result()
