"""Rows as the engine would write them, small and hostile."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from retentiond.domain.account import AccountState
from retentiond.domain.plan import Basis, BatchState, Forecast, Part, RunState, Trigger
from retentiond.domain.policy import Action
from retentiond.ledger import SqlLedger
from retentiond.ports.rows import BatchRow, ClosureRow, HoldRow, PlanRow, ReceiptRow, RunRow


class Broken(Exception):
    """What a block may raise."""


NOW = datetime(2026, 11, 24, 3, 10, 37, 123456, tzinfo=UTC)
PLAIN = b"plain identifiers \x00\xff of acct-1, 'acct-2'"
SEALED = b"sealed: nobody reads this"

HOSTILE = (
    "",
    'it\'s "quoted"; DROP TABLE holds; --',
    "line\nbreak\r\n\ttab",
    "nul\x00inside",
    "\u202egnp.exe right to left",
    "emoji 🧹 and e\u0301",
    "../../etc/passwd",
    "%2e%2e%2f",
    "__proto__",
    "<script>alert(1)</script>",
    "k" * 1024,
)


def later(**amount: float) -> datetime:
    return NOW + timedelta(**amount)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def entry(kind: str, digest: str) -> bytes:
    return f"retentiond/log-entry/v1\n{kind}\nsha256:{digest}\n".encode()


def hold(name: str = "h", **changes: Any) -> HoldRow:
    return replace(HoldRow(name, SEALED, NOW), **changes)


def plan(name: str = "plan-1", log_index: int = 0, **changes: Any) -> PlanRow:
    row = PlanRow(
        id=name,
        sha256=sha256(name),
        state=RunState.PLANNED,
        trigger=Trigger.SCHEDULE,
        created_at=NOW,
        expires_at=later(days=7),
        reference_time=later(seconds=-1),
        log_index=log_index,
        envelope=b'{"payload": "\x00"}',
        nonce=b"\x07" * 32,
        policies=(("request-content", sha256("policy")),),
        datasets=(("requests", sha256("dataset")), ("__proto__", sha256("other"))),
        records=5,
        approvals_needed=1,
        reasons=HOSTILE,
        forecasts=(Forecast("requests", "request-content", None, 5, None, 1, 2, 99, (("clock-missing", 2),), -7),),
        lists=sha256("lists"),
    )
    return replace(row, **changes)


def part(ordinal: int = 0, due: int = 5) -> Part:
    return Part(ordinal, "requests", "request-content", 3, Action.PURGE, "P23D", NOW, Basis.POLICY, 4, due, 1234)


def batch(ordinal: int, count: int = 5, name: str = "plan-1") -> BatchRow:
    return BatchRow(name, ordinal, 0, ordinal + 1, ordinal % 2 == 1, count)


def run(name: str = "run-1", plan_id: str = "plan-1") -> RunRow:
    return RunRow(name, plan_id, RunState.RUNNING, NOW, b"sealed K")


def receipt(name: str = "receipt-1", plan_id: str = "plan-1", log_index: int = 1) -> ReceiptRow:
    digest = sha256(name)
    return ReceiptRow(name, "run", plan_id, "", NOW, b"envelope\x00", b"annex\xff", digest, log_index, b"sealed K")


def closure(name: str = "closure-1", commitment: str = "c0ffee") -> ClosureRow:
    return ClosureRow(
        name, commitment, b"sealed account", AccountState.GRACE, "it's over", NOW, later(days=14), later(days=30)
    )


def make_plan(ledger: SqlLedger, name: str = "plan-1", counts: tuple[int, ...] = (3, 2)) -> PlanRow:
    """Write a plan whose records, parts, batches and log entry agree."""
    with ledger.begin() as tx:
        tx.plans.begin_draft(name, NOW)
        for ordinal, count in enumerate(counts):
            tx.batches.add(batch(ordinal, count, name), PLAIN)
    with ledger.begin() as tx:
        index = tx.entries.stage(entry("plan", sha256(name)))
        row = plan(name, index, records=sum(counts))
        tx.plans.finish_draft(row, [part(due=sum(counts))])
    return row


def carry_out(ledger: SqlLedger, name: str = "plan-1", suffix: str = "1") -> None:
    """Carry a plan out as the engine does, to its receipt."""
    with ledger.begin() as tx:
        tx.runs.add(run(f"run-{suffix}", name))
        batches = tx.batches.of_plan(name)
    for row in batches:
        with ledger.begin() as tx:
            token = tx.batches.claim(name, row.ordinal, NOW)
            tx.batches.mark_acted(name, row.ordinal, token)
            ended = replace(row, state=BatchState.VERIFIED, token=token, outcomes={"purged": row.count})
            tx.batches.finish(ended, SEALED, NOW)
    with ledger.begin() as tx:
        index = tx.entries.stage(entry("receipt 0", sha256(f"receipt-{suffix}")))
        tx.receipts.add(receipt(f"receipt-{suffix}", name, index))
        tx.batches.set_receipted(name)
        tx.runs.finish(f"run-{suffix}", RunState.DONE, later(minutes=1), f"receipt-{suffix}")
        tx.plans.set_state(name, RunState.DONE)
