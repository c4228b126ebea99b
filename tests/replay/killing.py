"""A replay is killed at each of its moments, and gone on with: `python -m tests.replay.killing [--step N]`."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from retentiond.clock import SystemClock
from retentiond.engine.running import run_all
from tests.engine.leavers import ask, fill, names
from tests.engine.office import FakeClock, Office, make_office
from tests.faults.moments import run_in_fork, warm_up
from tests.replay.restoring import back_up, everything, restore

ACCOUNTS = names(12)
ROUNDS = 6


@dataclass(slots=True)
class Killed:
    """What a replay came to that was killed at some of its moments."""

    moments: int = 0
    killed: int = 0
    violations: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Restored:
    """An office whose stores were restored, in a directory to be copied; and what a replay is to leave there."""

    root: Path
    expected: dict[str, set[Any]]

    def copy(self, number: int) -> Office:
        target = self.root.with_name(f"copy-{number}")
        shutil.copytree(self.root, target)
        return Office(target, FakeClock(SystemClock().now()))


def make_restored(root: Path) -> Restored:
    """Close half of the accounts, and bring them back."""
    office = make_office(root)
    office.clock.at = SystemClock().now()
    office.edit("policies.yaml", "max_percent: 95", "max_percent: 100")
    fill(office, ACCOUNTS, requests=3)
    backup = back_up(office)
    ask(office, ACCOUNTS[:6])
    with office.open() as ctx:
        session = run_all(ctx)
    assert (session.failures, session.stops) == ([], [])
    expected = everything(office)
    restore(office, backup)
    return Restored(root, expected)


def kill_at(scene: Restored, choose: Callable[[int], Iterable[int]]) -> Killed:
    """Kill a replay at each chosen moment, of so many, and go on with it until nothing is due."""
    figures = Killed()
    office = scene.copy(0)
    code, told = run_in_fork(office.config, {}, ("replay",))
    figures.moments = sum(int(line.rpartition(": ")[2]) for line in told.splitlines())
    figures.violations += _judge(scene, office, f"undisturbed, which ended with {code},")
    for moment in choose(figures.moments):
        office = scene.copy(moment)
        code, what = run_in_fork(office.config, {}, ("replay",), moment)
        figures.killed += code == -signal.SIGKILL
        figures.violations += [f"killed at {moment}: {each} is gone" for each in _too_much(scene, office)]
        for _ in range(ROUNDS):
            code, _ = run_in_fork(office.config, {}, ("replay",))
            if code == 0:
                break
        figures.violations += _judge(scene, office, f"killed at {moment}, {what.strip()}: ended with {code},")
        shutil.rmtree(office.root)
    return figures


def _too_much(scene: Restored, office: Office) -> list[str]:
    left = everything(office)
    return [f"something of {name}" for name, expected in scene.expected.items() if not expected <= left[name]]


def _judge(scene: Restored, office: Office, when: str) -> list[str]:
    """Return what is wrong: what is there, or that not each plan has exactly one end, or a receipt says too much."""
    found = [] if everything(office) == scene.expected else [f"{when} what is there is not what was there"]
    ended = _ask(office, "SELECT count(*) FROM plans WHERE state NOT IN ('done', 'cancelled')")
    found += [f"{when} a plan has no end"] if ended != [(0,)] else []
    annexes = _ask(
        office,
        "SELECT r.annex FROM receipts AS r JOIN plans AS p ON p.id = r.plan WHERE p.\"trigger\" = 'replay'",
    )
    outcomes = [part["outcomes"] for (annex,) in annexes for part in json.loads(annex)["parts"]]
    gone = sum(each["purged"] + each["alreadyGone"] for each in outcomes)
    records = 6 * 3 + 6 + 1  # requests, feedback, and the first account's payload
    found += [f"{when} receipts speak of {gone} records, not of {records}"] if gone != records else []
    return found


def _ask(office: Office, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(office.root / "ledger.db")) as db:
        return db.execute(query).fetchall()


def main() -> None:
    """Kill at every Nth moment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--step", type=int, default=5)
    step = parser.parse_args().step
    warm_up()
    with tempfile.TemporaryDirectory() as root:
        figures = kill_at(make_restored(Path(root, "first")), lambda count: range(1, count + 1, step))
    click.echo(f"replay: {figures.moments} moments, killed at {figures.killed}, {len(figures.violations)} violations")
    raise SystemExit("\n".join(figures.violations))


if __name__ == "__main__":
    main()
