from __future__ import annotations

from dataclasses import replace

import pytest

from retentiond.domain.plan import RunState
from retentiond.errors import LedgerError, NotFound
from retentiond.ledger import SqlLedger
from retentiond.ports.rows import ReceiptBrief, RetractionRow
from tests.ledger import samples
from tests.ledger.samples import NOW, later


def test_a_run_is_found_by_id_and_by_plan(ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    with ledger.begin() as tx:
        assert tx.runs.of_plan("plan-1") is None
        tx.runs.add(samples.run())
        assert tx.runs.get("run-1") == samples.run()
        assert tx.runs.of_plan("plan-1") == samples.run()
        assert tx.runs.get("run-9") is None


def test_a_plan_has_one_run(ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    with ledger.begin() as tx:
        tx.runs.add(samples.run())
    with pytest.raises(LedgerError, match="refuses a change"), ledger.begin() as tx:
        tx.runs.add(samples.run("run-2"))


def test_the_newest_runs_come_first(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        for index, days in enumerate((2, 3, 1)):
            tx.plans.begin_draft(f"plan-{days}", NOW)
            tx.plans.finish_draft(samples.plan(f"plan-{days}", index), [])
            tx.runs.add(replace(samples.run(f"run-{days}", f"plan-{days}"), started_at=later(days=days)))
        assert [row.id for row in tx.runs.recent(2)] == ["run-3", "run-2"]
        assert tx.runs.recent(0) == []


def test_a_run_stops_goes_on_and_ends_with_one_receipt(ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    with ledger.begin() as tx:
        tx.runs.add(samples.run())
        tx.runs.set_state("run-1", RunState.STOPPED)
        tx.runs.set_state("run-1", RunState.RUNNING)
        tx.runs.finish("run-1", RunState.DONE, later(minutes=1), "receipt-1")
        tx.receipts.add(samples.receipt())
    with ledger.begin() as tx:
        final = tx.runs.get("run-1")
        assert final == replace(samples.run(), state=RunState.DONE, finished_at=later(minutes=1), receipt="receipt-1")
        with pytest.raises(LedgerError, match="has its receipt, receipt-1, and changes no more"):
            tx.runs.finish("run-1", RunState.DONE, NOW, "receipt-2")
        with pytest.raises(LedgerError, match="changes no more"):
            tx.runs.set_state("run-1", RunState.RUNNING)
        assert tx.runs.get("run-1") == final


def test_a_run_does_not_end_with_a_receipt_that_is_not_there(ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    with ledger.begin() as tx:
        tx.runs.add(samples.run())
    with pytest.raises(LedgerError, match=r"(?i)foreign key"), ledger.begin() as tx:
        tx.runs.finish("run-1", RunState.DONE, NOW, "receipt-9")
    with ledger.begin() as tx:
        assert tx.runs.get("run-1") == samples.run()


def test_a_run_that_is_not_there_is_named(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        with pytest.raises(NotFound, match="there is no run run-9"):
            tx.runs.set_state("run-9", RunState.DONE)
        with pytest.raises(NotFound, match="there is no run run-9"):
            tx.runs.finish("run-9", RunState.DONE, NOW, "")


def test_receipts_come_back_whole_and_in_the_order_of_the_log(ledger: SqlLedger) -> None:
    samples.make_plan(ledger, "plan-1")
    samples.make_plan(ledger, "plan-2")
    younger, older = samples.receipt("a", "plan-1", 9), samples.receipt("b", "plan-2", 8)
    with ledger.begin() as tx:
        tx.receipts.add(younger)
        tx.receipts.add(older)
        assert tx.receipts.all() == [older, younger]
        assert tx.receipts.get("a") == younger
        assert tx.receipts.get("c") is None


def test_a_plan_has_one_receipt_and_closures_have_theirs(ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    with ledger.begin() as tx:
        tx.receipts.add(samples.receipt())
    with pytest.raises(LedgerError, match="refuses a change"), ledger.begin() as tx:
        tx.receipts.add(samples.receipt("receipt-2", log_index=2))
    with ledger.begin() as tx:
        for index in (3, 4):
            tx.closures.add(samples.closure(f"closure-{index}"))
            row = replace(samples.receipt(f"c-{index}", "", index), kind="closure", closure=f"closure-{index}")
            tx.receipts.add(row)
            assert tx.receipts.get(f"c-{index}") == row


def test_receipts_without_a_file_are_known_until_it_is_written(ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    with ledger.begin() as tx:
        tx.receipts.add(samples.receipt())
        assert [row.id for row in tx.receipts.without_file()] == ["receipt-1"]
        tx.receipts.set_file("receipt-1", "receipts/it's here.bundle.json")
        assert tx.receipts.without_file() == []
        row = tx.receipts.get("receipt-1")
        assert row is not None
        assert row.file == "receipts/it's here.bundle.json"
        with pytest.raises(NotFound, match="there is no receipt receipt-9"):
            tx.receipts.set_file("receipt-9", "x")


def test_keys_go_by_their_age_with_those_of_their_runs_and_stay_gone(ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    samples.carry_out(ledger)
    samples.make_plan(ledger, "plan-2")
    with ledger.begin() as tx:
        tx.receipts.add(replace(samples.receipt("receipt-2", "plan-2", 9), issued_at=later(days=1)))
        assert tx.receipts.with_keys_before(NOW) == []  # it was issued at that time, not before it
        assert tx.receipts.with_keys_before(later(seconds=1)) == ["receipt-1"]
        assert tx.receipts.with_keys_before(later(days=2)) == ["receipt-1", "receipt-2"]
        tx.receipts.destroy_keys(["receipt-1"])
        assert tx.receipts.with_keys_before(later(days=2)) == ["receipt-2"]
        keys = [row.commitment_key for row in tx.receipts.all()]
        assert (keys, tx.runs.get("run-1")) == (
            [b"", b"sealed K"],
            replace(
                samples.run(),
                state=RunState.DONE,
                finished_at=later(minutes=1),
                receipt="receipt-1",
                commitment_key=b"",
            ),
        )
        tx.receipts.destroy_keys(["receipt-1", "receipt-2", "receipt-9"])
        assert tx.receipts.with_keys_before(later(days=2)) == []


def test_a_receipt_is_retracted_once_and_may_be_known_to_the_log_alone(ledger: SqlLedger) -> None:
    rows = [RetractionRow(7, "wrong-key", NOW, 8), RetractionRow(3, "mistaken", NOW, 9)]
    with ledger.begin() as tx:
        for row in rows:
            tx.receipts.retract(row)
        assert tx.receipts.retractions() == rows[::-1]
    with pytest.raises(LedgerError, match="refuses a change"), ledger.begin() as tx:
        tx.receipts.retract(replace(rows[0], reason="again"))


def test_briefs_say_which_receipts_there_are(ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    row = samples.receipt()
    with ledger.begin() as tx:
        tx.receipts.add(row)
        assert tx.receipts.briefs() == [ReceiptBrief(row.id, "run", row.issued_at, row.entry_sha256, row.log_index)]
