"""An audit's look at state: the journal's records, and the holds, closures, erasures and approvals that they are of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from retentiond.domain.account import AccountState
from retentiond.domain.erasure import ErasureState
from retentiond.domain.scopes import write_scope
from retentiond.engine.audit.paging import Findings, Lost, Rows
from retentiond.engine.context import Context
from retentiond.engine.docket import each_of, hold_of
from retentiond.errors import RetentiondError
from retentiond.evidence.canonical import optional_rfc3339, rfc3339
from retentiond.evidence.entry import Entry, EntryKind
from retentiond.ports.rows import ApprovalRow, ClosureRow, ErasureRow, HoldRow, JournalRow

_HOLD, _RELEASE, _RECOVERY, _APPROVAL = "hold", "hold-release", "recovery", "approval"
_CLOSURE, _CANCELLED, _CLOSED = "closure", "closure-cancel", "closure-closed"
_ERASURE, _VERIFIED, _EXTENDED = "erasure", "erasure-verified", "erasure-extend"
_ENDS = {
    ErasureState.DONE: "erasure-done",
    ErasureState.REFUSED: "erasure-refuse",
    ErasureState.CANCELLED: "erasure-cancel",
}
_KEPT = frozenset((_HOLD, _RELEASE, _CLOSURE, _CANCELLED, _CLOSED, _ERASURE, _EXTENDED, *_ENDS.values()))
_LAST_PAGE = 10_000
_WORDS = {
    _HOLD: "it is not in force in the ledger, and the journal has it as placed and never released",
    _CLOSURE: "the journal says that it was asked for, and the ledger has no row of it",
    _ERASURE: "the journal says that it was asked for, and the ledger has no row of it",
}


class StateAudit:
    """Records of the journal, as their entries come; at the end what the ledger makes of them."""

    def __init__(self, ctx: Context, findings: Findings, lost: Lost) -> None:
        self._ctx = ctx
        self._findings = findings
        self._lost = lost
        self._records = Rows(ctx, lambda tx, after, most: tx.audits.records(after, most))
        self._approvals = Rows(ctx, lambda tx, after, most: tx.audits.approvals(after, most))
        self._said: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._unknown = False

    def skip(self, index: int) -> None:
        """Leave out an entry that nobody can read."""
        self._records.at(index)
        self._approvals.at(index)
        self._unknown = True

    def take(self, index: int, entry: Entry) -> None:
        """Take in an entry, whatever its kind."""
        row, approval = self._records.at(index), self._approvals.at(index)
        record: Mapping[str, Any] = {}
        if row is not None:
            record = self._record(index, entry, row)
        elif entry.kind is EntryKind.STATE:
            self._unknown = True
            if not self._lost.has(index):
                self._findings.add(f"journal, entry {index}", f"the ledger has no record {entry.sha256}")
        if approval is not None:
            self._approval(index, approval, record)
        elif record.get("kind") == _APPROVAL:
            self._findings.add(f"approval of entry {index}", "the ledger has no row of it")

    def finish(self, size: int) -> None:
        """Compare holds, closures and requests for erasure with what the records say."""
        with self._ctx.ledger.begin() as tx:
            rows = tx.holds.active()
            closures = tx.closures.in_state(*AccountState)
            erasures = tx.erasures.in_state(*ErasureState)
        self._later(size)
        self._strange()
        for row in rows:
            self._hold(row)
        for closure in closures:
            for problem in self._closure_problems(closure):
                self._findings.add(f"closure {closure.id}", problem)
        for erasure in erasures:
            for problem in self._erasure_problems(erasure):
                self._findings.add(f"erasure {erasure.id}", problem)
        known = {row.id for some in (rows, closures, erasures) for row in some}
        for kind, name in list(self._said):
            if name in known or (_RELEASE, name) in self._said or kind not in _WORDS or self._is_there_by_now(name):
                continue
            self._findings.add(f"{kind} {name}", _WORDS[kind])

    def _record(self, index: int, entry: Entry, row: JournalRow) -> Mapping[str, Any]:
        where = f"journal/{row.sha256}, entry {index}"
        if entry.kind is not EntryKind.STATE or entry.sha256 != row.sha256:
            self._findings.add(where, f"the ledger's row of it names that entry, which is another: `{entry.kind_line}`")
            return {}
        if hashlib.sha256(row.sealed).hexdigest() != row.sha256:
            self._findings.add(where, "the sealed record in the ledger is not what its name says")
        if row.written and self._ctx.journal.sealed(row.sha256) is None:
            there = row.sha256 in self._ctx.journal.names()
            self._findings.add(where, "its file is not what its name says" if there else "its file is missing")
        return self._opened(where, row)

    def _opened(self, where: str, row: JournalRow) -> Mapping[str, Any]:
        try:
            record = self._ctx.journal.open(row.sealed)
        except (RetentiondError, ValueError):
            self._findings.add(where, "the sealed record cannot be opened under the wrapping key")
            self._unknown = True
            return {}
        for each in each_of(record):
            kind, name = str(each.get("kind")), str(each.get("id"))
            kind = _ERASURE if kind == _VERIFIED else kind
            if kind == _RECOVERY:
                self._lost.signed(name)
            if kind in _KEPT:
                self._said[kind, name] = each
        return record

    def _approval(self, index: int, row: ApprovalRow, record: Mapping[str, Any]) -> None:
        stands = {
            "kind": _APPROVAL,
            "plan": row.plan_sha256,
            "principal": row.principal,
            "approve": row.approve,
            "notAfter": row.not_after,
            "signature": row.signature,
        }
        differ = [name for name, value in stands.items() if record.get(name) != value]
        if differ:
            what = f"its row differs from its record in the journal: {', '.join(differ)}"
            self._findings.add(f"approval by {row.principal}, entry {index}", what)

    def _later(self, size: int) -> None:
        """Read the records that were made since the log was read, or have no entry yet."""
        with self._ctx.ledger.begin() as tx:
            rows = [*tx.audits.records(size - 1, _LAST_PAGE), *tx.journal.undelivered()]
        for row in rows:
            self._opened(f"journal/{row.sha256}", row)

    def _strange(self) -> None:
        written = self._ctx.journal.names()
        with self._ctx.ledger.begin() as tx:
            known = tx.journal.names()
        for name in sorted(written - known):
            self._findings.add(f"journal/{name}", "the ledger does not know this record")

    def _hold(self, row: HoldRow) -> None:
        name, record = row.id, self._said.get((_HOLD, row.id))
        if record is None:
            if not self._unknown:
                self._findings.add(f"hold {name}", "it is in force in the ledger, and the journal has no record of it")
            return
        try:
            hold = hold_of(self._ctx, row)
        except (RetentiondError, ValueError):
            self._findings.add(f"hold {name}", "what it is of cannot be opened under the wrapping key")
            return
        stands = (hold.matter, hold.custodian, json.loads(json.dumps(write_scope(hold.scope))))
        if (record.get("matter"), record.get("custodian", ""), record.get("scope")) != stands:
            self._findings.add(f"hold {name}", "its row differs from its record in the journal")

    def _closure_problems(self, closure: ClosureRow) -> Iterator[str]:
        record = self._said.get((_CLOSURE, closure.id))
        if record is None:
            if not self._unknown:
                yield "the journal has no record of it"
            return
        times = (("requestedAt", closure.requested_at), ("dueAt", closure.due_at), ("deadlineAt", closure.deadline_at))
        differ = [name for name, at in times if record.get(name) != rfc3339(at)]
        if differ:
            yield f"its row differs from its record in the journal: {', '.join(differ)}"
        if closure.state is AccountState.CLOSED and (_CLOSED, closure.id) not in self._said:
            yield "the ledger says that it is closed, and the journal has no record of that"
        if closure.state is AccountState.OPEN and (_CANCELLED, closure.id) not in self._said:
            yield "the ledger says that it was cancelled, and the journal has no record of that"

    def _erasure_problems(self, erasure: ErasureRow) -> Iterator[str]:
        record = self._said.get((_ERASURE, erasure.id))
        if record is None:
            if not self._unknown:
                yield "the journal has no record of it"
            return
        extended = erasure.extended_at is not None
        stands = {
            "law": erasure.law,
            "receivedOn": erasure.received_on,
            "askedAt": rfc3339(erasure.asked_at),
            "firstAt": rfc3339(erasure.first_at),
            "lastAt": rfc3339(erasure.last_at),
            "confirmAt": optional_rfc3339(erasure.confirm_at),
            "jurisdiction": erasure.jurisdiction,
        }
        said = {"jurisdiction": "", **record}
        differ = [name for name, value in stands.items() if said.get(name) != value]
        differ += ["deadline"] * (said.get("lastAt" if extended else "firstAt") != rfc3339(erasure.deadline_at))
        if differ:
            yield f"its row differs from its record in the journal: {', '.join(differ)}"
        if extended and (_EXTENDED, erasure.id) not in self._said:
            yield "the ledger says that its time was extended, and the journal has no record of that"
        end = _ENDS.get(erasure.state)
        if end is not None and (end, erasure.id) not in self._said:
            yield f"the ledger says that it is {erasure.state}, and the journal has no record of that"

    def _is_there_by_now(self, name: str) -> bool:
        """Tell whether a hold, closure or erasure came since they were read, or waits for its entry to be published."""
        with self._ctx.ledger.begin() as tx:
            waiting = {name for each in tx.pending.all() for name in each.subject.split(" ")}
            there = {hold.id for hold in tx.holds.active()} | waiting
            return name in there or bool(tx.closures.get(name) or tx.erasures.get(name))
