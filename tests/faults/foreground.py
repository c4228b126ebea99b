"""A purge of many rows under a foreground load, its connections cut by the server: `python -m tests.faults.foreground`.

The application reads, writes and updates all the while in a process of its own. Whenever the run has come into another
phase, one of its connections is ended with pg_terminate_backend: the acting one, the verifying one, the ledger's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import click
import psycopg

from tests.faults.keeping import Postgres
from tests.faults.oracle import Oracle
from tests.faults.world import Size, World, end, make_world
from tests.servers.postgres import Server, started

Pipe: TypeAlias = "Connection[Any, Any]"
OWN = 1 << 40  # keys of rows that the foreground writes are from here on


@dataclass(frozen=True, slots=True)
class Felt:
    """What the foreground felt."""

    turns: int
    errors: list[str]
    p99_ms: float
    longest_ms: float


@dataclass(slots=True)
class Came:
    """What came of it."""

    killed: Counter[str] = field(default_factory=Counter)
    codes: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    felt: Felt = field(default_factory=lambda: Felt(0, [], 0, 0))
    seconds: float = 0
    receipts: int = 0
    runs: int = 0


def work_as_the_application(dsn: str, pause_seconds: float, pipe: Pipe) -> None:
    """Read, insert, update and delete own rows, until told to stop; tell what was felt."""
    dice, waits, errors, number = random.Random(1), list[float](), list[str](), OWN
    with psycopg.connect(dsn, autocommit=True, application_name="application") as connection:
        pipe.send("ready")
        while not pipe.poll(pause_seconds):
            number += 1
            began = time.perf_counter()
            try:
                with connection.transaction():
                    connection.execute("SELECT prompt FROM events WHERE id = %s", [dice.randint(1, 1_000_000)])
                    connection.execute("INSERT INTO events VALUES (%s, 'acct-amber', now(), 'p')", [number])
                    connection.execute("UPDATE events SET prompt = 'q' WHERE id = %s", [number - dice.randint(0, 99)])
                    connection.execute("DELETE FROM events WHERE id = %s", [number - 100])
            except psycopg.Error as error:
                errors.append(str(error))
            waits.append(1_000 * (time.perf_counter() - began))
        connection.execute("DELETE FROM events WHERE id >= %s", [OWN])
    waits.sort()
    pipe.send(Felt(len(waits), errors, waits[int(len(waits) * 0.99)], waits[-1]))


@contextmanager
def application(dsn: str, came: Came, pause_seconds: float = 0.005) -> Iterator[None]:
    """Let the application work beside a block."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=work_as_the_application, args=(dsn, pause_seconds, there))
    process.start()
    assert here.recv() == "ready"
    try:
        yield
    finally:
        here.send("stop")
        came.felt = here.recv()
        process.join()


class Killer:
    """Ends connections of a process as it goes from phase to phase; the phase is what its connections are doing."""

    def __init__(self, server: Server, came: Came, times: int) -> None:
        self._server = server
        self._came = came
        self._times = times
        self._last: tuple[int, int] | None = None

    def watch(self, world: World, process: subprocess.Popen[str]) -> None:
        """Watch a process until it ends; end a connection `times` times in each phase that is seen, once in a batch."""
        with self._server.connect() as connection:
            while process.poll() is None:
                at, share = _progress(world)
                for pid, phase in self._phases(connection, share):
                    if self._came.killed[phase] < self._times and self._last != (process.pid, at):
                        ended = connection.execute("SELECT pg_terminate_backend(%s, 1000)", [pid]).fetchone()
                        self._came.killed[phase] += ended == (True,)
                        self._last = (process.pid, at)
                time.sleep(0.01)

    def _phases(self, connection: psycopg.Connection[Any], share: str) -> list[tuple[int, str]]:
        rows = connection.execute(_ACTIVITY).fetchall()
        return [(pid, f"{_phase(name, query)}, {share}") for pid, name, query in rows]


_ACTIVITY = """SELECT pid, application_name, query FROM pg_stat_activity
    WHERE application_name LIKE 'retentiond%' AND (state <> 'idle' OR application_name LIKE '% acting %')"""


def _phase(name: str, query: str) -> str:
    if name != "retentiond":
        return "ledger " + name.split(" ")[1]
    head = query.lstrip().split(" ", 1)[0].upper()
    return f"store {head if head in ('DELETE', 'WITH', 'COMMIT', 'BEGIN', 'SELECT', 'UPDATE') else 'OTHER'}"


def _progress(world: World) -> tuple[int, str]:
    """Return how many batches have ended, and that in words."""
    try:
        (rows,) = world.keeping.ask("SELECT state, count(*) FROM batches GROUP BY state")
    except psycopg.Error:
        return 0, "early"
    counts = {str(state): int(count) for state, count in rows}
    ended = sum(counts.values()) - sum(counts.get(state, 0) for state in ("planned", "claimed", "acted"))
    words = "no batch ended" if not ended else "all batches ended" if ended == sum(counts.values()) else "in the midst"
    return ended, words


def go(root: Path, server: Server, rows: int, times: int) -> Came:
    """Purge so many rows beside an application, connections being ended; then let the oracle judge."""
    came = Came()
    keeping = Postgres(server, "foreground")
    world = make_world(root, Size(rows, rows // 5, requests=300, files=20), seed=9, keeping=keeping)
    with server.connect("foreground") as connection:
        connection.execute("VACUUM ANALYZE events")
    oracle = Oracle(world, world.look())
    killer = Killer(server, came, times)
    began = time.monotonic()
    with application(server.dsn("foreground"), came):
        for _ in range(40):
            process = world.start("run")
            killer.watch(world, process)
            ended = end(process)
            came.codes.append(ended.code)
            came.said.append(f"{ended.code}: {' '.join(ended.err.split())[-300:]}")
            if ended.code == 0:
                break
            if ended.code == 4:
                approved = world.run("approve", _waiting(world))
                assert approved.code == 0, approved.err
            elif ended.code not in (1, 5):
                oracle.say(f"it ended with {ended.code}: {ended.err}")
    came.seconds = time.monotonic() - began
    oracle.settled()
    (counts,) = keeping.ask("SELECT (SELECT count(*) FROM receipts), (SELECT count(*) FROM runs)")
    came.receipts, came.runs = counts[0]
    came.violations = oracle.violations
    return came


def _waiting(world: World) -> str:
    waiting = world.run("status", "--json").json()["waiting"]
    return str(waiting[0]["plan"])


def lines_of(came: Came) -> list[str]:
    """Return what came of it, for people."""
    felt = came.felt
    return [
        f"killed {came.killed.total()} connections: {dict(sorted(came.killed.items()))}",
        f"the program ended with {came.codes} in {came.seconds:.0f} s",
        *came.said,
        f"{came.runs} runs, {came.receipts} receipts",
        f"foreground: {felt.turns:,} turns, {len(felt.errors)} errors",
        f"foreground: p99 {felt.p99_ms:.1f} ms, longest {felt.longest_ms:.0f} ms",
        f"violations {len(came.violations)}",
        *(f"VIOLATION {each}" for each in came.violations[:20]),
    ]


def main() -> int:
    """Play it with many rows, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=2, help="connections to end in each phase")
    asked = parser.parse_args()
    with started() as server, tempfile.TemporaryDirectory() as place:
        came = go(Path(place) / "world", server, asked.rows, asked.times)
    click.echo("\n".join(lines_of(came)))
    return 1 if came.violations or came.felt.errors else 0


if __name__ == "__main__":
    sys.exit(main())
