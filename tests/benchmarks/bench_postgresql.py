"""PostgreSQL: the whole path against one plain DELETE, a foreground at work, on copies of a table of which half is due.

    python tests/benchmarks/bench_postgresql.py [--rows 2000000] [--rounds 1] [--pause 0.005]

The whole path is plan, approval, apply through the program, with everything that stands between them and a receipt. The
plain DELETE is one statement, `DELETE … WHERE created_at < cutoff`, which knows nothing of what it deleted. During each
a process of its own reads, updates and inserts single rows, young and old, and measures how long each of them waits.
The server keeps everything durable but for fsync, which is off for both. Nothing is asserted about time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from time import perf_counter

import psycopg
from psycopg import sql

from retentiond.bootstrap import initialise
from tests.benchmarks.workload import KEEP_DAYS, Figures, run_path
from tests.servers.postgres import Server, started

_TABLE = """
CREATE TABLE api_requests (
    request_id bigint PRIMARY KEY, account_id text NOT NULL, created_at timestamptz NOT NULL, model text NOT NULL,
    prompt text, response text, tokens int
);
INSERT INTO api_requests
SELECT i, 'acct-' || (i * 7919) %% 1000,
    now() - interval '60 days' + i * (interval '60 days' - interval '2 hours') / %(rows)s, 'large-2',
    repeat(md5(i::text), 10), repeat(md5((-i)::text), 9), i %% 4000
FROM generate_series(1::bigint, %(rows)s) AS i;
CREATE INDEX ON api_requests (created_at);
"""
_DATAMAP = """
stores:
  requests-db: {kind: postgresql, dsn_env: BENCH_DSN, backups: none}
datasets:
  requests:
    store: requests-db
    table: api_requests
    key: [request_id]
    clock: {column: created_at, earliest: 2020-01-01}
    account: account_id
    class: request-content
unmapped: refuse
"""
_POLICIES = f"""
policies:
  request-content:
    class: request-content
    promise: {{live: 40 days}}
    rules:
      - {{keep: {KEEP_DAYS} days}}
    schedule: "every 6 hours"
closure: {{grace: 14 days, deadline: 30 days}}
floor: 1 hour
"""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long the foreground's statements took, in milliseconds."""

    count: int
    p99: float
    longest: float
    errors: int


def foreground(dsn: str, rows: int, pause: float, stop: Event, answer: multiprocessing.SimpleQueue[str]) -> None:
    """Read, update and insert single rows until told to stop; answer with how long each took."""
    chance, waits, errors = random.Random(1), [], 0
    with psycopg.connect(dsn, autocommit=True, application_name="foreground") as connection:
        number = 10 * rows
        while not stop.is_set():
            number += 1
            key = chance.randrange(1, rows)
            begun = perf_counter()
            try:
                connection.execute("SELECT response FROM api_requests WHERE request_id = %s", [key])
                connection.execute("UPDATE api_requests SET tokens = tokens + 1 WHERE request_id = %s", [key])
                connection.execute(
                    "INSERT INTO api_requests VALUES (%s, 'acct-1', now(), 'large-2', %s, '', 1)", [number, "x" * 600]
                )
            except psycopg.Error:
                errors += 1
            waits.append(1_000 * (perf_counter() - begun))
            time.sleep(pause)
    waits = sorted(waits) or [0.0]  # on a busy machine its first turn may come too late
    answer.put(json.dumps([len(waits), waits[int(len(waits) * 0.99)], waits[-1], errors]))


@contextmanager
def load(dsn: str, rows: int, pause: float) -> Iterator[list[Waits]]:
    """Run the foreground; what it measured stands in the list afterwards."""
    context = multiprocessing.get_context("spawn")
    stop, answer, measured = context.Event(), context.SimpleQueue(), list[Waits]()
    process = context.Process(target=foreground, args=(dsn, rows, pause, stop, answer))
    process.start()
    time.sleep(2)
    yield measured
    stop.set()
    measured.append(Waits(*json.loads(answer.get())))
    process.join()


def plain_delete(dsn: str) -> tuple[float, int]:
    """Delete what is due in one statement; return seconds and rows."""
    begun = perf_counter()
    with psycopg.connect(dsn, autocommit=True) as connection:
        cutoff = f"DELETE FROM api_requests WHERE created_at < now() - interval '{KEEP_DAYS} days'"
        deleted = connection.execute(cutoff.encode()).rowcount
    return perf_counter() - begun, deleted


def whole_path(dsn: str) -> Figures:
    """Plan, approve and apply in a process of its own."""
    os.environ["BENCH_DSN"] = dsn
    with tempfile.TemporaryDirectory(prefix="bench-postgresql-") as name:
        config = Path(name) / "config"
        initialise(config)
        (config / "datamap.yaml").write_text(_DATAMAP, "utf-8")
        (config / "policies.yaml").write_text(_POLICIES, "utf-8")
        settings = config / "retentiond.yaml"
        text = settings.read_text("utf-8").replace("single_operator: false", "single_operator: true")
        settings.write_text(text, "utf-8")
        return run_path(config)


@contextmanager
def copy_of(server: Server, made: str) -> Iterator[str]:
    """Give the connection string of a copy of a database."""
    with server.connect() as connection:
        copy = sql.Identifier("copy")
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(copy, sql.Identifier(made))
        )
        connection.execute("CHECKPOINT")
        yield server.dsn("copy")
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(copy))


def remaining_old(dsn: str) -> int:
    """Count what is left of the rows that were due, without retentiond."""
    with psycopg.connect(dsn) as connection:
        due = f"SELECT count(*) FROM api_requests WHERE created_at < now() - interval '{KEEP_DAYS} days 1 hour'"
        row = connection.execute(due.encode()).fetchone()
    return int(row[0]) if row else -1


def show(what: str, rows: int, seconds: float, waits: Waits) -> None:
    """Print one measurement."""
    print(
        f"{what:<13} {rows / seconds:>9,.0f} rows/s ({seconds:.1f} s for {rows:,}); foreground: {waits.count:,} times,"
        f" p99 {waits.p99:.1f} ms, longest {waits.longest:.1f} ms, {waits.errors} errors",
        flush=True,
    )


def measure(server: Server, made: str, options: argparse.Namespace) -> float:
    """Measure both on fresh copies; return the ratio of rows a second."""
    with copy_of(server, made) as dsn:
        with load(dsn, options.rows, options.pause) as measured:
            seconds, rows = plain_delete(dsn)
        show("plain DELETE", rows, seconds, measured[0])
    with copy_of(server, made) as dsn:
        with load(dsn, options.rows, options.pause) as measured:
            figures = whole_path(dsn)
        left = remaining_old(dsn)
        if left != figures.due - figures.purged:
            sys.exit(f"{figures.purged} of {figures.due} records were purged, and {left} of them are left")
        show("whole path", figures.purged, figures.seconds, measured[0])
    rest = figures.seconds - sum(figures.phases.values())
    print(f"plan {figures.plan:.1f} s, approve {figures.approve:.1f} s, apply {figures.apply:.1f} s, of which")
    for phase, took in [*figures.phases.items(), ("the rest", rest)]:
        print(f"  {phase:<9} {took:>7.2f} s {100 * took / figures.seconds:>4.0f} %")
    print(
        f"{figures.due - figures.purged} carried over or changed; peak {figures.peak_bytes / 2**20:.0f} MiB", flush=True
    )
    return (figures.purged / figures.seconds) / (rows / seconds)


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description="the whole path against one plain DELETE, a foreground at work")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--pause", type=float, default=0.005, help="seconds between the foreground's turns")
    options = parser.parse_args()
    with started() as server, server.database() as made:
        with psycopg.connect(server.dsn(made), autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
            connection.execute(_TABLE.encode(), {"rows": options.rows})
            connection.execute("VACUUM ANALYZE api_requests")
            size = connection.execute("SELECT pg_total_relation_size('api_requests')").fetchone()
        print(f"PostgreSQL {server.version}: {options.rows:,} rows, {(size or (0,))[0] / 1e6:,.0f} MB", flush=True)
        ratios = [measure(server, made, options) for _ in range(options.rounds)]
    print(
        f"ratio of rows a second, whole path to plain DELETE, median of {len(ratios)}: {statistics.median(ratios):.2f}"
    )


if __name__ == "__main__":
    main()
