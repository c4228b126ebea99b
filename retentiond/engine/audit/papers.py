"""An audit's look at plans and receipts: their rows, what was signed, and the bundles that are handed out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from retentiond.domain.plan import RunState
from retentiond.engine.audit.paging import Findings, Lost, Rows
from retentiond.engine.context import Context
from retentiond.errors import ReceiptError
from retentiond.evidence.canonical import rfc3339
from retentiond.evidence.entry import Entry, EntryKind
from retentiond.evidence.envelope import Envelope, from_base64
from retentiond.ports.rows import PlanRow, ReceiptRow

OPEN_AT_MOST = timedelta(days=7)
_ENDED = (RunState.DONE, RunState.PARTIAL)
_UNREADABLE = (ValueError, KeyError, TypeError, ReceiptError)


@dataclass(frozen=True, slots=True)
class _Open:
    id: str
    state: RunState
    created_at: datetime


class PaperAudit:
    """Plans and receipts, as their entries come."""

    def __init__(self, ctx: Context, findings: Findings, lost: Lost) -> None:
        self._ctx = ctx
        self._findings = findings
        self._lost = lost
        self._plans = Rows(ctx, lambda tx, after, most: tx.audits.plans(after, most))
        self._receipts = Rows(ctx, lambda tx, after, most: tx.audits.receipts(after, most))
        self._open: dict[int, _Open] = {}

    def skip(self, index: int) -> None:
        """Leave out an entry that nobody can read."""
        self._plans.at(index)
        self._receipts.at(index)

    def take(self, index: int, entry: Entry) -> None:
        """Take in an entry, whatever its kind."""
        plan, receipt = self._plans.at(index), self._receipts.at(index)
        if plan is not None:
            self._plan(index, entry, plan)
        elif entry.kind is EntryKind.PLAN and not self._lost.has(index):
            self._findings.add(f"plan of entry {index}", "the ledger has no row of it")
        if receipt is not None:
            self._receipt(index, entry, receipt)
        elif entry.kind is EntryKind.RECEIPT and not self._lost.has(index):
            self._findings.add(f"receipt of entry {index}", "the ledger has no row of it")
        if entry.kind in (EntryKind.RECEIPT, EntryKind.VOID) and entry.subject is not None:
            self._end(index, entry, entry.subject, receipt)

    def finish(self, later: Iterator[Entry], now: datetime) -> None:
        """Say what is left open, once those are told that ended after the log was read."""
        for entry in later:
            if entry.kind in (EntryKind.RECEIPT, EntryKind.VOID):
                self._open.pop(entry.subject if entry.subject is not None else -1, None)
        for index, plan in self._open.items():
            where = f"plan {plan.id}, entry {index}"
            if plan.state in _ENDED or plan.state is RunState.CANCELLED:
                self._findings.add(
                    where, f"the ledger says {plan.state}, and the log has neither receipt nor void of it"
                )
            elif plan.created_at < now - OPEN_AT_MOST:
                self._findings.add(
                    where,
                    f"it was made {rfc3339(plan.created_at)}, and after seven days it has neither receipt nor void",
                )

    def _plan(self, index: int, entry: Entry, row: PlanRow) -> None:
        where = f"plan {row.id}, entry {index}"
        if entry.kind is not EntryKind.PLAN:
            self._findings.add(where, f"that entry is no plan, but `{entry.kind_line}`")
            return
        self._open[index] = _Open(row.id, row.state, row.created_at)
        for problem in _plan_problems(row, entry):
            self._findings.add(where, problem)

    def _receipt(self, index: int, entry: Entry, row: ReceiptRow) -> None:
        where = f"receipt {row.id}, entry {index}"
        if entry.kind is not EntryKind.RECEIPT:
            self._findings.add(where, f"that entry is no receipt, but `{entry.kind_line}`")
            return
        for problem in _receipt_problems(row, entry):
            self._findings.add(where, problem)
        if row.plan:
            with self._ctx.ledger.begin() as tx:
                plan = tx.plans.get(row.plan)
            if plan is None or plan.log_index != entry.subject:
                self._findings.add(where, f"its row names plan {row.plan}, its entry the one of entry {entry.subject}")
        if row.file:
            problem = _file_problem(row, self._ctx.terms.receipts)
            if problem:
                self._findings.add(f"receipts/{Path(row.file).name}", problem)

    def _end(self, index: int, entry: Entry, subject: int, receipt: ReceiptRow | None) -> None:
        plan = self._open.pop(subject, None)
        if plan is None:
            return
        where = f"plan {plan.id}, entry {subject}"
        adopted = receipt is None or not receipt.plan  # by a recovery, which ends the plan without its run
        if entry.kind is EntryKind.VOID and plan.state is not RunState.CANCELLED:
            self._findings.add(where, f"the ledger says {plan.state}, and entry {index} makes it void")
        elif entry.kind is EntryKind.RECEIPT and plan.state not in _ENDED and not adopted:
            self._findings.add(where, f"the ledger says {plan.state}, and entry {index} is its receipt")


def _plan_problems(row: PlanRow, entry: Entry) -> Iterator[str]:
    if row.sha256 != entry.sha256:
        yield "its row has another digest than its entry"
    try:
        envelope = Envelope.from_json(json.loads(row.envelope))
        said = json.loads(envelope.payload)["predicate"]
        stands = _plan_as_signed(row)
        differ = [name for name in stands if said[name] != stands[name]]
    except _UNREADABLE:
        yield "what was signed of it cannot be read"
        return
    if envelope.sha256 != entry.sha256:
        yield "what was signed of it, in its row, is not what its entry says"
    elif differ:
        yield f"its row differs from what was signed of it: {', '.join(differ)}"


def _plan_as_signed(row: PlanRow) -> dict[str, Any]:
    return {
        "planId": row.id,
        "createdAt": rfc3339(row.created_at),
        "expiresAt": rfc3339(row.expires_at),
        "referenceTime": rfc3339(row.reference_time),
        "trigger": row.trigger.value,
        "policies": [{"id": name, "sha256": digest} for name, digest in row.policies],
        "datasets": [{"id": name, "sha256": digest} for name, digest in row.datasets],
    }


def _receipt_problems(row: ReceiptRow, entry: Entry) -> Iterator[str]:
    if row.entry_sha256 != entry.sha256:
        yield "its row has another digest than its entry"
    try:
        envelope = Envelope.from_json(json.loads(row.envelope))
        statement = json.loads(envelope.payload)
        said = statement["predicate"]
        ((subject),) = statement["subject"]
        annex = subject["digest"]["sha256"]
        stands = {"receiptId": row.id, "kind": row.kind, "issuedAt": rfc3339(row.issued_at)}
        differ = [name for name in stands if said[name] != stands[name]]
    except _UNREADABLE:
        yield "what was signed of it cannot be read"
        return
    if envelope.sha256 != entry.sha256:
        yield "what was signed of it, in its row, is not what its entry says"
    elif differ:
        yield f"its row differs from what was signed of it: {', '.join(differ)}"
    if hashlib.sha256(row.annex).hexdigest() != annex:
        yield "the annex in its row is not the one that it names"


def _file_problem(row: ReceiptRow, receipts: Path) -> str:
    path = receipts / Path(row.file).name
    try:
        document = json.loads(path.read_bytes())
        same = Envelope.from_json(document["dsseEnvelope"]) == Envelope.from_json(json.loads(row.envelope))
        annex = from_base64(document["annex"])
    except FileNotFoundError:
        return f"is missing: it is the bundle of receipt {row.id}"
    except (OSError, *_UNREADABLE):
        return f"cannot be read as the bundle of receipt {row.id}"
    return "" if same and annex == row.annex else f"is not the bundle of receipt {row.id} that the ledger has"
