"""History cannot be changed, whoever writes: the triggers refuse it to any program with the file in hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from retentiond.ledger import Database, SqlLedger
from retentiond.ports.rows import AnchorRow, ApprovalRow, RetractionRow
from tests.contracts.ledger.conftest import Engine, Raw
from tests.ledger import samples
from tests.ledger.samples import NOW


@pytest.fixture
def raw(ledger: SqlLedger, engine: Engine, place: Path | Database) -> Iterator[Raw]:
    samples.make_plan(ledger)
    samples.carry_out(ledger)
    ledger.log_state.swap_checkpoint(None, b"checkpoint")
    with ledger.begin() as tx:
        tx.approvals.add(ApprovalRow("p", "ada", True, "later", "sig", NOW, 0))  # noqa: FBT003 - a row
        tx.approvals.use_nonce("n", NOW)
        tx.approvals.approve_pair(("p", "1"), ("d", "2"), "l")
        tx.holds.add(samples.hold())
        tx.closures.add(samples.closure())
        tx.plans.begin_draft("plan-2", NOW)
        tx.plans.finish_draft(samples.plan("plan-2", 76), [], ["closure-1"])
        tx.receipts.add(replace(samples.receipt("c", "", 77), kind="closure", closure="closure-1"))
        tx.receipts.destroy_keys(["c"])
        tx.receipts.retract(RetractionRow(77, "mistaken", NOW, 78))
        tx.events.append("k", "s", NOW, {"a": 1})
        tx.events.append("k", "s", NOW, {"a": 2})
        tx.anchors.add(AnchorRow(1, 1, 2, "a" * 64, NOW))
    with engine.raw(place) as opened:
        yield opened


REFUSED = (sqlite3.IntegrityError, psycopg.IntegrityError)


TABLES = (
    "plans", "parts", "batches", "batch_identifiers", "runs", "approvals", "used_nonces", "approved_pairs", "holds",
    "closures", "receipts", "log_entries", "log_checkpoint", "events", "plan_closures", "signed_checkpoints", "anchors",
    "retractions",
)  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_no_row_of_history_is_deleted(raw: Raw, table: str) -> None:
    before = raw.rows(f"SELECT count(*) FROM {table}")[0][0]
    assert before > 0
    with pytest.raises(REFUSED, match="history"):
        raw.execute(f"DELETE FROM {table}")
    assert raw.rows(f"SELECT count(*) FROM {table}")[0][0] == before


@pytest.mark.parametrize(
    "change",
    [
        "plans SET envelope = x'00'",
        "plans SET approvals_needed = 0",
        "parts SET cutoff = cutoff + 1",
        "batches SET count = count + 1",
        "runs SET started_at = 0",
        "approvals SET approve = false",
        "used_nonces SET nonce = 'other'",
        "approved_pairs SET policy_sha256 = 'other'",
        "holds SET placed_at = placed_at + 1",
        "holds SET id = 'other'",
        "holds SET sealed = x''",
        "holds SET sealed = x'00'",
        "closures SET deadline_at = deadline_at + 1",
        "receipts SET annex = x'00'",
        "receipts SET plan = NULL",
        "receipts SET commitment_key = x'00' WHERE id = 'c'",
        "retractions SET reason = 'other'",
        "plan_closures SET closure = 'other'",
        "log_entries SET entry = x'00'",
        "events SET kind = 'other'",
        "events SET at = at + 1, detail = NULL, salt = NULL",
        "events SET detail = NULL",
        "events SET salt = NULL",
        "events SET detail = '{}', salt = x'00'",
        "events SET digest = x'00', detail = NULL, salt = NULL",
    ],
)
def test_no_row_of_history_is_changed(raw: Raw, change: str) -> None:
    with pytest.raises(REFUSED):
        raw.execute(f"UPDATE {change}")


FOLLOWING = (
    "log_entries (\"index\", entry) VALUES (0, x'00')",
    "log_entries (\"index\", entry) VALUES (9, x'00')",
    "events (sequence, at, kind, subject, digest) VALUES (1, 0, 'k', 's', x'00')",
    "events (sequence, at, kind, subject, digest) VALUES (9, 0, 'k', 's', x'00')",
)
REPLACING = ("INSERT OR REPLACE INTO {}", "INSERT OR IGNORE INTO {}", "REPLACE INTO {}")  # as only SQLite says it


@pytest.mark.parametrize("row", FOLLOWING)
@pytest.mark.parametrize("verb", ["INSERT INTO {}", "INSERT INTO {} ON CONFLICT DO NOTHING", *REPLACING])
def test_rows_that_follow_each_other_are_neither_replaced_nor_skipped(
    raw: Raw, engine: Engine, verb: str, row: str
) -> None:
    before = raw.rows("SELECT * FROM log_entries"), raw.rows("SELECT * FROM events")
    refused, words = (
        (psycopg.errors.SyntaxError, "syntax error") if engine.server and verb in REPLACING else (REFUSED, "without a")
    )
    with pytest.raises(refused, match=words):
        raw.execute(verb.format(row))
    assert (raw.rows("SELECT * FROM log_entries"), raw.rows("SELECT * FROM events")) == before


@pytest.mark.parametrize("table", [*TABLES, "plans, log_entries"])
def test_no_table_of_history_is_emptied(raw: Raw, engine: Engine, table: str) -> None:
    before = raw.rows(f"SELECT count(*) FROM {table}")
    refused = REFUSED if engine.server else sqlite3.OperationalError  # SQLite has no such word
    with pytest.raises(refused):
        raw.execute(f"TRUNCATE {table} CASCADE")
    assert raw.rows(f"SELECT count(*) FROM {table}") == before


def test_of_an_event_detail_and_salt_can_be_forgotten_and_its_digest_stays(ledger: SqlLedger, raw: Raw) -> None:
    digest = raw.rows("SELECT digest FROM events WHERE sequence = 1")
    raw.execute("UPDATE events SET detail = NULL, salt = NULL WHERE sequence = 1")
    assert raw.rows("SELECT digest FROM events WHERE sequence = 1") == digest
    with ledger.begin() as tx:
        assert [row.detail for row in tx.events.newest(2)] == [{"a": 2}, {}]


def test_two_equal_events_have_different_digests(ledger: SqlLedger, raw: Raw) -> None:
    with ledger.begin() as tx:
        tx.events.append("k", "s", NOW, {"a": 1})
    digests = [row[0] for row in raw.rows("SELECT digest FROM events")]
    assert len(set(digests)) == len(digests) == 3
    assert all(len(row[0]) == 32 for row in raw.rows("SELECT salt FROM events"))
