"""Several daemons on one ledger in PostgreSQL, with a schedule of one second, while one freezes and one is killed.

`python -m tests.faults.replicas --seconds 300` plays it for as long: two daemons, started seven seconds apart, beside
an application that adds rows; one of them is stopped for a minute, the other one is killed and started again. Each slot
is worked on by one of them, and no row is removed twice or too early.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import psycopg

from retentiond.bootstrap import initialise
from retentiond.bootstrap.initialising import Names
from tests.servers.forking import of_this_interpreter
from tests.servers.postgres import Server, started
from tests.service.daemon import Running, await_that

DATAMAP = """
stores: {app: {kind: postgresql, dsn_env: STORE_DSN, backups: none}}
datasets:
  requests:
    store: app
    table: public.requests
    key: [id]
    clock: {column: created_at, earliest: 2023-01-01}
    account: account
    class: content
unmapped: report
"""
POLICIES = """
policies:
  content:
    class: content
    promise: {live: 40 days}
    rules: [{keep: 30 days}]
    schedule: "every 1 second"
    limits: {max_percent: 95}
floor: 1 hour
"""
YOUNG = 1_000


@dataclass
class Replicas:
    """An instance, its store, and the daemons that were started for it."""

    root: Path
    environ: Mapping[str, str]
    database: psycopg.Connection[Any]
    daemons: list[Running] = field(default_factory=list)
    added: int = 0
    killed_inside: bool = False

    def start(self) -> Running:
        self.daemons.append(Running(self.root / "config", self.root / f"said {len(self.daemons)}", self.environ))
        return self.daemons[-1]

    def add(self, rows: int) -> None:
        """Have the application add rows that are due."""
        old = (
            "INSERT INTO requests SELECT n, 'a', now() - interval '31 days' FROM generate_series(%s::int, %s::int) AS n"
        )
        self.database.execute(old, [self.added + 1, self.added + rows])
        self.added += rows

    def left(self) -> int:
        return self._number("SELECT count(*) FROM requests WHERE id > 0")

    def await_none_left(self, what: str, seconds: float = 60) -> None:
        try:
            await_that(lambda: not self.left(), what, seconds)
        except AssertionError as error:
            said = [
                f"{path.name}: {line}" for path in self._logs() for line in path.read_text("utf-8").splitlines()[-8:]
            ]
            raise AssertionError("\n".join([str(error), f"{self.left()} rows are left", *said])) from error

    def approve(self) -> None:
        """Have the policy approved, once the first rows are due."""
        plan = await_that(lambda: self._call("plan")["plan"] or self._waiting(), "a plan waits")
        approved = self._call("approve", plan)
        assert approved.get("plan") == plan, approved

    def _waiting(self) -> str | None:
        row = self.database.execute("SELECT id FROM retentiond.plans WHERE state = 'waiting'").fetchone()
        return row and row[0]

    def _call(self, *words: str) -> Any:
        """Call the program as somebody does beside the daemons."""
        words = ("--config", str(self.root / "config"), *words, "--json")
        environ = {**os.environ, **self.environ}
        _, out, _ = of_this_interpreter().call(words, cwd=self.root, environ=environ, seconds=60)
        return json.loads(out)

    def kill_inside_a_slot(self) -> None:
        """Kill a daemon while a slot that it took is not finished; there is one every second or two."""
        query = "SELECT taken_by FROM retentiond.slots WHERE finished_at IS NULL"
        until = time.monotonic() + 60
        while not self.killed_inside:
            assert time.monotonic() < until, "nobody could be killed inside a slot"
            takers = [str(taker).rpartition("/")[2] for (taker,) in self.database.execute(query)]
            for each in self.daemons:
                if str(each.process.pid) in takers and each.process.poll() is None:
                    each.kill()
                    self.killed_inside = bool(self.database.execute(query).fetchall())
                    self.start()

    def violations(self) -> Iterator[str]:
        """Yield what went wrong, after they have ended."""
        if self._number("SELECT count(*) FROM requests") != YOUNG:
            yield f"{self._number('SELECT count(*) FROM requests')} rows are left, not the {YOUNG} young ones"
        removed: Counter[str] = Counter()
        for (outcomes,) in self.database.execute("SELECT outcomes::json FROM retentiond.batches").fetchall():
            removed.update(outcomes)
        # What was removed in the moment of a kill is found already gone by whoever goes on.
        if removed.keys() - {"purged", "alreadyGone"} or removed.total() != self.added:
            yield f"{self.added} rows were due, and these are told of: {dict(removed)}"
        plans = "SELECT count(*) - count(DISTINCT plan) FROM retentiond.receipts"
        if self._number(plans):
            yield "a plan has more than one receipt"
        # Whoever is asked to stop leaves its slot, and so does whoever is killed; the next that is finished ends them.
        left = """
            SELECT count(*) FROM retentiond.slots
            WHERE finished_at IS NULL AND slot < (SELECT max(slot) FROM retentiond.slots WHERE finished_at IS NOT NULL)
        """
        if self._number(left):
            yield f"{self._number(left)} slots were never finished, though a later one was"
        twice = [slot for slot, times in self.slots().items() if times > 1]
        if twice:
            yield f"{len(twice)} slots were worked on more than once: {twice[:3]}"
        for path in self._logs():
            if "Traceback" in path.read_text("utf-8"):
                yield f"a defect of {path.name}"

    def slots(self) -> Counter[str]:
        """Return how often each slot was told of as worked on."""
        return Counter(slot for path in self._logs() for line in _ticks(path) for slot in line["slots"])

    def _logs(self) -> list[Path]:
        return sorted(self.root.glob("said *"))

    def _number(self, query: str) -> int:
        row = self.database.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def replicas(root: Path, server: Server) -> Iterator[Replicas]:
    """Make an instance with a ledger and a store in one database, and end its daemons afterwards."""
    with server.database() as name, server.connect(name) as database:
        dsn, config = server.dsn(name), root / "config"
        environ = {"LEDGER_DSN": dsn, "STORE_DSN": dsn}
        initialise(config, names=Names(ledger_dsn_env="LEDGER_DSN"), environ=environ)
        for file, text in (("datamap.yaml", DATAMAP), ("policies.yaml", POLICIES)):
            (config / file).write_text(text, "utf-8")
        settings = config / "retentiond.yaml"
        settings.write_text(settings.read_text("utf-8").replace("single_operator: false", "single_operator: true"))
        database.execute("CREATE TABLE requests (id bigint PRIMARY KEY, account text, created_at timestamptz)")
        database.execute("CREATE INDEX ON requests (created_at)")
        database.execute(f"INSERT INTO requests SELECT -n, 'a', now() FROM generate_series(1, {YOUNG}) AS n")
        made = Replicas(root, environ, database)
        try:
            yield made
        finally:
            for each in made.daemons:
                each.kill()


def play(scene: Replicas, seconds: float, dice: random.Random) -> None:
    """Let two daemons work for a time; in its middle one is frozen for a fifth of it, and the other one is killed."""
    first = scene.start()
    scene.add(10)
    scene.approve()
    _work_beside(scene, 7, dice)
    scene.start()
    _work_beside(scene, seconds * 0.3, dice)
    first.signal(signal.SIGSTOP)
    _work_beside(scene, seconds * 0.2, dice)
    first.signal(signal.SIGCONT)
    _work_beside(scene, seconds * 0.2, dice)
    scene.add(10)
    scene.kill_inside_a_slot()
    _work_beside(scene, seconds * 0.3 - 7, dice)
    scene.await_none_left("all is removed", 90)


def _work_beside(scene: Replicas, seconds: float, dice: random.Random) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        scene.add(dice.randrange(1, 10))
        time.sleep(dice.random() * 2)


def _ticks(path: Path) -> list[dict[str, list[str]]]:
    lines = [line for line in path.read_text("utf-8").splitlines() if line.startswith("{") and line.endswith("}")]
    return [line for line in map(json.loads, lines) if line["event"] == "tick"]


def told(scene: Replicas) -> Iterator[str]:
    """Yield what came of it, in words."""
    slots = sorted(datetime.fromisoformat(each.rpartition("@")[2]) for each in scene.slots())
    seconds = (slots[-1] - slots[0]).total_seconds() + 1
    gaps = [(after - before).total_seconds() for before, after in pairwise(slots)]
    yield f"{scene.added} rows were added and removed beside {len(scene.daemons)} daemons in {seconds:.0f} s"
    yield "one was killed inside a slot, and started again"
    yield f"{len(slots)} slots, each worked on once; the longest time without one was {max(gaps):.0f} s"


def main() -> int:
    """Play it, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with started() as server, tempfile.TemporaryDirectory() as place, replicas(Path(place), server) as scene:
        play(scene, asked.seconds, random.Random(asked.seed))
        codes = [each.stop() for each in scene.daemons if each.process.poll() is None]
        found = list(scene.violations())
        click.echo("\n".join(told(scene)))
    click.echo("\n".join(f"VIOLATION {each}" for each in found))
    click.echo(f"{len(found)} violations; those that were asked to ended with {codes}")
    return 1 if found or any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
