"""What the ledger gives up is gone from its files, and its errors name no value."""

from __future__ import annotations

import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from retentiond.domain.plan import BatchState
from retentiond.errors import LedgerError
from retentiond.ledger import SqlLedger
from retentiond.ledger.backend import Access
from tests.ledger import samples
from tests.ledger.samples import NOW, later

MARK = b"acct-secret-7731"
IDENTIFIERS = b"|".join(MARK + str(n).encode() for n in range(10_000))


def found_in_files(path: Path, mark: bytes) -> int:
    """How often a mark stands in the ledger's files, whatever SQLite calls them."""
    return sum(file.read_bytes().count(mark) for file in path.parent.iterdir())


def make_secret_plan(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.plans.begin_draft("plan-1", NOW)
        tx.batches.add(samples.batch(0, 5), IDENTIFIERS)
        tx.plans.finish_draft(samples.plan(), [samples.part()])


def test_plain_identifiers_are_in_no_file_after_the_batch_ended(ledger: SqlLedger) -> None:
    with ledger.acting():
        make_secret_plan(ledger)
        assert found_in_files(Path(ledger.where), MARK) > 9_000  # but for those that a page's end cuts in two
        with ledger.begin() as tx:
            row = replace(
                tx.batches.of_plan("plan-1")[0],
                token=tx.batches.claim("plan-1", 0, NOW),
                state=BatchState.VERIFIED,
                outcomes={"purged": 5},
            )
            tx.batches.finish(row, samples.SEALED, NOW)
    assert found_in_files(Path(ledger.where), MARK) == 0
    assert found_in_files(Path(ledger.where), samples.SEALED) == 1


def test_a_reader_in_the_way_is_told_and_the_next_scrub_does_it(ledger: SqlLedger) -> None:
    make_secret_plan(ledger)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retentiond.ledger.connection.BUSY_SECONDS", 0.1)
        with ledger._session(Access.SNAPSHOT) as session:
            assert session.value(text("SELECT count(*) FROM batches")) == 1
            assert ledger.scrub() is False
    assert ledger.scrub() is True


def test_discarded_drafts_are_in_no_file(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.plans.begin_draft("plan-1", NOW)
        tx.batches.add(samples.batch(0, 5), IDENTIFIERS)
    with ledger.begin() as tx:
        tx.plans.discard_drafts([], NOW)
    assert ledger.scrub()
    assert found_in_files(Path(ledger.where), MARK) == 0


def test_sealed_identifiers_are_in_no_file_after_their_time(ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    samples.carry_out(ledger)
    with ledger.begin() as tx:
        assert tx.batches.destroy_identifiers(later(days=7)) == 2
    assert ledger.scrub()
    assert found_in_files(Path(ledger.where), samples.SEALED) == 0


def test_the_sealed_account_is_in_no_file_after_its_closure(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.closures.add(samples.closure())
        tx.receipts.add(replace(samples.receipt("r", "", 5), kind="closure", closure="closure-1"))
        tx.closures.close("closure-1", "r")
    assert ledger.scrub()
    assert found_in_files(Path(ledger.where), b"sealed account") == 0


def test_an_error_and_its_causes_name_no_value(ledger: SqlLedger) -> None:
    with pytest.raises(LedgerError) as caught, ledger.begin() as tx:
        tx.batches.add(samples.batch(0), MARK)
    assert MARK.decode() not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(LedgerError) as caught, ledger.begin() as tx:
        tx.facts.set(MARK.decode(), "\udcff")
    assert MARK.decode() not in str(caught.value)
