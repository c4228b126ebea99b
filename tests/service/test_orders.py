"""What a daemon does for whoever can write orders: what is meant to be ordered, and nothing with its own files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import click
import pytest

from retentiond.cli import cli, remote
from retentiond.cli.remote import carry_out
from retentiond.clock import SystemClock
from retentiond.engine.orders import Counter, Wanted
from retentiond.errors import LedgerBusy, NotFound, UsageError
from retentiond.ledger import Database, SqlLedger, open_ledger
from retentiond.ledger.backend import transaction
from retentiond.ports.orders import OrderRow, Role
from retentiond.service.desk import Desk, Ways
from tests.engine.office import Office, Quiet, make_office, plan
from tests.servers.postgres import Server
from tests.service.daemon import await_that

ORDERED = {
    "account cancel", "account close", "account list", "account show", "account status", "apply", "approve", "cancel",
    "check", "clock reset", "erasure add", "erasure cancel", "erasure extend", "erasure list", "erasure refuse",
    "erasure show", "erasure status", "erasure verify", "explain", "hold add", "hold list", "hold release",
    "hold report", "hold review", "hold show", "keys publish", "keys revoke", "pause", "plan", "purge",
    "receipt attest", "receipt hold-notice", "receipt retract", "reject", "replay", "resume", "run", "status", "undo",
}  # fmt: skip
ORDER = OrderRow("order-1", datetime(2026, 6, 1, tzinfo=UTC), 1, "status", {}, [])


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return make_office(tmp_path)


def leaves(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    with click.Context(group) as ctx:
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            assert command is not None
            if isinstance(command, click.Group):
                yield from leaves(command, (*before, name))
            else:
                yield " ".join((*before, name)), command


def test_what_acts_or_looks_into_stores_is_an_order_and_nothing_else_is(office: Office) -> None:
    found = dict(leaves(cli))
    assert {verb for verb, command in found.items() if getattr(command.callback, "is_order", False)} == ORDERED
    with office.open() as ctx:
        for verb in found.keys() - ORDERED:
            with pytest.raises(UsageError, match="is nothing that a daemon is asked to do"):
                carry_out(ctx, replace(ORDER, verb=verb))


def test_a_key_is_revoked_by_an_order_at_the_time_that_was_typed_wherever_that_was(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    arguments = {"key": "issuer", "at": remote._write(datetime(2026, 6, 1, 12)), "reason": "lost"}  # noqa: DTZ001
    monkeypatch.undo()
    time.tzset()
    with office.open() as ctx:
        answer = carry_out(ctx, replace(ORDER, verb="keys revoke", arguments=arguments))
        assert answer["document"]["key"]["revoked_at"] == "2026-06-01T12:00:00Z"
        listed = carry_out(ctx, replace(ORDER, verb="keys publish"))
    assert [each["role"] for each in listed["document"]["keys"]] == ["issuer", "log"]
    assert listed["document"]["keys"][0]["revoked_at"] == "2026-06-01T12:00:00Z"
    assert "2026-06-01 12:00" in listed["out"]


@pytest.mark.parametrize("verb", ["", "account", "nothing", "account nothing", "status more"])
def test_what_is_no_verb_is_refused(office: Office, verb: str) -> None:
    with office.open() as ctx, pytest.raises(UsageError):
        carry_out(ctx, replace(ORDER, verb=verb))


@pytest.mark.parametrize("more", ["output", "ssh_key", "config", "debug", "strange"])
def test_no_argument_can_be_smuggled_in(office: Office, more: str, tmp_path: Path) -> None:
    target = tmp_path / "written"
    arguments = {"policies": [], "at": None, "diff": False, more: str(target)}
    with office.open() as ctx, pytest.raises(UsageError, match="not the arguments of plan"):
        carry_out(ctx, replace(ORDER, verb="plan", arguments=arguments))
    assert not target.exists()


def test_a_time_is_the_same_wherever_it_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Pacific/Kiritimati")
        time.tzset()
        typed = datetime(2026, 6, 1, 12)  # noqa: DTZ001 - as click has it, whose format ends with a Z
        assert remote._read(json.loads(json.dumps(remote._write(typed)))) == typed.replace(tzinfo=UTC)
    time.tzset()


def test_no_file_of_the_daemons_machine_is_read_for_an_order(office: Office, tmp_path: Path) -> None:
    office.feedback(1, 40)
    with office.open() as ctx:
        made = plan(ctx).plan
        assert made is not None
        (tmp_path / "plan.json").write_text(json.dumps({"plan": made.id}), "utf-8")
        for verb in ("apply", "approve", "reject"):
            with pytest.raises(NotFound):
                carry_out(ctx, replace(ORDER, verb=verb, arguments={"plan": str(tmp_path / "plan.json")}))


def test_an_answer_has_what_programs_and_what_people_get(office: Office) -> None:
    office.feedback(1, 40)
    with office.open() as ctx:
        answer = carry_out(ctx, replace(ORDER, verb="run", arguments={"policies": []}))
    assert answer["exit"] == 4
    assert answer["document"]["stopped"]["guard"] == "approval"
    assert "what to do: retentiond approve" in answer["err"]
    assert answer["out"]


@dataclass
class Shop:
    """Where a desk gets its ledger and instances from."""

    book: SqlLedger

    def open(self, reporter: object) -> AbstractContextManager[Any]:
        del reporter
        return nullcontext(Surroundings())

    @contextmanager
    def orders(self) -> Iterator[SqlLedger]:
        yield self.book


@dataclass
class Surroundings:
    pen: object = None


@contextmanager
def desk(book: SqlLedger, work: Callable[[Any, OrderRow], dict[str, Any]]) -> Iterator[None]:
    stop = Event()
    there = Desk(Ways(Shop(book), SystemClock(), work, lambda: None), stop)
    there.start()
    await_that(lambda: book.attendants(Role.SERVING), "it is there")
    try:
        yield
    finally:
        stop.set()
        there.join()


@pytest.fixture
def book(postgresql_newest: Server) -> Iterator[SqlLedger]:
    with postgresql_newest.database() as name:
        opened = open_ledger(Database(postgresql_newest.dsn(name)), create=True)
        yield opened
        opened.close()


def ordered(book: SqlLedger, verb: str) -> dict[str, Any]:
    counter = Counter(book, SystemClock(), "instance-1")
    return dict(counter.order(Wanted(verb, {}), Quiet(), lambda: False))


def test_a_defect_or_a_row_that_is_no_order_does_not_end_the_desk(
    book: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retentiond.service.desk._TROUBLE_SECONDS", 0.2)

    def work(_: Any, order: OrderRow) -> dict[str, Any]:
        if order.verb == "breaks":
            raise ZeroDivisionError
        return {"exit": 0}

    with desk(book, work):
        assert ordered(book, "breaks")["error"]["what"] == "a defect of retentiond: ZeroDivisionError"
        assert ordered(book, "works")["exit"] == 0
        with transaction(book._backend) as connection:
            connection.exec_driver_sql(
                "INSERT INTO orders VALUES ('odd', 1, 1, 0, 'v', 'no JSON', '[]', 'waiting', '{}', '', '{}', '{}')"
            )
        time.sleep(0.5)
        with transaction(book._backend) as connection:
            connection.exec_driver_sql("DELETE FROM orders WHERE id = 'odd'")
        await_that(lambda: book.attendants(Role.SERVING), "it is there again")
        assert ordered(book, "works")["exit"] == 0


def test_eight_at_once_and_one_that_finds_another_acting_waits(book: SqlLedger) -> None:
    going, busy = Semaphore(0), iter([True, True])

    def work(_: Any, order: OrderRow) -> dict[str, Any]:
        if order.verb == "run" and next(busy, False):
            raise LedgerBusy("another one acts")
        if order.verb == "waits":
            assert going.acquire(timeout=30)
        return {"exit": 0}

    with desk(book, work), ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(ordered, book, "waits") for _ in range(7)]
        assert ordered(book, "hold add")["exit"] == 0
        assert ordered(book, "run")["exit"] == 0
        for _ in waiting:
            going.release()
        assert [each.result(30)["exit"] for each in waiting] == [0] * 7
