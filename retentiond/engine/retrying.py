"""How often what a store failed at is tried again, where the same call may succeed later."""

from __future__ import annotations

TRIES = 3
_PAUSE_SECONDS = 0.25


def pause_seconds(failed: int) -> float:
    """Return how long to wait after so many failures: each time twice as long."""
    return _PAUSE_SECONDS * float(2**failed)
