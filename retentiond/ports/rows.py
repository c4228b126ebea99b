"""What the ledger's tables hold, as values. Bytes called `sealed` were sealed under the wrapping key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from retentiond.domain.account import AccountState, Remainder, next_deadline
from retentiond.domain.erasure import ErasureState
from retentiond.domain.plan import BatchState, Forecast, RunState, Trigger


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan as the ledger keeps it.

    Attributes:
        sha256: SHA-256 of the plan's PAE, lower-case hex.
        log_index: Index of its entry in the log.
        envelope: Its DSSE envelope.
        nonce: 32 bytes that go with the digest of its items.
        policies, datasets: (name, sha256) pairs that the plan is bound to.
        approvals_needed: How many distinct principals must approve; 0 when none.
        reasons: Why approval is needed, or what a guard said.
        lists: Commitment to the named lists that the policies use.
    """

    id: str
    sha256: str
    state: RunState
    trigger: Trigger
    created_at: datetime
    expires_at: datetime
    reference_time: datetime
    log_index: int
    envelope: bytes
    nonce: bytes
    policies: tuple[tuple[str, str], ...]
    datasets: tuple[tuple[str, str], ...]
    records: int
    approvals_needed: int = 0
    reasons: tuple[str, ...] = ()
    forecasts: tuple[Forecast, ...] = ()
    lists: str = ""

    def has_expired(self, now: datetime) -> bool:
        """Tell whether the time in which it could be begun is over."""
        return now >= self.expires_at


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch without its identifiers.

    Attributes:
        ordinal: Its place in the plan, from 0; batches are carried out in this order.
        part: Ordinal of its part.
        group: Batches of one group belong together: objects first, then the rows that name them.
        objects: Whether these are objects that rows of the group name.
        token: Of the newest claim; an older claim must not act.
        outcomes: Final counts by receipt outcome (`purged`, `alreadyGone` …); empty until it ends.
        reason: Why it was carried over; empty otherwise.
    """

    plan: str
    ordinal: int
    part: int
    group: int
    objects: bool
    count: int
    state: BatchState = BatchState.PLANNED
    token: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EndedRow:
    """A batch that was verified. `readable`: whether its identifiers were not yet destroyed."""

    batch: BatchRow
    readable: bool


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """The newest claim of a batch.

    Attributes:
        part: Ordinal of the batch's part.
        claimed_at: When it was last claimed; None before the first time.
    """

    plan: str
    ordinal: int
    part: int
    state: BatchState
    token: int
    claimed_at: datetime | None


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A sealed record of the journal.

    Attributes:
        sha256: Of the sealed bytes, lower-case hex; the record's name, and what its entry in the log says.
        log_index: Index of its entry; None as long as it is not staged.
        written: Whether its file stands in the journal.
    """

    sha256: str
    sealed: bytes
    log_index: int | None = None
    written: bool = False


@dataclass(frozen=True, slots=True)
class PendingRow:
    """A change that waits until its entry is published. `subject` is the hold, closure or erasure that it changes."""

    log_index: int
    kind: str
    subject: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SlotRow:
    """A slot of a schedule that somebody took.

    Attributes:
        schedule: `main`, or the number of a rule with an interval of its own.
        slot: When it begins.
        taken_by: The process.
        finished_at: None while whoever took it is at work, or was stopped before its end.
        outcome: What came of it, in a word; empty until then.
    """

    policy: str
    schedule: str
    slot: datetime
    taken_at: datetime
    taken_by: str
    finished_at: datetime | None = None
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class RunRow:
    """A plan being carried out. `commitment_key` is the receipt's K, sealed; empty once it is destroyed."""

    id: str
    plan: str
    state: RunState
    started_at: datetime
    commitment_key: bytes
    finished_at: datetime | None = None
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One signature under a plan. `approve` is False for a rejection; `log_index` of its state entry."""

    plan_sha256: str
    principal: str
    approve: bool
    not_after: str
    signature: str
    at: datetime
    log_index: int


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold. What it is of (matter, custodian, reason, scope) stands sealed: matters are confidential.

    Attributes:
        review_at: When somebody is to look whether it is needed still.
        removed_meanwhile: Records that it names and that older claims removed; None where nobody could count them.
        may_be_gone: Records that it names and of which that could not be told then.
    """

    id: str
    sealed: bytes
    placed_at: datetime
    review_at: datetime | None = None
    released_at: datetime | None = None
    removed_meanwhile: int | None = None
    may_be_gone: int | None = None


@dataclass(frozen=True, slots=True)
class ClosureRow:
    """A closure. The account stands sealed until it is closed; after that only its commitment is left.

    Attributes:
        begun_at: When its grace was over and it began; None before that.
        remainder: What the last look found of the account; None where it found nothing, or nobody looked.
        jurisdiction: Where the account belongs, by a name of `closure.jurisdictions`; empty where nobody said it.
    """

    id: str
    commitment: str
    account_sealed: bytes
    state: AccountState
    reason: str
    requested_at: datetime
    due_at: datetime
    deadline_at: datetime
    receipt: str = ""
    begun_at: datetime | None = None
    remainder: Remainder | None = None
    jurisdiction: str = ""

    @property
    def next_deadline(self) -> datetime:
        """By when the next thing has to be gone: of one of which only what has to be kept is left, its first date."""
        return next_deadline(self.deadline_at, self.remainder)


@dataclass(frozen=True, slots=True)
class ErasureRow:
    """A request for erasure. Whoever asks stands sealed until it ends; after that only commitments are left.

    Attributes:
        commitment: To the person, under the replay key.
        of_account: To the person's account, likewise, as closures have it.
        subject_sealed: The person; empty once the request has ended.
        texts_sealed: What people wrote of it; empty once the time of that is over.
        law: The law that it was made under, by its id.
        received_on: The day of receipt where whoever answers is, as ISO 8601 writes it.
        asked_at: When it was taken in here.
        first_at, last_at: When the time without an extension ends, and with it.
        confirm_at: By when its receipt is to be confirmed; None where that is not asked for.
        deadline_at: Which of the two is in force.
        extended_at: When it was extended; None where it was not.
        begun_at: When removal began; None before that.
        ended_at: When it was done, refused or cancelled; None before that.
        remainder: What the last look found of the person; None where it found nothing, or nobody looked.
        jurisdiction: Where the account belongs, as in a closure; empty where nobody said it.
    """

    id: str
    commitment: str
    of_account: str
    subject_sealed: bytes
    texts_sealed: bytes
    law: str
    state: ErasureState
    received_on: str
    asked_at: datetime
    first_at: datetime
    last_at: datetime
    confirm_at: datetime | None
    deadline_at: datetime
    extended_at: datetime | None = None
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    receipt: str = ""
    remainder: Remainder | None = None
    jurisdiction: str = ""

    @property
    def next_deadline(self) -> datetime:
        """By when the next thing has to be gone: of one of which only what has to be kept is left, its first date."""
        return next_deadline(self.deadline_at, self.remainder)


@dataclass(frozen=True, slots=True)
class ClosedRow:
    """An account that is closed: its commitment, when its closure ended, and what the closure said; with its number."""

    sequence: int
    commitment: str
    ended_at: datetime
    requested_at: datetime
    jurisdiction: str


@dataclass(frozen=True, slots=True)
class ErasedRow:
    """A person whose data was erased: commitments to person and account, when it was done, what the request said."""

    sequence: int
    commitment: str
    of_account: str
    ended_at: datetime
    requested_at: datetime
    jurisdiction: str


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """A receipt.

    Attributes:
        closure: The closure that it is of; empty for the receipts of runs.
        log_index: Of its entry.
        commitment_key: K, sealed; empty once it is destroyed.
        file: Its bundle; empty until that is written.
    """

    id: str
    kind: str
    plan: str
    closure: str
    issued_at: datetime
    envelope: bytes
    annex: bytes
    entry_sha256: str
    log_index: int
    commitment_key: bytes
    file: str = ""


@dataclass(frozen=True, slots=True)
class ReceiptBrief:
    """Which receipt it is, without what it says; the fields mean what they mean in `ReceiptRow`."""

    id: str
    kind: str
    issued_at: datetime
    entry_sha256: str
    log_index: int


@dataclass(frozen=True, slots=True)
class RetractionRow:
    """A receipt that was taken back.

    Attributes:
        receipt_index: Of the receipt's entry; the receipt itself may be lost.
        reason: Why, in one word.
        log_index: Of the entry that says so.
    """

    receipt_index: int
    reason: str
    at: datetime
    log_index: int


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that happened; never changed, never removed but by its own retention period."""

    sequence: int
    at: datetime
    kind: str
    subject: str
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AnchorRow:
    """An anchor: the Merkle root over the digests of events that follow each other, as it stands in the log.

    Attributes:
        log_index: Of its entry.
        first_event, last_event: Numbers of the events; 0 where they were lost with an older ledger.
        root: Lower-case hex.
    """

    log_index: int
    first_event: int
    last_event: int
    root: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DigestRow:
    """An event's digest. `forgotten`: whether its detail and salt are gone."""

    sequence: int
    at: datetime
    digest: bytes
    forgotten: bool


@dataclass(frozen=True, slots=True)
class OwnTables:
    """The ledger's tables as a store that is the same database would name them.

    Attributes:
        location: As `ports.stores.Located` says it.
        names: Schema and table, with a point between them.
    """

    location: str
    names: frozenset[str]
