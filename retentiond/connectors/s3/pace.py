"""How fast requests go: at once while the server keeps up, slower each time it says so, and faster again after."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_FIRST_GAP_SECONDS = 0.1
_LONGEST_GAP_SECONDS = 5.0
_NO_GAP_SECONDS = 0.01
_FASTER = 0.8


class Pace:
    """The least time between the starts of two requests, for all clients of a bucket together.

    A server that answers SlowDown doubles it, every answer that is none shortens it by a fifth, until it is nothing.

    Args:
        sleep: Waits so many seconds.
        clock: Tells a time in seconds that never goes back.
    """

    def __init__(
        self, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._gap_seconds = 0.0
        self._next = 0.0

    @property
    def gap_seconds(self) -> float:
        """The least time between two starts."""
        return self._gap_seconds

    def wait(self) -> None:
        """Return when the next request may start."""
        with self._lock:
            now = self._clock()
            start = max(now, self._next)
            self._next = start + self._gap_seconds
        if start > now:
            self._sleep(start - now)

    def slower(self) -> None:
        """Take note that the server asked for fewer requests."""
        with self._lock:
            self._gap_seconds = min(max(2 * self._gap_seconds, _FIRST_GAP_SECONDS), _LONGEST_GAP_SECONDS)
            self._next = max(self._next, self._clock() + self._gap_seconds)

    def faster(self) -> None:
        """Take note that the server kept up."""
        with self._lock:
            shorter = self._gap_seconds * _FASTER
            self._gap_seconds = shorter if shorter > _NO_GAP_SECONDS else 0.0
