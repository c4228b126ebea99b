"""Plans while they are drafted: records go into batches, batches into the ledger, items into the digest.

One scan may give more than a plan holds, in records or in policies. Then the next plan of the chain is begun: between
two groups of batches, so that rows and the objects that go with them stand in one plan.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from retentiond.domain.plan import Part
from retentiond.domain.record import Record
from retentiond.domain.records import Records, columns_of, joined
from retentiond.engine.context import Context, new_id
from retentiond.engine.guards import check_size
from retentiond.engine.identifiers import encode_records, items_of
from retentiond.engine.leaving import owners_among
from retentiond.evidence.commitment import PlanDigest
from retentiond.evidence.statement import POLICIES_LIMIT
from retentiond.ports.rows import BatchRow

BATCH_RECORDS = 5_000
BATCHES_AT_ONCE = 4  # as many as a window gives; each transaction waits for the disk once
ACTING = "drafts:acting"  # a fact: the drafts of the process that acts, or acted last


@dataclass(slots=True)
class PlanDraft:
    """One plan of a draft.

    Attributes:
        nonce: Goes before the items in the plan's digest.
        batches: How many stand in the ledger.
        takes: Of accounts that leave: how many records, by dataset and account.
    """

    id: str
    nonce: bytes
    digest: PlanDigest
    parts: list[Part] = field(default_factory=list)
    batches: int = 0
    takes: Counter[tuple[str, str]] = field(default_factory=Counter)

    @classmethod
    def begun(cls, plan: str) -> PlanDraft:
        """Return the draft of a plan that holds nothing yet."""
        nonce = secrets.token_bytes(32)
        return cls(plan, nonce, PlanDigest(nonce))

    @property
    def records(self) -> int:
        """Records planned so far."""
        return sum(part.due for part in self.parts)

    @property
    def policies(self) -> frozenset[str]:
        """The policies that made them due."""
        return frozenset(part.policy for part in self.parts if part.policy)

    def count(self, part: int, records: Sequence[Record], leaving: Collection[str]) -> Part:
        """Count records of a part, and whose they are of the accounts that leave; return the part as it was."""
        known = self.parts[part]
        size = sum(columns_of(records).size_bytes)
        self.parts[part] = replace(known, due=known.due + len(records), size_bytes=known.size_bytes + size)
        if leaving:
            owners = (owner for record in records for owner in owners_among(leaving, record))
            self.takes.update((known.dataset, owner) for owner in owners)
        return known


@dataclass(frozen=True, slots=True)
class Bookmark:
    """How far a draft had come, to go back to when a dataset cannot be planned after all."""

    plans: int
    batches: int
    parts: tuple[Part, ...]
    digest: PlanDigest
    takes: Counter[tuple[str, str]]


class Draft:
    """Writes batches as records come in; memory holds at most one unfinished batch for each case.

    Args:
        at: The run's reference time.
        acting: Whether this is the process that acts.
        leaving: Accounts that leave, whose records are counted by account.
    """

    def __init__(
        self, ctx: Context, at: datetime, *, acting: bool = False, leaving: Collection[str] = frozenset()
    ) -> None:
        self._ctx = ctx
        self._at = at
        self._acting = acting
        self._leaving = leaving
        self._groups = 0
        self._unwritten: list[tuple[BatchRow, bytes]] = []
        self.begun: list[str] = []
        self.plans: list[PlanDraft] = []
        self._begin_plan()

    @property
    def limit(self) -> int:
        """The most records that one plan takes."""
        return self._ctx.policies.plan_records

    @property
    def batch_records(self) -> int:
        """The most records that one batch takes."""
        return min(BATCH_RECORDS, self.limit)

    @property
    def records(self) -> int:
        """Records planned so far, in all plans."""
        return sum(plan.records for plan in self.plans)

    @property
    def takes(self) -> Counter[tuple[str, str]]:
        """Of accounts that leave: how many records were planned, by dataset and account."""
        return sum((plan.takes for plan in self.plans), Counter())

    def bookmark(self) -> Bookmark:
        """Remember this point."""
        plan = self.plans[-1]
        return Bookmark(len(self.plans), plan.batches, tuple(plan.parts), plan.digest.copy(), plan.takes.copy())

    def go_back(self, mark: Bookmark) -> None:
        """Drop everything after a bookmark."""
        self.flush()
        plan = self.plans[mark.plans - 1]
        with self._ctx.ledger.begin() as tx:
            tx.batches.drop_draft_from(plan.id, mark.batches)
            for later in self.plans[mark.plans :]:
                tx.batches.drop_draft_from(later.id, 0)
        del self.plans[mark.plans :]
        plan.batches, plan.parts, plan.digest, plan.takes = mark.batches, list(mark.parts), mark.digest, mark.takes

    def new_group(self, records: int, policy: str) -> int:
        """Return the number of a new group of batches that belong together, in a plan that has room for it.

        Args:
            records: How many the group will have.
            policy: The one that makes them due; empty for none.

        Raises:
            GuardStopped: No plan takes as many.
        """
        check_size(records, self.limit)
        plan = self.plans[-1]
        full = plan.records + records > self.limit
        many = policy not in plan.policies and len(plan.policies) >= POLICIES_LIMIT
        if plan.records and (full or many):
            self._begin_plan()
        self._groups += 1
        return self._groups

    def part(self, part: Part) -> int:
        """Return the ordinal of a part in the plan in hand; it is added where the plan has none like it yet."""
        parts = self.plans[-1].parts
        for known in parts:
            if replace(known, ordinal=0, due=0, size_bytes=0) == replace(part, ordinal=0, due=0, size_bytes=0):
                return known.ordinal
        parts.append(replace(part, ordinal=len(parts), due=0, size_bytes=0))
        return len(parts) - 1

    def write(self, part: int, records: Sequence[Record], *, group: int, objects: bool = False) -> None:
        """Write records of a part of the plan in hand as batches."""
        records = columns_of(records)
        for start in range(0, len(records), self.batch_records):
            self._write_batch(part, records[start : start + self.batch_records], group, objects=objects)

    def _write_batch(self, part: int, records: Sequence[Record], group: int, *, objects: bool) -> None:
        plan = self.plans[-1]
        known = plan.count(part, records, self._leaving)
        plan.digest.extend(items_of(known.dataset, records))
        batch = BatchRow(plan.id, plan.batches, part, group, objects, len(records))
        self._unwritten.append((batch, encode_records(records)))
        plan.batches += 1
        if len(self._unwritten) >= BATCHES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what waits: before a plan is made of the draft, all of it stands in the ledger."""
        waiting, self._unwritten = self._unwritten, []
        if waiting:
            with self._ctx.ledger.begin() as tx:
                for batch, identifiers in waiting:
                    tx.batches.add(batch, identifiers)

    def _begin_plan(self) -> None:
        plan = PlanDraft.begun(new_id(self._at))
        self.begun.append(plan.id)
        with self._ctx.ledger.begin() as tx:
            tx.plans.begin_draft(plan.id, self._at)
            if self._acting:
                tx.facts.set(ACTING, " ".join(self.begun))
        self.plans.append(plan)


@contextmanager
def drafting(ctx: Context, at: datetime, *, acting: bool, leaving: Collection[str] = frozenset()) -> Iterator[Draft]:
    """Give a draft, and remove in the end what of it became no plan.

    Others may be drafting meanwhile, by hand. What the process left that acted before this one goes at once; of what
    others left nobody can tell whether they are still at it, so it goes when a plan of its age would have expired.
    """
    dead = ctx.terms.plan_expires.before(at)
    with ctx.ledger.begin() as tx:
        left = (tx.facts.get(ACTING) or "").split() if acting else []
        tx.plans.discard_drafts(left, dead)
    draft = Draft(ctx, at, acting=acting, leaving=leaving)
    try:
        yield draft
    finally:
        with ctx.ledger.begin() as tx:
            tx.plans.discard_drafts(draft.begun, dead)


class Tallies(Draft):
    """A draft that only counts: nothing of it is written anywhere, and no plan comes of it."""

    def go_back(self, mark: Bookmark) -> None:
        """Drop everything after a bookmark."""
        plan = self.plans[mark.plans - 1]
        del self.plans[mark.plans :]
        plan.parts, plan.takes = list(mark.parts), mark.takes

    def write(self, part: int, records: Sequence[Record], *, group: int, objects: bool = False) -> None:
        """Count records of a part of the plan in hand."""
        del group, objects
        self.plans[-1].count(part, records, self._leaving)

    def _begin_plan(self) -> None:
        self.plans.append(PlanDraft.begun(new_id(self._at)))


class Buffer:
    """Records of one case until they fill a batch of so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._pieces: list[Records] = []
        self.room = most  # how many more it takes

    def fill(self, records: Records) -> int:
        """Take records, no more than there is room for; return how many."""
        self._pieces.append(records)
        self.room -= len(records)
        return len(records)

    def take(self) -> Records:
        """Give the records and begin anew."""
        pieces, self._pieces, self.room = self._pieces, [], self._most
        return joined(pieces)


def packed(pairs: Sequence[tuple[Record, Sequence[Record]]], most: int) -> list[tuple[list[Record], list[Record]]]:
    """Return rows with the objects that go with them as (rows, objects), as few of them as hold `most` records each.

    A row and its objects are never parted, so one row with more objects than that stands alone.
    """
    found: list[tuple[list[Record], list[Record]]] = []
    held = 0
    for row, objects in pairs:
        weight = 1 + len(objects)
        if not found or held + weight > most:
            found.append(([], []))
            held = 0
        found[-1][0].append(row)
        found[-1][1].extend(objects)
        held += weight
    return found
