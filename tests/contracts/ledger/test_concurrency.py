"""Many at once: threads, processes that are killed, holds against claims."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from retentiond.errors import LedgerBusy, LedgerError
from retentiond.ledger import Database, SqlLedger, open_ledger
from tests.contracts.ledger.conftest import Engine, findings
from tests.ledger import samples
from tests.ledger.processes import Starter, go_on, said
from tests.ledger.samples import NOW, Broken

HOLD = samples.hold()


def together(count: int, work: Callable[[int], object]) -> list[object]:
    """Run a piece of work in threads that begin at once; return what each returned or raised."""
    results: list[object] = [None] * count
    gate = threading.Barrier(count)

    def run(number: int) -> None:
        gate.wait()
        try:
            results[number] = work(number)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_what_a_transaction_read_stays_true_until_it_commits(ledger: SqlLedger) -> None:
    def count(_: int) -> None:
        for _ in range(10):
            with ledger.begin() as tx:
                tx.facts.set("n", str(int(tx.facts.get("n") or 0) + 1))

    assert together(4, count) == [None] * 4
    with ledger.begin() as tx:
        assert tx.facts.get("n") == "40"


@pytest.mark.parametrize("shared", [False, True])
def test_entries_have_no_gaps_whoever_rolls_back(ledger: SqlLedger, *, shared: bool) -> None:
    def stage(number: int) -> list[int]:
        chance, indexes = random.Random(number), []
        for turn in range(12):
            entries = [f"{number}/{turn}/{n}".encode() for n in range(chance.randint(1, 3))]
            try:
                with ledger.begin(shared=shared) as tx:
                    staged = [tx.entries.stage(entry) for entry in entries]
                    tx.events.append("k", "s", NOW)
                    if chance.random() < 0.4:
                        raise Broken  # noqa: TRY301 - the block is to raise
            except Broken:
                continue
            indexes += staged
        return indexes

    results = together(4, stage)
    indexes = sorted(index for each in results if isinstance(each, list) for index in each)
    assert [each for each in results if isinstance(each, Exception)] == []
    assert indexes == list(range(len(indexes)))
    assert len(ledger.log_state.entries(0, 1_000)) == ledger.log_state.size() == len(indexes) > 20
    assert findings(ledger) == []


@pytest.mark.parametrize("shared", [False, True])
def test_a_nonce_is_used_once_by_however_many(ledger: SqlLedger, *, shared: bool) -> None:
    def use(_: int) -> bool:
        with ledger.begin(shared=shared) as tx:
            return tx.approvals.use_nonce("n", NOW)

    assert sorted(map(str, together(6, use))) == ["False"] * 5 + ["True"]


@pytest.mark.parametrize("shared", [False, True])
def test_each_claim_has_a_token_of_its_own_and_the_newest_wins(ledger: SqlLedger, *, shared: bool) -> None:
    samples.make_plan(ledger)

    def claim(_: int) -> int:
        with ledger.begin(shared=shared) as tx:
            return tx.batches.claim("plan-1", 0, NOW)

    assert sorted(map(str, together(6, claim))) == list("123456")

    def act(number: int) -> None:
        with ledger.begin(shared=shared) as tx:
            tx.batches.mark_acted("plan-1", 0, number + 1)

    results = together(6, act)
    assert results[5] is None
    assert all(isinstance(each, LedgerError) and "must not act" in each.what for each in results[:5])


@pytest.mark.parametrize("shared", [False, True])
def test_a_hold_waits_for_the_claim_that_read_none(
    ledger: SqlLedger, place: Path | Database, start: Starter, *, shared: bool
) -> None:
    """Else both commit: the claim that saw no hold, and the hold that saw no claim."""
    samples.make_plan(ledger)
    claimer = start(
        f"""
with ledger.begin(shared={shared}) as tx:
    say(len(tx.holds.active()))
    wait()
    say(tx.batches.claim("plan-1", 0, NOW))
say("committed")
wait()
""",
        place,
    )
    assert said(claimer) == "0"
    order: list[str] = []
    seen: list[str] = []

    def hold() -> None:
        with ledger.begin(shared=shared) as tx:
            tx.holds.add(HOLD)
            order.append("hold")
            seen.extend(batch.state for batch in tx.batches.of_plan("plan-1"))

    thread = threading.Thread(target=hold)
    thread.start()
    time.sleep(0.5)
    assert order == []
    order.append("claim")
    go_on(claimer)
    assert said(claimer) == "1"
    assert said(claimer) == "committed"
    thread.join()
    assert order == ["claim", "hold"]
    assert seen == ["claimed", "planned"]


@pytest.mark.parametrize("shared", [False, True])
def test_a_claim_waits_for_the_hold_that_saw_none(
    ledger: SqlLedger, place: Path | Database, start: Starter, *, shared: bool
) -> None:
    samples.make_plan(ledger)
    holder = start(
        f"""
from tests.ledger import samples
with ledger.begin(shared={shared}) as tx:
    tx.holds.add(samples.hold())
    say(tx.batches.of_plan("plan-1")[0].state.value)
    wait()
say("committed")
wait()
""",
        place,
    )
    assert said(holder) == "planned"
    claimed: list[object] = []

    def claim() -> None:
        with ledger.begin(shared=shared) as tx:
            token = tx.batches.claim("plan-1", 0, NOW)
            claimed.append((token, tx.holds.epoch(), [hold.id for hold in tx.holds.active()]))

    thread = threading.Thread(target=claim)
    thread.start()
    time.sleep(0.5)
    assert claimed == []
    go_on(holder)
    assert said(holder) == "committed"
    thread.join()
    assert claimed == [(1, 1, ["h"])]


def test_hold_changes_at_once_wait_for_each_other_and_none_is_lost(ledger: SqlLedger) -> None:
    def change(number: int) -> None:
        for turn in range(5):
            name = f"h{number}-{turn}"
            with ledger.begin(shared=True) as tx:
                if turn % 2:
                    tx.entries.stage(b"entry")
                tx.holds.add(samples.hold(name))
                tx.events.append("hold.added", name, NOW)
            with ledger.begin(shared=True) as tx:
                tx.holds.release(name, NOW)
                tx.events.append("hold.released", name, NOW)

    assert together(4, change) == [None] * 4
    with ledger.begin() as tx:
        assert tx.holds.epoch() == 40
        assert tx.holds.active() == []
    assert findings(ledger) == []


def test_a_killed_process_leaves_what_it_committed_and_nothing_else(
    ledger: SqlLedger, place: Path | Database, start: Starter
) -> None:
    process = start(
        """
with ledger.begin() as tx:
    tx.events.append("committed", "s", NOW)
    tx.entries.stage(b"committed")
with ledger.begin() as tx:
    for _ in range(200):
        tx.events.append("not committed", "s" * 10_000, NOW)
    tx.entries.stage(b"not committed")
    say("in the middle")
    wait()
""",
        place,
    )
    assert said(process) == "in the middle"
    process.kill()
    assert process.wait() == -signal.SIGKILL
    with ledger.begin() as tx:
        assert [row.kind for row in tx.events.newest(9)] == ["committed"]
        assert tx.entries.stage(b"next") == 1
    assert findings(ledger) == []


def test_what_was_reported_survives_kills_at_any_moment(
    ledger: SqlLedger, place: Path | Database, start: Starter
) -> None:
    code = """
while True:
    with ledger.begin() as tx:
        tx.events.append("k", "s", NOW)
        index = tx.entries.stage(b"entry")
    say(index)
"""
    moments = random.Random(9)
    for _ in range(2):
        processes = [start(code, place), start(code, place)]
        for process in processes:
            said(process)
        time.sleep(moments.uniform(0, 0.2))
        for process in processes:
            process.kill()
        reported = [int(line) for process in processes for line in process.communicate()[0].split()]
        assert ledger.log_state.size() > max(reported, default=0)
        with ledger.begin() as tx:
            assert tx.events.newest(1)[0].sequence == tx.entries.stage(b"entry")  # numbered from 1, and from 0
            tx.events.append("k", "s", NOW)
        assert findings(ledger) == []


ACT = """
with ledger.acting():
    say("acting")
    wait()
say("over")
wait()
"""


def test_one_process_acts_and_others_are_told_at_once(
    ledger: SqlLedger, place: Path | Database, start: Starter
) -> None:
    other = start(ACT, place)
    assert said(other) == "acting"
    with pytest.raises(LedgerBusy, match=f"{other.pid}.* is acting") as caught, ledger.acting():
        pytest.fail("two processes act")
    assert "wait until it has finished" in caught.value.remedy
    with ledger.begin() as tx:  # to look and to write is not to act
        tx.facts.set("a", "b")
    go_on(other)
    assert said(other) == "over"
    with ledger.acting(), ledger.begin() as tx:
        assert tx.facts.get("a") == "b"


def test_a_killed_process_acts_no_more(
    ledger: SqlLedger, engine: Engine, place: Path | Database, start: Starter
) -> None:
    other = start(ACT, place)
    assert said(other) == "acting"
    other.kill()
    other.wait()
    deadline = time.monotonic() + (5 if engine.server else 0)  # the server notices a moment later
    while True:
        try:
            with ledger.acting():
                return
        except LedgerBusy:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_two_parts_of_one_process_do_not_both_act(ledger: SqlLedger, place: Path | Database) -> None:
    second = open_ledger(place)
    with ledger.acting(), pytest.raises(LedgerBusy, match="is acting"), second.acting():
        pytest.fail("both act")
    with pytest.raises(Broken), second.acting():
        raise Broken
    with ledger.acting():
        pass
    second.close()
