"""The ledger's requests for erasure; a part of `ports.ledger`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from retentiond.domain.account import Remainder
from retentiond.domain.erasure import ErasureState
from retentiond.ports.rows import ErasedRow, ErasureRow


class Erasures(Protocol):
    """Requests for erasure."""

    def add(self, erasure: ErasureRow) -> None:
        """Store a request."""
        ...

    def get(self, erasure: str) -> ErasureRow | None:
        """Return a request by its id."""
        ...

    def of_person(self, *commitments: str) -> Sequence[ErasureRow]:
        """Return the requests of a person by the person's commitments, oldest first."""
        ...

    def of_account(self, *commitments: str) -> Sequence[ErasureRow]:
        """Return the requests of an account and its users by the account's commitments, oldest first."""
        ...

    def in_state(self, *states: ErasureState) -> Sequence[ErasureRow]:
        """Return requests in any of the states, by deadline."""
        ...

    def set_state(self, erasure: str, state: ErasureState) -> None:
        """Move a request to a state that is not its end."""
        ...

    def extend(self, erasure: str, at: datetime) -> None:
        """Have its deadline be the extended one."""
        ...

    def begin(self, erasure: str, at: datetime) -> None:
        """Begin to remove what it names."""
        ...

    def write(self, erasure: str, texts_sealed: bytes) -> None:
        """Put other texts in the place of those that were written of it."""
        ...

    def note(self, erasure: str, remainder: Remainder) -> None:
        """Keep what a look found of the person."""
        ...

    def end(self, erasure: str, state: ErasureState, at: datetime, receipt: str = "") -> None:
        """End it: keep the commitments, destroy the sealed person."""
        ...

    def plans_of(self, erasures: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Return (erasure, plan) for each plan that serves one of the requests, each request's plans oldest first."""
        ...

    def of_plan(self, plan: str) -> Sequence[str]:
        """Return the requests that a plan serves."""
        ...

    def begun_since(self, moment: datetime) -> int:
        """Return how many began after a time."""
        ...

    def forget_texts(self, before: datetime) -> int:
        """Destroy the texts of requests that ended before a time; return of how many."""
        ...

    def erased(self, after: int, limit: int) -> Sequence[ErasedRow]:
        """Return requests that are done, by number, from after a number on; none whose receipt was taken back."""
        ...

    def erased_of(self, commitments: Sequence[str]) -> Sequence[ErasedRow]:
        """Return which of these commitments are of people whose data was erased, each request by itself."""
        ...
