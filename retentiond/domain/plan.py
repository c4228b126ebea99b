"""Plans, batches and outcomes as values: what a run will do, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from retentiond.domain.decision import Cases, hide_cases, named_cases
from retentiond.domain.policy import Action


class Trigger(StrEnum):
    """What made a run happen."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    CLOSURE = "closure"
    ERASURE = "erasure"
    REPLAY = "replay"


class Outcome(StrEnum):
    """What a connector says came of one record when it acted; only a separate read makes it final.

    BLOCKED: it is due, and was left since rows that go before it are still there. ALREADY_THERE: it was to be brought
    back, and nothing hides it.
    """

    DONE = "done"
    ALREADY_GONE = "already-gone"
    CHANGED = "changed"
    HELD = "held"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"
    ALREADY_THERE = "already-there"


class Sighting(StrEnum):
    """What a separate read says of one record of a batch.

    ABSENT: a complete answer that does not contain it. HIDDEN: there, with its tombstone. DUE: there, and the batch's
    predicate is true of it. CHANGED: there, and the predicate is not true of it. UNKNOWN: no complete answer. VISIBLE:
    there, and nothing hides it; only said of records that were to be brought back. CLEARED: there, and what was to go
    from it stands in none of its targets; nor, where the act told what that was, anywhere else in it. REMAINS: the
    targets are empty, and what stood there stands elsewhere in the record.
    """

    ABSENT = "absent"
    HIDDEN = "hidden"
    DUE = "due"
    CHANGED = "changed"
    UNKNOWN = "unknown"
    VISIBLE = "visible"
    CLEARED = "cleared"
    REMAINS = "remains"


class RunState(StrEnum):
    """Where a plan or run stands."""

    PLANNED = "planned"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    PARTIAL = "partial"
    STOPPED = "stopped"
    CANCELLED = "cancelled"


class BatchState(StrEnum):
    """Where a batch stands."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    ACTED = "acted"
    VERIFIED = "verified"
    RECEIPTED = "receipted"
    CARRIED_OVER = "carried-over"


class Basis(StrEnum):
    """Where a part's predicate comes from."""

    POLICY = "policy"
    CLOSURE = "closure"
    NAMED = "named"
    HIDDEN_WITH_ROW = "hidden-with-row"
    MANUAL = "manual"
    ERASURE = "erasure"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Part:
    """One line of a plan: the records of a dataset that one rule makes due for one action.

    Attributes:
        ordinal: Its place in the plan, from 0.
        policy: The policy's id.
        rule: The policy's rule, from 1; 0 for closures and manual purges.
        keep: The retention period as ISO 8601; empty for closures and manual purges.
        cutoff: Reference time less retention period; the reference time for closures, less the floor for manual
            purges.
        case: Index of the case, in the cases of its basis, that must win for each record.
        due: Records planned.
        size_bytes: Their size together.
    """

    ordinal: int
    dataset: str
    policy: str
    rule: int
    action: Action
    keep: str
    cutoff: datetime
    basis: Basis
    case: int
    due: int = 0
    size_bytes: int = 0


def fixed_cases(basis: Basis) -> Cases:
    """Return the cases of a basis that asks neither accounts, nor a policy, nor a person's request.

    Raises:
        ValueError: The basis does.
    """
    if basis is Basis.NAMED:
        return named_cases()
    if basis is Basis.HIDDEN_WITH_ROW:
        return hide_cases()
    message = f"the cases of a {basis} come from elsewhere"
    raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a plan found in one dataset, for people: counts of records and bytes.

    Attributes:
        examined: Records looked at; None without a full scan.
        kept: Records within their retention period; None without a full scan.
        doubts: Undetermined records by reason.
        oldest: Microseconds since the epoch of the oldest record that is due; None when none is.
        follows: The dataset whose rows name these objects; empty for none.
        actions: How many of those that are due go in which way.
        waiting: Records that are due, and that their store does not let go before a date; they are in no plan till
            then.
    """

    dataset: str
    policy: str
    examined: int | None
    due: int
    kept: int | None
    held: int
    undetermined: int
    size_bytes: int
    doubts: tuple[tuple[str, int], ...] = ()
    oldest: int | None = None
    follows: str = ""
    waiting: int = 0
    actions: tuple[tuple[str, int], ...] = ()
