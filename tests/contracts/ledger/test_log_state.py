from __future__ import annotations

import threading
from pathlib import Path

import pytest

from retentiond.ledger import Database, SqlLedger
from tests.ledger.processes import Starter, said
from tests.ledger.samples import Broken


def test_entries_are_numbered_from_zero_without_gaps(ledger: SqlLedger) -> None:
    assert ledger.log_state.size() == 0
    with ledger.begin() as tx:
        assert [tx.entries.stage(b"a"), tx.entries.stage(b"\x00\xff")] == [0, 1]
    with pytest.raises(Broken), ledger.begin() as tx:  # noqa: PT012 - one transaction
        assert tx.entries.stage(b"rolled back") == 2
        raise Broken
    with ledger.begin() as tx:
        assert tx.entries.stage(b"c") == 2
    assert ledger.log_state.size() == 3
    assert ledger.log_state.entries(0, 10) == [b"a", b"\x00\xff", b"c"]
    assert ledger.log_state.entries(1, 1) == [b"\x00\xff"]
    assert ledger.log_state.entries(3, 10) == []


def test_the_checkpoint_changes_only_for_who_knows_it(ledger: SqlLedger) -> None:
    state = ledger.log_state
    assert state.checkpoint() is None
    assert state.swap_checkpoint(b"never", b"one") is False
    assert state.swap_checkpoint(None, b"one") is True
    assert state.swap_checkpoint(None, b"other one") is False
    assert state.swap_checkpoint(b"never", b"two") is False
    assert state.checkpoint() == b"one"
    assert state.swap_checkpoint(b"one", b"two") is True
    assert state.swap_checkpoint(b"one", b"other two") is False
    assert state.checkpoint() == b"two"


def test_of_many_writers_one_wins_each_time(ledger: SqlLedger) -> None:
    def swap(name: bytes, old: bytes | None, won: list[bytes], gate: threading.Barrier) -> None:
        gate.wait()
        if ledger.log_state.swap_checkpoint(old, name):
            won.append(name)

    old: bytes | None = None
    for turn in range(5):
        won: list[bytes] = []
        gate = threading.Barrier(4)
        threads = [
            threading.Thread(target=swap, args=(f"{turn}/{writer}".encode(), old, won, gate)) for writer in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won == [ledger.log_state.checkpoint()]
        old = won[0]


def test_of_many_processes_one_wins(place: Path | Database, start: Starter) -> None:
    code = """
say("ready")
sys.stdin.readline()
say(ledger.log_state.swap_checkpoint(None, sys.argv[2].encode()))
"""
    processes = [start(code, place, name) for name in ("a", "b", "c")]
    for process in processes:
        assert said(process) == "ready"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert sorted(said(process) for process in processes) == ["False", "False", "True"]
