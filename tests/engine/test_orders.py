"""Both sides of an order, each facing one that is gone, or that is up to something else."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from retentiond.clock import SystemClock
from retentiond.engine import orders as engine
from retentiond.engine.orders import Counter, OrderPen, OrderReporter, Wanted, finish_order, orders_at_hand, take_order
from retentiond.engine.sshsig import public_key, verify
from retentiond.errors import ApprovalError, Interrupted, LedgerError, RetentiondError
from retentiond.ledger import Database, SqlLedger, open_ledger
from retentiond.ports.orders import OrderRow, OrderState, Role
from tests.engine.office import Quiet
from tests.servers.postgres import Server
from tests.service.daemon import await_that

SHA = "ab" * 32


class Heard(Quiet):
    """What whoever waits heard."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[object] = []

    def start(self, what: str, total: int | None) -> None:
        self.said.append((what, total))

    def advance(self, records: int) -> None:
        if records:
            self.said.append(records)

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def ledger(postgresql_newest: Server) -> Iterator[SqlLedger]:
    with postgresql_newest.database() as name:
        opened = open_ledger(Database(postgresql_newest.dsn(name)), create=True)
        yield opened
        opened.close()


@pytest.fixture
def counter(ledger: SqlLedger) -> Counter:
    return Counter(ledger, SystemClock(), "instance-1")


def make_key(directory: Path, name: str) -> Path:
    path = directory / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
    return path


@contextmanager
def serving(ledger: SqlLedger, work: Callable[[OrderRow], None], *, leaves: bool = False) -> Iterator[list[OrderRow]]:
    """Have somebody take the first order that comes; `leaves`: and be gone after that."""
    ended: list[OrderRow] = []
    over = threading.Event()

    def serve() -> None:
        with ledger.attending(Role.SERVING) as number:
            there.set()
            while not over.is_set() and not ended:
                for order in orders_at_hand(ledger)[:1]:
                    taken = take_order(ledger, order, number)
                    assert taken is not None
                    work(taken)
                    ended.append(taken)
                time.sleep(0.02)
            if not leaves:
                over.wait()

    there = threading.Event()
    thread = threading.Thread(target=serve)
    thread.start()
    there.wait(10)
    try:
        yield ended
    finally:
        over.set()
        thread.join()


def order(counter: Counter, verb: str, key: Path | None = None, **arguments: object) -> Any:
    return counter.order(Wanted(verb, arguments, key), Quiet(), lambda: False)


def rows(ledger: SqlLedger) -> list[OrderRow]:
    with ledger.orders() as found:
        return list(found.all())


def test_whoever_waits_hears_of_progress_and_of_the_end(counter: Counter, ledger: SqlLedger) -> None:
    def work(taken: OrderRow) -> None:
        reporter = OrderReporter(ledger, counter.clock, taken.id, lambda: None)
        reporter.start("purging", 10)
        reporter.advance(4)
        reporter.note("look")
        await_that(lambda: "look" in heard.said, "it is heard")
        reporter.start("verifying", None)
        finish_order(ledger, taken, {"exit": 0, "seen": dict(taken.arguments)})

    heard = Heard()
    with serving(ledger, work):
        assert counter.served()
        answer = counter.order(Wanted("run", {"policies": ["a"]}), heard, lambda: False)
    assert answer == {"exit": 0, "seen": {"policies": ["a"]}}
    assert heard.said == [("purging", 10), 4, "look", ("verifying", None)]
    assert rows(ledger) == []
    assert not counter.served()


REQUEST, APPROVAL = "retentiond-request/v1", "retentiond-approval/v1"
MEANT = [
    ("hold add", {}, [REQUEST, "instance-1", "hold add", SHA]),
    ("approve", {"plan": SHA}, [APPROVAL, "instance-1", SHA, "approve"]),
    ("approve", {"plan": "an-id"}, [APPROVAL, "instance-1", SHA, "approve"]),
    ("approve", {"plan": SHA}, [REQUEST, "instance-1", "approvers", SHA]),
]
FOREIGN = [
    ("hold add", {}, [REQUEST, "instance-2", "hold add", SHA]),
    ("hold add", {}, [REQUEST, "instance-1", "hold release", SHA]),
    ("hold add", {}, [APPROVAL, "instance-1", SHA, "approve"]),
    ("reject", {"plan": SHA}, [APPROVAL, "instance-1", SHA, "approve"]),
    ("approve", {"plan": SHA}, [APPROVAL, "instance-1", "cd" * 32, "approve"]),
    ("approve", {"plan": SHA}, [REQUEST, "instance-1", "purge", SHA]),
    ("hold add", {}, ["something else", "instance-1", "hold add", SHA]),
    ("hold add", {}, ["short"]),
    ("approve", {"plan": "an-id"}, [APPROVAL, "instance-1"]),
]


@pytest.mark.parametrize(("verb", "arguments", "lines"), MEANT)
def test_what_was_meant_is_signed_where_the_order_came_from(
    counter: Counter, ledger: SqlLedger, tmp_path: Path, verb: str, arguments: dict[str, str], lines: list[str]
) -> None:
    key, text = make_key(tmp_path, "alice"), "\n".join(lines) + "\n"

    def work(taken: OrderRow) -> None:
        pen = OrderPen(ledger, counter.clock, taken)
        finish_order(ledger, taken, {"signature": pen.sign(text, pen.offered[0])})

    with serving(ledger, work):
        answer = order(counter, verb, key, **arguments)
    allowed = f"alice {' '.join(public_key(key))}\n"
    assert verify(text, answer["signature"], allowed, SystemClock().now()) == "alice"


@pytest.mark.parametrize(("verb", "arguments", "lines"), FOREIGN)
def test_nothing_else_is_signed(
    counter: Counter, ledger: SqlLedger, tmp_path: Path, verb: str, arguments: dict[str, str], lines: list[str]
) -> None:
    key, got = make_key(tmp_path, "alice"), []

    def work(taken: OrderRow) -> None:
        pen = OrderPen(ledger, counter.clock, taken)
        with pytest.raises(RetentiondError):
            got.append(pen.sign("\n".join(lines) + "\n", pen.offered[0]))

    with serving(ledger, work), pytest.raises(ApprovalError, match="something else"):
        order(counter, verb, key, **arguments)
    assert got == []
    assert rows(ledger) == []


def test_no_other_key_signs_than_one_that_was_offered(counter: Counter, ledger: SqlLedger, tmp_path: Path) -> None:
    key, other = make_key(tmp_path, "alice"), public_key(make_key(tmp_path, "bob"))

    def work(taken: OrderRow) -> None:
        with pytest.raises(ApprovalError, match="did not sign"):
            OrderPen(ledger, counter.clock, taken).sign(f"{REQUEST}\ninstance-1\nresume\n", other)

    with serving(ledger, work), pytest.raises(ApprovalError, match="something else"):
        order(counter, "resume", key)


def test_a_daemon_that_leaves_in_the_midst_of_it_is_told(counter: Counter, ledger: SqlLedger) -> None:
    with serving(ledger, lambda _: None, leaves=True), pytest.raises(LedgerError, match="is gone") as caught:
        order(counter, "run")
    assert "how it ended is not known" in caught.value.what
    assert rows(ledger) == []


def test_an_order_that_nobody_takes_is_taken_back(
    counter: Counter, ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_ALONE_SECONDS", 0.1)
    monkeypatch.setattr(engine, "_LOOK_SECONDS", 0.1)
    with pytest.raises(LedgerError, match="nothing of it was done"):
        order(counter, "run")
    assert rows(ledger) == []


def test_whoever_stops_waiting_takes_back_only_what_was_not_begun(counter: Counter, ledger: SqlLedger) -> None:
    with pytest.raises(Interrupted, match="nothing of it was done"):
        counter.order(Wanted("run", {}), Quiet(), lambda: True)
    with serving(ledger, lambda _: None) as taken, pytest.raises(Interrupted, match="goes on with it"):
        counter.order(Wanted("run", {}), Quiet(), lambda: bool(taken))
    assert rows(ledger) == []


def test_what_nobody_waits_for_is_not_taken_and_forgotten(ledger: SqlLedger) -> None:
    now = SystemClock().now()
    with ledger.attending(Role.ASKING) as asker, ledger.attending(Role.SERVING) as server:
        with ledger.orders() as found:
            found.add(OrderRow("waits", now, asker, "run", {}, []))
            found.add(OrderRow("left", now, asker + 1 if asker < 2**30 else asker - 1, "run", {}, []))
            found.add(OrderRow("left at work", now, 1, "run", {}, [], OrderState.RUNNING, server=server))
            found.add(OrderRow("left with its end", now, 1, "run", {}, [], OrderState.DONE, server=server))
        assert [each.id for each in orders_at_hand(ledger)] == ["waits"]
        assert {each.id for each in rows(ledger)} == {"waits", "left at work"}


def test_an_order_that_is_taken_just_then_is_not_called_taken_back(counter: Counter, ledger: SqlLedger) -> None:
    """Between the last look of whoever waits, and their wish to stop."""

    def taken_meanwhile() -> bool:
        with ledger.orders() as found:
            for each in found.all():
                found.take(each.id, 7)
        return True

    with pytest.raises(Interrupted, match="goes on with it"):
        counter.order(Wanted("run", {}), Quiet(), taken_meanwhile)
