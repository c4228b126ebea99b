"""What rows of tables have in common on their way back, whichever engine holds them: words, and what a look says."""

from __future__ import annotations

from typing import Protocol

from retentiond.domain.plan import Sighting
from retentiond.ports.stores import UNNAMEABLE

TAKEN = "another row stands under its key"
NOT_THAT = "it is not hidden as it was, or its grace is over"
NOTHING_HIDES = "the data map declares no tombstone for it any more"


class Judged(Protocol):
    """What was said of one row: the case that won, and whether it bears a readable tombstone."""

    @property
    def case(self) -> int:
        """The index of the case; UNNAMEABLE where the row can't be read."""
        ...

    @property
    def hidden(self) -> bool:
        """Whether it bears a readable tombstone."""
        ...


def is_visible(row: Judged) -> bool:
    """Tell whether a row of the dataset's own table bears no tombstone; one that cannot be read is one."""
    return not row.hidden and row.case != UNNAMEABLE


def sighting_of(case: int, live: Judged | None, moved: Judged | None, *, quarantine: bool) -> Sighting:
    """Return what was seen of a row that was to be brought back.

    Args:
        case: The one that must have won.
        live, moved: The row in the dataset's own table, and in its quarantine; None where there is none.
        quarantine: Whether there is such a table.
    """
    if not quarantine and live is not None:
        if is_visible(live):
            return Sighting.VISIBLE
        return Sighting.DUE if live.hidden and live.case == case else Sighting.CHANGED
    if moved is not None:
        return Sighting.DUE if live is None and moved.case == case else Sighting.CHANGED
    return Sighting.ABSENT if live is None else Sighting.VISIBLE
