"""Account closure as a state machine: open, in grace, closing, closed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from retentiond.domain.policy import ClosureTerms, Jurisdiction


class AccountState(StrEnum):
    """Where an account stands."""

    OPEN = "open"
    GRACE = "grace"
    CLOSING = "closing"
    CLOSED = "closed"


class ClosureEvent(StrEnum):
    """What moves an account from one state to the next."""

    CLOSE = "close"
    CANCEL = "cancel"
    GRACE_OVER = "grace-over"
    ALL_GONE = "all-gone"


_MOVES = {
    (AccountState.OPEN, ClosureEvent.CLOSE): AccountState.GRACE,
    (AccountState.CLOSED, ClosureEvent.CLOSE): AccountState.GRACE,
    (AccountState.GRACE, ClosureEvent.CANCEL): AccountState.OPEN,
    (AccountState.GRACE, ClosureEvent.GRACE_OVER): AccountState.CLOSING,
    (AccountState.CLOSING, ClosureEvent.ALL_GONE): AccountState.CLOSED,
}


@dataclass(frozen=True, slots=True)
class Leaver:
    """What is known of an account that leaves, or of a person who asked for erasure.

    Attributes:
        jurisdiction: Where the account belongs; empty where nobody said it, and then what is kept anywhere is kept.
        requested_at: When the closure, or the erasure, was taken in; None where that is not known, and then it is now.
    """

    jurisdiction: str = ""
    requested_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeptPart:
    """Records of an account that has left that have to be kept longer.

    Attributes:
        reason: Why, in words that a customer may read.
        first: When the first of them goes.
        until: When the last of them goes.
    """

    dataset: str
    data_class: str
    reason: str
    records: int
    first: datetime
    until: datetime

    def plus(self, other: KeptPart) -> KeptPart:
        """Return this with another part of the same dataset, kept for the same reason."""
        first, until = min(self.first, other.first), max(self.until, other.until)
        return replace(self, records=self.records + other.records, first=first, until=until)


@dataclass(frozen=True, slots=True)
class Remainder:
    """What the last look found of an account that is leaving, in counts of records.

    Attributes:
        due: They can go, and are still there.
        held: A legal hold keeps them.
        undetermined: Nobody can tell whether they are the account's, or they have to wait for rows that stay.
        waiting: Their store does not let go of them before a date.
        unseen: Why nobody can say that this is all: what could not be looked at.
        kept: What has to be kept longer, each part with its date.
    """

    due: int = 0
    held: int = 0
    undetermined: int = 0
    waiting: int = 0
    unseen: tuple[str, ...] = ()
    kept: tuple[KeptPart, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is left, or may be."""
        return bool(self.kept) or not self.is_excused

    @property
    def is_stuck(self) -> bool:
        """Whether nothing that was found can go: what neither a hold nor a date keeps waits for other rows."""
        return bool(self.undetermined) and not (self.due or self.waiting)

    @property
    def is_excused(self) -> bool:
        """Whether nothing is left but what has to be kept."""
        return not (self.due or self.held or self.undetermined or self.waiting or self.unseen)

    def overdue(self, now: datetime) -> int:
        """Return how many records are due and still there; those that are held or undetermined are not due.

        What has to be kept is due once its date is over.
        """
        return self.due + self.waiting + sum(part.records for part in self.kept if part.until <= now)


def next_deadline(deadline: datetime, found: Remainder | None) -> datetime:
    """Return by when the next thing has to be gone: where only what has to be kept is left, its first date."""
    if found is None or not found.kept or not found.is_excused:
        return deadline
    return max(deadline, min(part.first for part in found.kept))


@dataclass(frozen=True, slots=True)
class Closure:
    """One closure of one account.

    Attributes:
        due_at: When the grace ends and removal begins.
        deadline_at: By when everything must be gone.
    """

    id: str
    account: str
    state: AccountState
    reason: str
    requested_at: datetime
    due_at: datetime
    deadline_at: datetime


def next_state(state: AccountState, event: ClosureEvent) -> AccountState:
    """Return the state after an event.

    Raises:
        ValueError: The event cannot happen in that state; the message names both.
    """
    try:
        return _MOVES[state, event]
    except KeyError as error:
        message = f"an account that is {state} cannot {event.value.replace('-', ' ')}"
        raise ValueError(message) from error


def open_closure(
    closure_id: str, account: str, reason: str, terms: ClosureTerms | Jurisdiction, now: datetime
) -> Closure:
    """Return the closure that begins now, under the given terms."""
    due = terms.grace.after(now) if terms.grace else now
    state = next_state(AccountState.OPEN, ClosureEvent.CLOSE)
    return Closure(closure_id, account, state, reason, now, due, terms.deadline.after(now))
