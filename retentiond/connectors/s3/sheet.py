"""The sheet on which the outcome of each record of an order is noted."""

from __future__ import annotations

from retentiond.domain.plan import Outcome
from retentiond.ports.stores import Acted


class Sheet:
    """Outcomes by index; what was never noted is unknown."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._outcomes: dict[int, Outcome] = {}
        self._reasons: dict[int, str] = {}
        self._marks: dict[int, str] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing was noted yet."""
        return not self._outcomes

    def note(self, index: int, outcome: Outcome, reason: str = "", mark: str = "") -> None:
        """Note an outcome, in words where there is something to say, and what the tombstone is known by later."""
        self._outcomes[index] = outcome
        if mark:
            self._marks[index] = mark
        if reason:
            self._reasons[index] = reason

    def acted(self) -> Acted:
        """Return it all."""
        outcomes = [self._outcomes.get(index, Outcome.UNKNOWN) for index in range(self._size)]
        return Acted(outcomes, self._reasons, self._marks)
