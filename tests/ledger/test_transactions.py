from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from sqlalchemy import event, text

from retentiond.errors import LedgerError
from retentiond.ledger import SqlLedger, connection, open_ledger
from tests.ledger import samples
from tests.ledger.processes import Starter, said
from tests.ledger.samples import NOW, PLAIN, Broken


def test_a_block_that_raises_leaves_nothing(ledger: SqlLedger) -> None:
    with pytest.raises(Broken), ledger.begin() as tx:  # noqa: PT012 - one transaction
        tx.entries.stage(b"entry")
        tx.holds.add(samples.hold())
        tx.plans.begin_draft("d", NOW)
        tx.batches.add(samples.batch(0, name="d"), PLAIN)
        raise Broken
    assert ledger.log_state.size() == 0
    with ledger.begin() as tx:
        assert tx.holds.epoch() == 0
        assert tx.holds.active() == []
        assert tx.batches.of_plan("d") == []


def test_what_was_refused_at_commit_is_not_committed_by_the_next_one(ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    with pytest.raises(LedgerError, match="FOREIGN KEY"), ledger.begin() as tx:  # noqa: PT012 - one transaction
        tx.facts.set("half", "written")
        tx.plans.begin_draft("d", NOW)
        tx.plans.finish_draft(samples.plan("d", 7), [], ["is not there"])
    with ledger.begin() as tx:
        tx.facts.set("next", "one")
    with ledger.begin() as tx:
        assert tx.facts.get("half") is None
        assert tx.plans.get("d") is None


def test_a_transaction_inside_another_is_refused_at_once(ledger: SqlLedger) -> None:
    began = time.monotonic()
    with ledger.begin() as tx:
        with pytest.raises(LedgerError, match="inside another one"):
            ledger.log_state.size()
        with pytest.raises(LedgerError, match="inside another one"), ledger.begin():
            pytest.fail("a second transaction began")
        tx.facts.set("outer", "lives")
    assert time.monotonic() - began < connection.BUSY_SECONDS
    with ledger.begin() as tx:
        assert tx.facts.get("outer") == "lives"


def test_processes_take_turns(ledger: SqlLedger, start: Starter) -> None:
    code = """
for _ in range(50):
    with ledger.begin() as tx:
        tx.facts.set("n", str(int(tx.facts.get("n") or 0) + 1))
"""
    for process in [start(code, Path(ledger.where)) for _ in range(3)]:
        assert process.wait(60) == 0, process.communicate()
    with ledger.begin() as tx:
        assert tx.facts.get("n") == "150"


def test_a_transaction_that_only_reads_so_far_keeps_others_from_writing(ledger: SqlLedger, start: Starter) -> None:
    """A claim reads the epoch; nobody can place a hold between that and the claim."""
    code = """
with ledger.begin() as tx:
    say(tx.holds.epoch())
    sys.stdin.readline()
    tx.facts.set("claimed at epoch", str(tx.holds.epoch()))
say("done")
"""
    claimer = start(code, Path(ledger.where))
    assert said(claimer) == "0"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "BUSY_SECONDS", 0.1)
        impatient = open_ledger(Path(ledger.where))
        with pytest.raises(LedgerError, match="locked by another process") as caught, impatient.begin() as tx:
            tx.holds.add(samples.hold())
        assert "try again" in caught.value.remedy
        assert str(Path(ledger.where)) in str(caught.value)
        impatient.close()
    assert claimer.stdin is not None
    claimer.stdin.write("\n")
    claimer.stdin.flush()
    with ledger.begin() as tx:  # waits for the claim
        assert tx.facts.get("claimed at epoch") == "0"
        tx.holds.add(samples.hold())
    assert said(claimer) == "done"


def limit_pages(ledger: SqlLedger, more: int) -> None:
    """Make the disk full, as far as SQLite knows, after some more pages."""
    with sqlite3.connect(Path(ledger.where)) as raw:
        pages = raw.execute("PRAGMA page_count").fetchone()[0]
    raw.close()
    ledger.close()

    def limit(dbapi: sqlite3.Connection, _record: object) -> None:
        dbapi.execute(f"PRAGMA max_page_count = {pages + more}")

    event.listen(ledger._backend.engine, "connect", limit)


def test_a_full_disk_is_an_error_and_nothing_is_half_written(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.plans.begin_draft("d", NOW)
    limit_pages(ledger, 8)
    with pytest.raises(LedgerError, match="disk that holds the ledger is full") as caught, ledger.begin() as tx:  # noqa: PT012 - one transaction
        tx.batches.add(samples.batch(0, name="d"), b"small")
        tx.entries.stage(b"entry")
        tx.batches.add(samples.batch(1, name="d"), b"x" * 1_000_000)
    assert "free some space" in caught.value.remedy
    assert caught.value.__cause__ is not None
    with ledger.begin() as tx:
        assert tx.batches.of_plan("d") == []
        tx.batches.add(samples.batch(0, name="d"), b"small")
    assert ledger.log_state.size() == 0
    assert list(ledger.check()) == []


def test_a_statement_that_found_the_disk_full_leaves_nothing_of_its_own(ledger: SqlLedger) -> None:
    limit_pages(ledger, 8)
    with ledger.begin() as tx:
        tx.entries.stage(b"before")
        with pytest.raises(LedgerError, match="full"):
            tx.entries.stage(b"x" * 1_000_000)
        assert tx.entries.stage(b"after") == 1
    assert ledger.log_state.entries(0, 9) == [b"before", b"after"]


def test_a_block_that_goes_on_after_sqlite_rolled_back_commits_nothing(ledger: SqlLedger) -> None:
    with pytest.raises(LedgerError, match="was rolled back") as caught, ledger._session() as session:  # noqa: PT012 - one transaction
        session.change(text("INSERT INTO facts VALUES ('before', '')"))
        session.connection.exec_driver_sql("ROLLBACK")  # as SQLite does by itself on an I/O error
        with pytest.raises(LedgerError, match="nothing of it happened"):
            session.change(text("INSERT INTO facts VALUES ('after', '')"))
    assert caught.value.remedy
    with ledger.begin() as tx:
        assert tx.facts.get("before") is None
        assert tx.facts.get("after") is None


def test_a_file_that_may_not_grow_is_an_error_and_nothing_is_half_written(path: Path, start: Starter) -> None:
    open_ledger(path, create=True).close()
    code = """
import resource
from retentiond.errors import LedgerError
def step(size):
    with ledger.begin() as tx:
        tx.events.append("k", "s", NOW)
        tx.entries.stage(b"x" * size)
step(10)
limit = 64 * 1024 + max(p.stat().st_size for p in Path(ledger.where).parent.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    step(4_000_000)
except LedgerError as error:
    say(error.what + " | " + error.remedy)
say(ledger.log_state.size())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
step(4_000_000)
say(ledger.log_state.size())
"""
    process = start(code, path)
    message = said(process)
    assert "full" in message or "could not be read or written" in message
    assert "space" in message
    assert said(process) == "1"
    assert said(process) == "2"
    assert process.wait(30) == 0
    ledger = open_ledger(path)
    assert ledger.log_state.size() == 2
    assert list(ledger.check()) == []
    ledger.close()
