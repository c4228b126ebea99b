"""Evidence levels: how gone a record is, by what was read of its store (SCALE.md says what each store can claim)."""

from __future__ import annotations

from enum import IntEnum

from retentiond.errors import ReceiptError


class EvidenceLevel(IntEnum):
    """How gone a record is, weakest first."""

    HIDDEN = 0
    DELETED = 1
    ALL_VERSIONS_DELETED = 2
    ABSENT_FROM_LIVE_FILES = 3
    KEY_DESTROYED = 4

    @property
    def wire(self) -> str:
        """The level's name in receipts, such as `all-versions-deleted`."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def from_wire(cls, name: str) -> EvidenceLevel:
        """Return the level of a name.

        Raises:
            ReceiptError: There is no such level.
        """
        for level in cls:
            if level.wire == name:
                return level
        raise ReceiptError(f"there is no evidence level {name!r}", remedy=f"use one of {[each.wire for each in cls]}")
