"""The port to the ledger. The engine owns its transactions: `with ledger.begin() as tx`, one noun for each table.

No transaction is open during a call to a store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from retentiond.domain.plan import Part, RunState, Trigger
from retentiond.ports.audit import Anchors, Audits
from retentiond.ports.closures import Closures
from retentiond.ports.erasures import Erasures
from retentiond.ports.log import Entries, LogState
from retentiond.ports.orders import OrderBook
from retentiond.ports.receipts import Receipts
from retentiond.ports.recovery import Journals, Pendings, Recovery
from retentiond.ports.rows import (
    ApprovalRow,
    BatchRow,
    ClaimRow,
    DigestRow,
    EndedRow,
    EventRow,
    HoldRow,
    OwnTables,
    PlanRow,
    RunRow,
)
from retentiond.ports.seals import Seals
from retentiond.ports.slots import Slots


class Plans(Protocol):
    """Plans, their parts, and their batches while the plan is drafted."""

    def begin_draft(self, plan: str, at: datetime) -> None:
        """Note that a plan is being drafted; its batches may follow."""
        ...

    def discard_drafts(self, names: Sequence[str], begun_by: datetime) -> int:
        """Remove drafts that were never finished, with their batches; return how many.

        Args:
            names: Which of them.
            begun_by: And those that were begun then or before.
        """
        ...

    def finish_draft(
        self, plan: PlanRow, parts: Sequence[Part], closures: Sequence[str] = (), erasures: Sequence[str] = ()
    ) -> None:
        """Turn a draft into a plan that serves these closures and requests for erasure."""
        ...

    def get(self, reference: str) -> PlanRow | None:
        """Return a plan by its id or its sha256."""
        ...

    def parts(self, plan: str) -> Sequence[Part]:
        """Return a plan's parts in order."""
        ...

    def in_state(self, *states: RunState) -> Sequence[PlanRow]:
        """Return plans in any of the states, oldest first."""
        ...

    def count_ended(self, trigger: Trigger) -> int:
        """Return how many plans of a trigger were carried out."""
        ...

    def asked_before(self, moment: datetime) -> Sequence[str]:
        """Return plans for what people asked, made before a time, that have ended, whose requests are still there."""
        ...

    def of_closures(self, closures: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Return (closure, plan) for each plan that serves one of the closures, each closure's plans oldest first."""
        ...

    def closures_of(self, plan: str) -> Sequence[str]:
        """Return the closures that a plan serves."""
        ...

    def set_state(self, plan: str, state: RunState) -> None:
        """Move a plan to a state."""
        ...


class Batches(Protocol):
    """Batches: the unit of intent, claim, recovery and progress."""

    def add(self, batch: BatchRow, identifiers: bytes) -> None:
        """Store a batch with its exact identifiers."""
        ...

    def drop_draft_from(self, plan: str, ordinal: int) -> None:
        """Drop the batches of a draft from an ordinal on: the dataset they belong to cannot be planned after all."""
        ...

    def of_plan(self, plan: str) -> Sequence[BatchRow]:
        """Return all batches of a plan in order, without identifiers."""
        ...

    def identifiers(self, plan: str, ordinal: int) -> bytes:
        """Return a batch's identifiers; sealed once the batch has ended.

        Raises:
            LedgerError: They were destroyed at the end of their retention period.
        """
        ...

    def claim(self, plan: str, ordinal: int, now: datetime) -> int:
        """Claim a batch that has not ended, whoever claimed it before; return the new token."""
        ...

    def token(self, plan: str, ordinal: int) -> int:
        """Return the token of the newest claim."""
        ...

    def mark_acted(self, plan: str, ordinal: int, token: int) -> None:
        """Move a claimed batch to acted.

        Raises:
            LedgerError: The token is not the newest.
        """
        ...

    def finish(self, batch: BatchRow, sealed: bytes, now: datetime) -> None:
        """End a batch under `batch.token` with its state, outcomes and reason; its identifiers are kept sealed only.

        Raises:
            LedgerError: The token is not the newest, or the batch has ended already.
        """
        ...

    def amend(self, batch: BatchRow, sealed: bytes) -> None:
        """Correct the outcomes of an ended batch whose run has no receipt yet."""
        ...

    def set_receipted(self, plan: str) -> None:
        """Move all ended batches of a plan to receipted (those carried over stay so)."""
        ...

    def destroy_identifiers(self, before: datetime) -> int:
        """Destroy sealed identifiers of receipted batches that ended before a time; return how many batches."""
        ...


class Claims(Protocol):
    """Claims of batches: who may still be acting, and the fence against it."""

    def get(self, plan: str, ordinal: int) -> ClaimRow:
        """Return the newest claim of a batch.

        Raises:
            NotFound: There is no such batch.
        """
        ...

    def in_flight(self) -> Sequence[ClaimRow]:
        """Return the claims of all batches that were claimed and have not ended."""
        ...

    def fence_off(self, plan: str, ordinal: int, token: int) -> bool:
        """Take a batch from the holder of a claim, who can't act under it any more; nobody has it then.

        Returns:
            False when the token is not the newest, or the batch has ended.
        """
        ...


class Lookback(Protocol):
    """Batches that were verified, by time."""

    def ended_since(self, moment: datetime) -> Sequence[EndedRow]:
        """Return the batches that were verified at or after a time, oldest first, and whether each can be read."""
        ...


class Runs(Protocol):
    """Runs."""

    def add(self, run: RunRow) -> None:
        """Store a run."""
        ...

    def get(self, run: str) -> RunRow | None:
        """Return a run by its id."""
        ...

    def of_plan(self, plan: str) -> RunRow | None:
        """Return the run of a plan, or None."""
        ...

    def recent(self, limit: int) -> Sequence[RunRow]:
        """Return the newest runs first."""
        ...

    def finish(self, run: str, state: RunState, at: datetime, receipt: str) -> None:
        """End a run."""
        ...

    def set_state(self, run: str, state: RunState) -> None:
        """Move a run to a state."""
        ...


class Approvals(Protocol):
    """Signatures, used nonces, and pairs of policy and dataset that were approved."""

    def add(self, approval: ApprovalRow) -> None:
        """Store a signature; the same principal's newer one replaces the older."""
        ...

    def of_plan(self, plan_sha256: str) -> Sequence[ApprovalRow]:
        """Return the signatures under a plan, oldest first."""
        ...

    def use_nonce(self, nonce: str, at: datetime) -> bool:
        """Note a nonce; False when it was used before."""
        ...

    def approve_pair(self, policy: tuple[str, str], dataset: tuple[str, str], lists: str) -> None:
        """Approve exactly this (policy id, sha256), (dataset name, sha256) and commitment to lists."""
        ...

    def approved_policy(self, policy: str, dataset: str) -> tuple[str, str] | None:
        """Return what was approved last of a policy for a dataset: its sha256, and the commitment to its lists."""
        ...

    def approved_dataset(self, dataset: str) -> str | None:
        """Return the sha256 of the form of a dataset that was approved last, under whatever policy."""
        ...

    def is_approved(self, policy: tuple[str, str], dataset: tuple[str, str], lists: str) -> bool:
        """Tell whether exactly this was approved, and nothing else for the same names since."""
        ...


class Holds(Protocol):
    """Legal holds and their epoch."""

    def add(self, *holds: HoldRow) -> None:
        """Place holds and raise the epoch."""
        ...

    def release(self, hold: str, at: datetime) -> None:
        """Release a hold and raise the epoch."""
        ...

    def set_review(self, hold: str, at: datetime | None) -> None:
        """Note when a hold in force is to be reviewed; what it holds does not change.

        Raises:
            NotFound: No such hold is in force.
        """
        ...

    def note_removed(self, hold: str, removed: int, may_be_gone: int) -> None:
        """Note how much of what a hold names was removed before it came."""
        ...

    def active(self) -> Sequence[HoldRow]:
        """Return the holds in force, oldest first."""
        ...

    def all(self) -> Sequence[HoldRow]:
        """Return every hold that was ever placed, oldest first."""
        ...

    def unsealed(self) -> Sequence[HoldRow]:
        """Return the holds of older programs, which stand there as they were typed."""
        ...

    def seal(self, hold: str, sealed: bytes) -> None:
        """Put sealed bytes in the place of what an older program left plain."""
        ...

    def epoch(self) -> int:
        """Return the epoch, read under the lock that changes of holds take."""
        ...


class Events(Protocol):
    """Append-only events, each with a salted digest."""

    def append(self, kind: str, subject: str, at: datetime, detail: Mapping[str, object] | None = None) -> None:
        """Append an event; `detail` never holds a key, a row or a token."""
        ...

    def newest(self, limit: int) -> Sequence[EventRow]:
        """Return the newest events first."""
        ...

    def last_before(self, moment: datetime) -> int:
        """Return the number of the last event that bears an earlier time; 0 where there is none."""
        ...

    def digests(self, after: int, limit: int) -> Sequence[DigestRow]:
        """Return the digests of the events that follow a number."""
        ...

    def forget(self, before: datetime, up_to: int) -> int:
        """Forget detail and salt of events of before a time, up to a number; return how many."""
        ...


class Facts(Protocol):
    """Small named values, such as the highest time ever seen."""

    def get(self, name: str) -> str | None:
        """Return a value, or None."""
        ...

    def set(self, name: str, value: str) -> None:
        """Set a value."""
        ...


class Transaction(Protocol):
    """One transaction; it commits when its block ends and rolls back when the block raises."""

    plans: Plans
    batches: Batches
    claims: Claims
    lookback: Lookback
    runs: Runs
    approvals: Approvals
    holds: Holds
    closures: Closures
    erasures: Erasures
    receipts: Receipts
    entries: Entries
    journal: Journals
    pending: Pendings
    recovery: Recovery
    slots: Slots
    events: Events
    anchors: Anchors
    audits: Audits
    facts: Facts
    seals: Seals


class Ledger(OrderBook, Protocol):
    """What happened."""

    log_state: LogState

    def begin(self, *, shared: bool = False) -> AbstractContextManager[Transaction]:
        """Begin a transaction that may write; what it read stays true until it ends.

        A LedgerError inside may have ended it; then whatever follows in it, and its end, raise one, too.

        Args:
            shared: Whether others like it may run beside it, where the engine can: for what reads nothing but its own
                batch and the holds.

        Raises:
            LedgerBusy: This process acted, and has lost its lock: another one may act by now. Stop.
            LedgerError: It cannot be begun or committed (locked, full disk, damaged, connection lost). Nothing of it
                happened, unless the error says that this is unknown: read again, and take nothing for done.
        """
        ...

    def own_tables(self) -> OwnTables | None:
        """Return where the ledger's own tables lie; None where no store can hold them."""
        ...

    def acting(self) -> AbstractContextManager[None]:
        """Be the one process that acts, until the block ends or the lock is lost: see `begin`.

        Raises:
            LedgerBusy: Another process acts on this ledger.
        """
        ...

    def backup(self, target: Path) -> None:
        """Write a consistent copy; the target must not exist."""
        ...

    def check(self) -> Iterator[str]:
        """Yield what is wrong with the ledger itself; nothing when it is sound."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
