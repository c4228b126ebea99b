from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from retentiond.errors import LedgerBusy, LedgerError
from retentiond.ledger import SqlLedger
from tests.ledger.processes import Starter, said
from tests.ledger.samples import Broken

ACT = """
with ledger.acting():
    say("acting")
    sys.stdin.readline()
say("over")
"""


def lock_of(ledger: SqlLedger) -> Path:
    return Path(f"{Path(ledger.where)}.lock")


def test_a_second_process_is_told_who_acts_and_does_not_wait(ledger: SqlLedger, start: Starter) -> None:
    other = start(ACT, Path(ledger.where))
    assert said(other) == "acting"
    with pytest.raises(LedgerBusy, match=f"process {other.pid} is acting") as caught, ledger.acting():
        pytest.fail("two processes act")
    assert "wait until it has finished" in caught.value.remedy
    with ledger.begin() as tx:  # to look and to write is not to act
        tx.facts.set("a", "b")
    assert other.stdin is not None
    other.stdin.write("\n")
    other.stdin.flush()
    assert said(other) == "over"
    with ledger.acting():
        assert lock_of(ledger).read_text() == str(os.getpid())


def test_a_block_that_raises_lets_go(ledger: SqlLedger) -> None:
    with pytest.raises(Broken), ledger.acting():
        raise Broken
    with ledger.acting():
        pass


def test_the_lock_is_its_owners_only(ledger: SqlLedger) -> None:
    with ledger.acting():
        assert stat.S_IMODE(lock_of(ledger).stat().st_mode) == 0o600


def test_a_lock_that_is_a_symbolic_link_is_refused_and_its_target_untouched(ledger: SqlLedger, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("do not truncate")
    lock_of(ledger).symlink_to(precious)
    with pytest.raises(LedgerError, match="lock of the ledger cannot be taken"), ledger.acting():
        pytest.fail("acting without a lock")
    assert precious.read_text() == "do not truncate"
