"""Rebuilding a ledger from the published log, the journal and the bundles, inside one transaction.

What the log says, counts in the log's order. A record of the journal is applied where its entry stands; what the old
ledger did not know and nothing can tell any more is named, never guessed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from retentiond.domain.account import AccountState
from retentiond.domain.erasure import OPEN, ErasureEvent, ErasureState, Person
from retentiond.domain.hold import Hold
from retentiond.domain.plan import RunState
from retentiond.domain.scopes import read_scope
from retentiond.engine import (
    accounts,
    allowed,
    approvers,
    closure_receipts,
    closures,
    erasures,
    guards,
    keychange,
    leaving,
    manual,
    pausing,
    retracting,
    undoing,
)
from retentiond.engine.affairs import ERASURES
from retentiond.engine.context import Context
from retentiond.engine.docket import RELEASE, REVIEW, each_of, row_of
from retentiond.engine.finding import Surroundings
from retentiond.engine.holds import settle_releases_in
from retentiond.engine.leaving import account_of
from retentiond.engine.pseudonyms import end_salt
from retentiond.engine.retractions import retractions_in
from retentiond.engine.signing import Signed
from retentiond.errors import LogIntegrityError, RetentiondError
from retentiond.evidence.entry import Entry, EntryKind
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import (
    AnchorRow,
    ApprovalRow,
    ClosureRow,
    ErasureRow,
    JournalRow,
    PendingRow,
    RetractionRow,
)

_OVER = (RunState.DONE, RunState.PARTIAL, RunState.CANCELLED)
_UNBEGUN = (RunState.PLANNED, RunState.WAITING)


@dataclass(slots=True)
class Rebuilt:
    """What came of it.

    Attributes:
        unreadable: Entries of changes whose record is not in the journal, or sealed under another key.
        receipts: Receipts that were taken from bundles.
        without_bundle: Entries of receipts that no bundle shows.
        lost_approvals: Whether people approved plans that the ledger does not know.
        latest: The latest time that any of it bears.
    """

    first: int
    unreadable: list[int] = field(default_factory=list)
    receipts: int = 0
    without_bundle: list[int] = field(default_factory=list)
    lost_approvals: bool = False
    latest: datetime | None = None

    def saw(self, moment: datetime) -> None:
        """Take note of a time."""
        self.latest = moment if self.latest is None else max(self.latest, moment)


class Rebuilding:
    """One rebuilding, inside a transaction."""

    def __init__(self, ctx: Context, tx: Transaction, around: Surroundings, entries: Sequence[Entry]) -> None:
        self._ctx = ctx
        self._tx = tx
        self._around = around
        self._entries = entries
        self._closure_of: dict[str, str] = {}
        self._retracted_at: datetime | None = None
        self._known = {row.sha256: row for row in tx.journal.all()}

    def run(self, first: int) -> Rebuilt:
        """Apply every entry from an index on; those before it the ledger has."""
        found = Rebuilt(first)
        self._settle()
        records = {index: self._record(index, found) for index in range(first, len(self._entries))}
        for record in records.values():
            if record and record["kind"] == closure_receipts.CLOSED:
                self._closure_of[record["receipt"]] = record["id"]
        for index in range(first, len(self._entries)):
            entry = self._entries[index]
            if entry.kind in (EntryKind.RECEIPT, EntryKind.VOID):
                self._end(entry)
            if entry.kind is EntryKind.RECEIPT:
                self._receipt(index, entry, found)
            elif entry.kind is EntryKind.POLICY:
                text = self._ctx.log.read_file(f"policies/{entry.sha256}.json")
                self._tx.facts.set(f"canonical:{entry.sha256}", text.decode() if text else "logged")
            elif entry.kind is EntryKind.RETRACT:
                self._retraction(index, entry)
            elif entry.kind is EntryKind.ANCHOR:
                self._tx.anchors.add(AnchorRow(index, 0, 0, entry.sha256, self._ctx.now()))
            elif (record := records[index]) is not None:
                self._apply(index, record, found)
        self._take_keys(first)
        self._remember_time(found)
        return found

    def _settle(self) -> None:
        """Let count what waited for an entry that is published by now, before anything later is applied."""
        now = self._ctx.now()
        settle_releases_in(self._tx, len(self._entries), now)
        closures.settle_closures_in(self._tx, len(self._entries), now)
        erasures.settle_erasures_in(self._tx, len(self._entries), now)

    def _record(self, index: int, found: Rebuilt) -> dict[str, Any] | None:
        """Return the record of an entry that is not applied yet; None where there is nothing to apply."""
        entry = self._entries[index]
        if entry.kind is not EntryKind.STATE:
            return None
        known = self._known.get(entry.sha256)
        if known is not None:  # its effect was in the ledger before its entry was
            self._tx.journal.deliver(replace(known, log_index=index))
            return None
        sealed = self._ctx.journal.sealed(entry.sha256)
        if sealed is None:
            found.unreadable.append(index)
            return None
        self._tx.journal.add(JournalRow(entry.sha256, sealed, index, written=True))
        try:
            return dict(self._ctx.journal.open(sealed))
        except RetentiondError:
            found.unreadable.append(index)
            return None

    def _apply(self, index: int, record: Mapping[str, Any], found: Rebuilt) -> None:
        at = datetime.fromisoformat(record["at"])
        found.saw(at)
        if record.get("nonce"):
            self._tx.approvals.use_nonce(record["nonce"], at)
        how = _APPLY.get(record["kind"])
        if how is None:
            found.unreadable.append(index)
            return
        for each in each_of(record):
            how(self, index, each, at, found)

    def _hold(self, _index: int, record: Mapping[str, Any], at: datetime, _found: Rebuilt) -> None:
        review = record.get("review")
        hold = Hold(
            id=record["id"],
            matter=record["matter"],
            scope=read_scope(record["scope"]),
            placed_at=at,
            reason=record["reason"],
            custodian=record.get("custodian", ""),
            review_at=datetime.fromisoformat(review) if review else None,
        )
        self._tx.holds.add(row_of(self._ctx, hold))

    def _release(self, _index: int, record: Mapping[str, Any], at: datetime, _found: Rebuilt) -> None:
        if record["id"] in {hold.id for hold in self._tx.holds.active()}:
            self._tx.holds.release(record["id"], at)

    def _review(self, _index: int, record: Mapping[str, Any], _at: datetime, _found: Rebuilt) -> None:
        if record["id"] in {hold.id for hold in self._tx.holds.active()}:
            until = record["until"]
            self._tx.holds.set_review(record["id"], datetime.fromisoformat(until) if until else None)

    def _closure(self, _index: int, record: Mapping[str, Any], _at: datetime, _found: Rebuilt) -> None:
        requested, due, deadline = (datetime.fromisoformat(record[name]) for name in _CLOSURE_TIMES)
        account = record["account"]
        self._tx.closures.add(
            ClosureRow(
                id=record["id"],
                commitment=accounts.account_commitment(self._ctx, account),
                account_sealed=leaving.seal_account(self._ctx, record["id"], account),
                state=AccountState.GRACE,
                reason="",
                requested_at=requested,
                due_at=due,
                deadline_at=deadline,
                jurisdiction=record.get("jurisdiction", ""),
            )
        )

    def _cancel(self, _index: int, record: Mapping[str, Any], _at: datetime, _found: Rebuilt) -> None:
        closure = self._tx.closures.get(record["id"])
        if closure is not None and closure.state is AccountState.GRACE:
            self._tx.closures.cancel(closure.id)

    def _closed(self, _index: int, record: Mapping[str, Any], _at: datetime, _found: Rebuilt) -> None:
        closure = self._tx.closures.get(record["id"])
        if closure is not None:
            if closure.account_sealed:
                end_salt(self._ctx, self._tx, account_of(self._ctx, closure))
            receipt = self._tx.receipts.get(record["receipt"])
            self._tx.closures.close(record["id"], receipt.id if receipt else "")

    def _erasure(self, _index: int, record: Mapping[str, Any], at: datetime, _found: Rebuilt) -> None:
        person, name = Person(record["account"], record["user"]), record["id"]
        first, last, asked = (datetime.fromisoformat(record[each]) for each in ("firstAt", "lastAt", "askedAt"))
        row = ErasureRow(
            id=name,
            commitment=erasures.person_commitment(self._ctx, person),
            of_account=accounts.account_commitment(self._ctx, person.account),
            subject_sealed=leaving.seal_person(self._ctx, name, person),
            texts_sealed=b"",
            law=record["law"],
            state=ErasureState.VERIFIED if record["identity"] else ErasureState.RECEIVED,
            received_on=record["receivedOn"],
            asked_at=asked,
            first_at=first,
            last_at=last,
            confirm_at=datetime.fromisoformat(record["confirmAt"]) if record["confirmAt"] else None,
            deadline_at=first,
            jurisdiction=record.get("jurisdiction", ""),
        )
        self._tx.erasures.add(row)
        for verb, text in (("add", record["reason"]), ("verify", record["identity"])):
            if text:
                self._write(name, verb, text, record, at)

    def _erasure_change(self, _index: int, record: Mapping[str, Any], at: datetime, _found: Rebuilt) -> None:
        event = _ERASURE_EVENTS[record["kind"]]
        if self._write(record["id"], event.value, record["reason"], record, at):
            row = self._tx.erasures.get(record["id"])
            if row is not None and not erasures.apply_event(self._tx, row, event, at):
                self._tx.events.append("erasure.too-late", row.id, at, {"by": record["by"], "change": record["kind"]})

    def _write(self, name: str, verb: str, text: str, record: Mapping[str, Any], at: datetime) -> bool:
        """Add a line to what is written of a request; False where nothing is known of it."""
        row = self._tx.erasures.get(name)
        if row is None:
            return False
        signed = Signed(record["by"], record["signature"])
        erasures.write_texts(self._ctx, self._tx, row, erasures.said(verb, signed, at, text))
        return True

    def _erased(self, _index: int, record: Mapping[str, Any], at: datetime, _found: Rebuilt) -> None:
        row = self._tx.erasures.get(record["id"])
        if row is not None and row.state in OPEN:
            closure_receipts.end_salt_of(self._ctx, self._tx, row)
            receipt = self._tx.receipts.get(record["receipt"])
            self._tx.erasures.end(row.id, ErasureState.DONE, at, receipt.id if receipt else "")

    def _approval(self, index: int, record: Mapping[str, Any], at: datetime, found: Rebuilt) -> None:
        plan = self._tx.plans.get(record["plan"])
        found.lost_approvals = found.lost_approvals or plan is None
        row = ApprovalRow(
            plan_sha256=record["plan"],
            principal=record["principal"],
            approve=record["approve"],
            not_after=record["notAfter"],
            signature=record["signature"],
            at=at,
            log_index=index,
        )
        self._tx.approvals.add(row)
        if plan is not None and not row.approve and plan.state in _UNBEGUN:
            self._tx.plans.set_state(plan.id, RunState.CANCELLED)

    def _approvers(self, _index: int, record: Mapping[str, Any], at: datetime, _found: Rebuilt) -> None:
        if "text" in record:
            allowed.take(self._tx, allowed.read(dict(record)), at)
        else:  # an older program kept only the digest
            self._tx.facts.set(allowed.CURRENT, record["sha256"])

    def _pause(self, index: int, record: Mapping[str, Any], at: datetime, _found: Rebuilt) -> None:
        pausing.set_paused(self._tx, pausing.Pause(at, record["reason"]), index)

    def _resume(self, _index: int, _record: Mapping[str, Any], _at: datetime, _found: Rebuilt) -> None:
        self._tx.facts.set(guards.PAUSED, "")

    def _run_cancel(self, index: int, record: Mapping[str, Any], at: datetime, _found: Rebuilt) -> None:
        """Have it count as any other whose entry is published: with the next run, unless the plan has ended by then."""
        plan = self._tx.plans.get(record["plan"])
        if plan is not None:
            self._tx.pending.add(PendingRow(index, pausing.CANCEL, plan.id, record["by"], at))

    def _nothing(self, _index: int, _record: Mapping[str, Any], _at: datetime, _found: Rebuilt) -> None:
        """Something was said that has no effect by now, or whose effect is what other records say."""

    def _end(self, entry: Entry) -> None:
        """End a plan whose receipt or void is in the log; the ledger's own copy of it is not carried out again."""
        if entry.subject is None:
            return
        plan = self._tx.plans.get(self._entries[entry.subject].sha256)
        if plan is None or plan.state in _OVER:
            return
        self._tx.plans.set_state(plan.id, RunState.CANCELLED)
        run = self._tx.runs.of_plan(plan.id)
        if run is not None and not run.receipt:
            self._tx.runs.set_state(run.id, RunState.CANCELLED)

    def _receipt(self, index: int, entry: Entry, found: Rebuilt) -> None:
        bundle = self._around.bundles.get(entry.sha256)
        if bundle is None:
            found.without_bundle.append(index)
            return
        row = bundle.row(index, "")
        closure = self._closure_of.get(row.id, "")
        if closure and self._tx.closures.get(closure) is not None:
            row = replace(row, closure=closure)
        self._tx.receipts.add(row)
        found.receipts += 1
        found.saw(row.issued_at)

    def _take_keys(self, first: int) -> None:
        """Take the history of the keys that the log names last: without it nobody can tell which may sign."""
        named = [entry.sha256 for entry in self._entries[first:] if entry.kind is EntryKind.KEY]
        if not named:
            return
        path = keychange.HISTORY_FILE
        known = (self._ctx.log.read_file(path), self._ctx.keys.kept_history())
        right = [data for data in known if data is not None and hashlib.sha256(data).hexdigest() == named[-1]]
        if not right:
            raise LogIntegrityError(
                "the history of keys that the log names last is not there, so nobody can tell which may sign",
                where=path,
                remedy="put it back as it was published, beside the log or among the keys; nothing was written",
            )
        self._tx.facts.set(keychange.HISTORY, right[0].decode())

    def _retract(self, _index: int, _record: Mapping[str, Any], at: datetime, _found: Rebuilt) -> None:
        """Remember when it was; the entries that follow take the receipts back."""
        self._retracted_at = at

    def _retraction(self, index: int, entry: Entry) -> None:
        if entry.subject is not None and entry.subject not in retractions_in(self._tx):
            at = self._retracted_at or self._ctx.now()
            self._tx.receipts.retract(RetractionRow(entry.subject, entry.reason, at, index))

    def _remember_time(self, found: Rebuilt) -> None:
        """Raise the latest time that was ever seen, so that a clock that runs backwards is noticed still."""
        known = self._tx.facts.get(guards.CLOCK_HIGH_WATER)
        if found.latest is not None and (known is None or datetime.fromisoformat(known) < found.latest):
            self._tx.facts.set(guards.CLOCK_HIGH_WATER, found.latest.isoformat())


_ERASURE_EVENTS = {
    erasures.VERIFY: ErasureEvent.VERIFY,
    erasures.EXTEND: ErasureEvent.EXTEND,
    erasures.REFUSE: ErasureEvent.REFUSE,
    erasures.CANCEL: ErasureEvent.CANCEL,
}
_CLOSURE_TIMES = ("requestedAt", "dueAt", "deadlineAt")
_APPLY: dict[str, Callable[[Rebuilding, int, Mapping[str, Any], datetime, Rebuilt], None]] = {
    "hold": Rebuilding._hold,  # noqa: SLF001 - one way for each kind of record
    RELEASE: Rebuilding._release,  # noqa: SLF001
    REVIEW: Rebuilding._review,  # noqa: SLF001
    closures.CLOSE: Rebuilding._closure,  # noqa: SLF001
    closures.CANCEL: Rebuilding._cancel,  # noqa: SLF001
    closure_receipts.CLOSED: Rebuilding._closed,  # noqa: SLF001
    erasures.ADD: Rebuilding._erasure,  # noqa: SLF001
    **dict.fromkeys(_ERASURE_EVENTS, Rebuilding._erasure_change),  # noqa: SLF001
    ERASURES.ended: Rebuilding._erased,  # noqa: SLF001
    "approval": Rebuilding._approval,  # noqa: SLF001
    approvers.TAKEN: Rebuilding._approvers,  # noqa: SLF001
    pausing.PAUSE: Rebuilding._pause,  # noqa: SLF001
    pausing.RESUME: Rebuilding._resume,  # noqa: SLF001
    pausing.CANCEL: Rebuilding._run_cancel,  # noqa: SLF001
    approvers.SIGNED: Rebuilding._nothing,  # noqa: SLF001
    keychange.CHANGED: Rebuilding._nothing,  # noqa: SLF001
    "recovery": Rebuilding._nothing,  # noqa: SLF001
    "clock": Rebuilding._nothing,  # noqa: SLF001
    retracting.KIND: Rebuilding._retract,  # noqa: SLF001
    undoing.VERB: Rebuilding._nothing,  # noqa: SLF001
    undoing.ENDED: Rebuilding._nothing,  # noqa: SLF001
    manual.VERB: Rebuilding._nothing,  # noqa: SLF001 - its plan is listed; without the ledger nobody can carry it out
}
