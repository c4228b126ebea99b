"""A store that goes back in time: its standby, which lost the removals, is promoted; or its backup is restored."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from retentiond.engine import enforcement
from retentiond.engine.positions import has_moved
from tests.faults.keeping import Postgres
from tests.faults.moments import run_in_fork
from tests.faults.oracle import Oracle
from tests.faults.papers import read_entries, read_papers
from tests.faults.programme import said
from tests.faults.world import Size, World, make_world
from tests.servers.postgres import Server, started

SIZE = Size(120, 200, requests=60, files=6)


@contextmanager
def pair(root: Path) -> Iterator[tuple[World, Server]]:
    """Give a world on a server of its own, with the ledger in a file, and a copy of that server as it was before."""
    with started() as server:
        world = make_world(root, SIZE, seed=3, keeping=Postgres(server, "app", root / "config" / "ledger.db"))
        with server.copied("-R") as copy:
            yield world, copy


def fail_over(world: World, copy: Server) -> World:
    """Let the copy take over, which knows nothing of what was removed since it was made."""
    keeping = world.keeping
    assert isinstance(keeping, Postgres)
    keeping.server.stop("immediate")
    copy.start()
    copy.promote()
    return replace(world, keeping=replace(keeping, server=copy))


def papers(world: World) -> list[Any]:
    entries = read_entries(world.config / "log", _size(world))
    return read_papers(world.config, entries)


def _size(world: World) -> int:
    return int((world.config / "log" / "checkpoint").read_text(encoding="utf-8").splitlines()[1])


def until_done(world: World) -> None:
    for _ in range(6):
        ended = world.run("run", "--json")
        if ended.code == 0:
            return
        assert ended.code in (4, 5), ended.err
        if ended.code == 4:
            world.approved_plan()
    raise AssertionError("it does not end")


def stop_before_the_receipt(world: World, plan: str) -> None:
    """Carry a plan out up to the moment when all of its batches were verified, and be killed there."""
    code, told = run_in_fork(world.config, world.environ, ("apply", plan), prepare=_die_at_the_receipt)
    assert code == -signal.SIGKILL, (told, said(world))
    assert world.keeping.ask("SELECT DISTINCT state FROM batches") == [[("verified",)]]


def _die_at_the_receipt() -> None:
    def die(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(enforcement, "issue_run_receipt", die)  # noqa: B010 - mypy has a word on it


@pytest.fixture
def pairs(tmp_path: Path) -> Iterator[tuple[World, Server]]:
    with pair(tmp_path / "world") as both:
        yield both


def test_the_position_at_verification_stands_in_the_annex(pairs: tuple[World, Server]) -> None:
    world, _ = pairs
    assert world.run("apply", world.approved_plan()).code == 0
    with world.keeping.server.connect() as connection:  # type: ignore[attr-defined]
        system = connection.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone()[0]
    (paper,) = papers(world)
    said = [part["position"] for part in paper.annex["parts"] if part["store"] == "db"]
    assert said
    assert {(each["systemId"], each["timeline"]) for each in said} == {(system, 1)}
    assert all(has_moved({"lsn": "FFFFFF/0"}, {"lsn": each["lsn"]}) for each in said)


def test_what_a_failover_brings_back_before_the_receipt_is_in_no_receipt_as_gone(pairs: tuple[World, Server]) -> None:
    world, copy = pairs
    oracle = Oracle(world, world.look())
    plan = world.approved_plan()
    stop_before_the_receipt(world, plan)
    assert oracle.gone(world.look(), "events") == world.due["events"].keys()
    assert len(oracle.hidden(world.look())) == len(world.hide)
    world = oracle.world = fail_over(world, copy)
    assert oracle.gone(world.look(), "events") == set()
    assert oracle.hidden(world.look()) == set()
    ended = world.run("apply", plan, "--json")
    assert ended.code == 5, ended.err
    (paper,) = papers(world)
    left = {
        dataset: sum(part["outcomes"]["carriedOver"] for part in paper.annex["parts"] if part["dataset"] == dataset)
        for dataset in ("events", "requests", "exports")
    }
    assert left == {
        "events": len(world.due["events"]),
        "requests": len(world.due["requests"]) + len(world.hide),
        "exports": 0,
    }
    assert paper.predicate["outcome"] == "partial"
    (moved,) = world.run("status", "--json").json()["stores_moved"]
    assert (moved["store"], moved["records_back"]) == ("db", left["events"] + left["requests"])
    until_done(world)
    oracle.settled()
    assert oracle.violations == []


def test_what_a_failover_brings_back_after_the_receipt_is_told_of_and_goes_again(pairs: tuple[World, Server]) -> None:
    world, copy = pairs
    assert world.run("apply", world.approved_plan()).code == 0
    first = {paper.predicate["receiptId"] for paper in papers(world)}
    world = fail_over(world, copy)
    world.due["exports"] = {}  # these lie elsewhere, and stay gone
    oracle = Oracle(world, world.look(), earlier=first)
    back = len(world.due["events"]) + len(world.due["requests"]) + len(world.hide)
    ended = world.run("run", "--json")
    assert ended.code == 4, ended.err  # so many are due that somebody must approve
    assert ended.json()["overdue"] == back
    (moved,) = world.run("status", "--json").json()["stores_moved"]
    assert (moved["store"], moved["records_back"], moved["batches_unreadable"]) == ("db", back, 0)
    assert moved["looked_at"] is not None
    assert f"{back} removed records are back" in world.run("status").out
    ((kinds,),) = [world.keeping.ask("SELECT kind FROM events WHERE kind LIKE 'store.%' ORDER BY sequence")]
    assert kinds == [("store.moved",), ("store.looked-at-again",)]
    until_done(world)
    assert not world.due["events"].keys() & world.look().events.keys()
    oracle.settled()
    assert len(papers(world)) == 2
    assert oracle.violations == []


def test_nothing_is_signed_while_a_store_that_moved_cannot_be_looked_at(pairs: tuple[World, Server]) -> None:
    world, copy = pairs
    plan = world.approved_plan()
    stop_before_the_receipt(world, plan)
    world = fail_over(world, copy)
    with copy.connect("app") as connection:
        connection.execute("ALTER TABLE requests RENAME TO elsewhere")
    ended = world.run("apply", plan)
    assert ended.code == 1, ended.out
    assert papers(world) == []
    (moved,) = world.run("status", "--json").json()["stores_moved"]
    assert moved["looked_at"] is None
    with copy.connect("app") as connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO requests")
    assert world.run("apply", plan).code == 5
    assert len(papers(world)) == 1


def test_a_restart_moves_nothing(pairs: tuple[World, Server]) -> None:
    world, _ = pairs
    keeping = world.keeping
    assert isinstance(keeping, Postgres)
    plan = world.approved_plan()
    stop_before_the_receipt(world, plan)
    keeping.server.restart("immediate")
    assert world.run("apply", plan).code == 0
    assert world.run("status", "--json").json()["stores_moved"] == []


AT = {"systemId": "7", "timeline": 1, "lsn": "1/FF"}


@pytest.mark.parametrize(
    ("after", "moved"),
    [
        (AT, False),
        ({**AT, "lsn": "1/100"}, False),
        ({**AT, "lsn": "10/0"}, False),  # greater as a number, less as a text
        ({**AT, "lsn": "1/FE"}, True),
        ({**AT, "lsn": "0/FFFFFFFF"}, True),
        ({**AT, "timeline": 2, "lsn": "2/0"}, True),
        ({**AT, "systemId": "8", "lsn": "2/0"}, True),
        ({"timeline": 1, "lsn": "1/FF"}, False),  # a role that may not read the system id any more
        ({"timeline": 1, "lsn": "1/FE"}, True),
    ],
)
def test_a_store_has_moved_when_it_cannot_have_come_there_by_going_on(after: dict[str, Any], moved: bool) -> None:  # noqa: FBT001
    assert has_moved(AT, after) is moved
