"""The ledger's account closures; a part of `ports.ledger`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from retentiond.domain.account import AccountState, Remainder
from retentiond.ports.rows import ClosedRow, ClosureRow


class Closures(Protocol):
    """Account closures."""

    def add(self, closure: ClosureRow) -> None:
        """Store a closure."""
        ...

    def newest_of(self, *commitments: str) -> ClosureRow | None:
        """Return an account's newest closure by the account's commitment."""
        ...

    def get(self, closure: str) -> ClosureRow | None:
        """Return a closure by its id."""
        ...

    def in_state(self, *states: AccountState) -> Sequence[ClosureRow]:
        """Return closures in any of the states, by deadline."""
        ...

    def set_state(self, closure: str, state: AccountState) -> None:
        """Move a closure to a state."""
        ...

    def begin(self, closure: str, at: datetime) -> None:
        """Begin to close it: its grace is over."""
        ...

    def note(self, closure: str, remainder: Remainder) -> None:
        """Keep what a look found of the account."""
        ...

    def cancel(self, closure: str) -> None:
        """Cancel it: the account is open again, and its sealed name is destroyed."""
        ...

    def close(self, closure: str, receipt: str) -> None:
        """Close it: keep the commitment, destroy the sealed account."""
        ...

    def closed(self, after: int, limit: int) -> Sequence[ClosedRow]:
        """Return closures that ended, in the order of their numbers, from the one after a number on.

        Those whose receipt was taken back are left out: nobody can tell from them that the account is closed.
        """
        ...

    def closed_of(self, commitments: Sequence[str]) -> Sequence[ClosedRow]:
        """Return which of these commitments are of accounts that are closed, each closure by itself."""
        ...

    def begun_since(self, moment: datetime) -> int:
        """Return how many closures began after a time."""
        ...
