"""One step ahead: everything comes once and in order, one thing is asked at a time, and no thread is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from retentiond.engine.ahead import ahead, asked_ahead


class Source:
    """Gives numbers, or fails at one; knows who asked, and that nobody asks while another one does."""

    def __init__(self, count: int, fails_at: int = -1) -> None:
        self._count = count
        self._fails_at = fails_at
        self.made: list[int] = []
        self._busy = threading.Lock()

    def step(self, number: int) -> int:
        assert self._busy.acquire(blocking=False), "asked for two things at a time"
        try:
            time.sleep(0.001)
            if number == self._fails_at:
                raise OSError(number)
            self.made.append(number)
            return number
        finally:
            self._busy.release()

    def steps(self) -> Iterator[int]:
        for number in range(self._count):
            yield self.step(number)


def _threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("ahead")]


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_everything_comes_once_and_in_order(count: int) -> None:
    assert list(ahead(Source(count).steps())) == list(range(count))
    source = Source(count)
    assert list(asked_ahead(iter(range(count)), source.step)) == [(number, number) for number in range(count)]
    assert _threads() == []


def test_values_that_are_false_end_nothing() -> None:
    assert list(ahead(iter([0, None, "", ()]))) == [0, None, "", ()]


@pytest.mark.parametrize("fails_at", [0, 1, 7])
def test_an_error_comes_after_what_came_before_it(fails_at: int) -> None:
    for steps in (ahead(Source(10, fails_at).steps()), asked_ahead(range(10), Source(10, fails_at).step)):
        assert [next(steps) for _ in range(fails_at)][-1:] in ([], [fails_at - 1], [(fails_at - 1, fails_at - 1)])
        with pytest.raises(OSError, match=str(fails_at)):
            next(steps)
    assert _threads() == []


def test_the_next_one_is_asked_for_while_somebody_is_at_the_last() -> None:
    source = Source(5)
    with closing(ahead(source.steps())) as steps:  # type: ignore[type-var]
        assert next(steps) == 0
        deadline = time.monotonic() + 30
        while source.made != [0, 1] and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        assert source.made == [0, 1]
    assert _threads() == []
