"""How the daemon is: whether it lives, whether it is ready, and when it last did what it is for."""

from __future__ import annotations

from datetime import datetime

from retentiond.clock import Clock

STUCK_SECONDS = 900  # without any sign of progress


class Health:
    """Written by the thread that works, read by those that answer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beat = clock.monotonic()
        self.config_right = True
        self.failure = "it has not ticked yet"
        self.last_tick_at: datetime | None = None

    def beat(self) -> None:
        """Note that work goes on."""
        self._beat = self._clock.monotonic()

    def ticked(self) -> None:
        """Note that a tick ended as it should."""
        self.beat()
        self.failure = ""
        self.last_tick_at = self._clock.now()

    def failed(self, what: str) -> None:
        """Note why a tick did not do its work."""
        self.failure = what

    def configured(self, *, right: bool) -> None:
        """Note whether the configuration that was read last was taken."""
        self.config_right = right

    def alive(self) -> bool:
        """Tell whether there was progress lately."""
        return self.silence() < STUCK_SECONDS

    def silence(self) -> float:
        """Return for how many seconds there was no sign of life."""
        return self._clock.monotonic() - self._beat
