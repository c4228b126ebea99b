"""What an audit reads: every checkpoint that was signed, pages in the log's order, digests of events, anchors."""

from __future__ import annotations

from retentiond.ledger import SqlLedger
from retentiond.ports.rows import AnchorRow, ApprovalRow, JournalRow
from tests.ledger import samples
from tests.ledger.samples import NOW, later


def test_every_checkpoint_that_was_signed_is_kept_in_its_order(ledger: SqlLedger) -> None:
    state = ledger.log_state
    state.swap_checkpoint(None, b"one")
    state.swap_checkpoint(None, b"lost")
    state.swap_checkpoint(b"one", b"two")
    state.swap_checkpoint(b"one", b"lost")
    with ledger.begin() as tx:
        tx.recovery.adopt_checkpoint(b"three")
        pages = tx.audits.checkpoints(0, 2)
        rest = tx.audits.checkpoints(pages[-1][0], 2)
    assert [note for _, note in (*pages, *rest)] == [b"one", b"two", b"three"]


def test_rows_come_in_pages_in_the_order_of_the_log(ledger: SqlLedger) -> None:
    for name in ("plan-1", "plan-2", "plan-3"):
        samples.make_plan(ledger, name)
    samples.carry_out(ledger)
    with ledger.begin() as tx:
        for index in (9, 7):
            tx.journal.add(JournalRow(f"{index}" * 64, b"sealed", index))
            tx.approvals.add(ApprovalRow("p", "ada", True, "later", "sig", NOW, index))  # noqa: FBT003 - a row
            tx.anchors.add(AnchorRow(index, index, index, "a" * 64, NOW))
        tx.journal.add(JournalRow("f" * 64, b"without an entry"))
        assert [row.id for row in tx.audits.plans(-1, 2)] == ["plan-1", "plan-2"]
        assert [row.id for row in tx.audits.plans(1, 2)] == ["plan-3"]
        assert [row.log_index for row in tx.audits.receipts(-1, 9)] == [3]
        for page in (tx.audits.records, tx.audits.approvals, tx.audits.anchors):
            assert [[row.log_index for row in page(after, 1)] for after in (-1, 7, 9)] == [[7], [9], []]
        assert tx.anchors.newest() == AnchorRow(9, 9, 9, "a" * 64, NOW)
        tx.anchors.add(AnchorRow(11, 0, 0, "a" * 64, NOW))
        assert tx.anchors.newest() == AnchorRow(9, 9, 9, "a" * 64, NOW)


def test_digests_stay_when_what_events_say_is_forgotten(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        for number in range(4):
            tx.events.append(f"k{number % 2}", "s", later(days=number), {"number": number})
        assert [tx.events.last_before(later(days=days)) for days in (0, 1, 3.5, 9)] == [0, 1, 4, 4]
        before = tx.events.digests(0, 9)
        assert [(row.sequence, row.forgotten) for row in before] == [(number, False) for number in range(1, 5)]
        assert tx.events.digests(1, 2) == before[1:3]
        assert tx.events.forget(later(days=3), 2) == 2
        assert tx.events.forget(later(days=3), 2) == 0
        assert [row.forgotten for row in tx.events.digests(0, 9)] == [True, True, False, False]
        assert [row.digest for row in tx.events.digests(0, 9)] == [row.digest for row in before]
        assert [each.detail for each in tx.audits.of_kind("k0")] == [{}, {"number": 2}]
    assert [each for each in ledger.check() if "event" in each] == []
