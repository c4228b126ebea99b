"""The ledger's noun for slots of schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from retentiond.ports.rows import SlotRow


class Slots(Protocol):
    """Slots of schedules: each is one process's, and has one end."""

    def newest(self, policy: str, schedule: str) -> SlotRow | None:
        """Return the newest slot of a schedule that was taken, or None."""
        ...

    def take(self, slot: SlotRow) -> bool:
        """Take a slot, or take up one that was not finished; False where it was."""
        ...

    def finish(self, slot: SlotRow, at: datetime, outcome: str) -> None:
        """End a slot, and with it older ones of its schedule that were never finished."""
        ...

    def forget(self, policy: str, schedule: str, before: datetime) -> None:
        """Remove slots before a time, but never the newest."""
        ...
