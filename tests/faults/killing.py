"""Kill -9 at random moments: `python -m tests.faults.killing --records 100000 --kills 30 --seed 1`.

One world after another is planned; its run is killed, started again, killed …, until it ends; then the oracle judges.
Most worlds take several kills, at moments spread over the whole of a run, whose length is measured first.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import click

from tests.faults.keeping import Sqlite
from tests.faults.oracle import Oracle
from tests.faults.world import Size, World, end, kill, make_world

ALMOST_RECEIPTED = ("no receipt", "receipt", "bundle")


@dataclass(slots=True)
class Report:
    """What a series of kills came to.

    Attributes:
        points: How far each killed run had come: what its world looked like to the ledger.
    """

    kills: int = 0
    worlds: int = 0
    points: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


class Killing:
    """A series of worlds whose runs are killed."""

    def __init__(self, root: Path, size: Size, endpoint: str, *, seed: int, told: int) -> None:
        self._root = root
        self._size = size
        self._endpoint = endpoint
        self._seed = seed
        self._told = told
        self._dice = random.Random(seed)
        self._seconds = 0.0  # how long the last run took that was not killed; others may make the machine slow
        self.report = Report()

    def go(self, kills: int) -> Report:
        """Kill at least so often, in as many worlds as that takes."""
        self._measure()
        while self.report.kills < kills:
            before = self.report.kills
            self._world_with_kills(kills - self.report.kills)
            if self.report.kills == before and self.report.worlds > kills + 3:
                raise AssertionError("runs end before they can be killed")
        return self.report

    def _make(self) -> tuple[World, str, Oracle]:
        self.report.worlds += 1
        number = self.report.worlds
        if self._endpoint:
            reset(self._endpoint)
        root = self._root / f"world-{number}"
        keeping = Sqlite(root, wal=number % 2 == 0)
        world = make_world(root, self._size, seed=self._seed + number, endpoint=self._endpoint, keeping=keeping)
        oracle = Oracle(world, world.look(), told=self._told)
        return world, world.approved_plan(), oracle

    def _measure(self) -> None:
        """Let one run end in peace, look at it, and measure it."""
        world, plan, oracle = self._make()
        began = time.monotonic()
        first = world.run("apply", plan)
        self._seconds = time.monotonic() - began
        if first.code:
            oracle.say(f"an undisturbed run ended with {first.code}: {first.err}")
        self._judge(oracle, plan)

    def _world_with_kills(self, wanted: int) -> None:
        world, plan, oracle = self._make()
        for _ in range(wanted):
            delay = self._seconds * self._dice.uniform(0.25, 1)
            if not self._killed(world, plan, delay):
                break
            self.report.kills += 1
            self.report.points.append(f"world {self.report.worlds} at {delay:.2f} s: {progress(world)}")
            oracle.glance()
        ended = world.run(*self._again(plan))
        if ended.code:
            oracle.say(f"a run that was killed does not end: {ended.code} {ended.err}")
        self._judge(oracle, plan)

    def _killed(self, world: World, plan: str, delay: float) -> bool:
        began = time.monotonic()
        process = world.start(*self._again(plan))
        try:
            process.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            kill(process)
            return True
        end(process)
        self._seconds = time.monotonic() - began
        return False

    def _again(self, plan: str) -> tuple[str, ...]:
        return self._dice.choice((("apply", plan), ("run",)))

    def _judge(self, oracle: Oracle, plan: str) -> None:
        oracle.final(plan)
        self.report.violations += [f"world {self.report.worlds}: {each}" for each in oracle.violations]


def progress(world: World) -> str:
    """Say how far a killed run had come, in the ledger's words."""
    found, ended = world.keeping.ask(
        "SELECT state FROM batches", "SELECT count(*), count(nullif(file, '')) FROM receipts"
    )
    states = Counter(state for (state,) in found)
    receipts, files = ended[0]
    return f"batches {dict(sorted(states.items()))}, {ALMOST_RECEIPTED[receipts + files]}"


@contextmanager
def bucket_server() -> Iterator[str]:
    """Serve buckets on loopback."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def reset(endpoint: str) -> None:
    """Empty the bucket server."""
    connection = HTTPConnection(urlsplit(endpoint).netloc, timeout=30)
    connection.request("POST", "/moto-api/reset")
    assert connection.getresponse().status == 200
    connection.close()


def main() -> int:
    """Run the long version, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
    size = Size(asked.records, asked.records // 10, requests=2_000, files=400, objects=100)
    with bucket_server() as endpoint, tempfile.TemporaryDirectory() as place:
        report = Killing(Path(place), size, endpoint, seed=asked.seed, told=2).go(asked.kills)
    for line in report.points + [f"VIOLATION {each}" for each in report.violations]:
        click.echo(line)
    click.echo(f"{report.kills} kills in {report.worlds} worlds; {len(report.violations)} violations")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
