"""Closures: many accounts that leave at once, beside one statement that deletes their rows, in files of SQLite.

    python tests/benchmarks/bench_closures.py [--rows 1000000] [--accounts 100000] [--leaving 10 1000 10000]

For each number of accounts that leave, the same table is made anew. One run of retentiond, in a fresh process, plans,
removes, looks again and issues a receipt for each account; the peer is `DELETE … WHERE account_id IN (…)` with the
accounts in a temporary table, which says nothing to anybody. What is shown: seconds of both and their ratio, the scans
of the table, statements sent to the store, peak memory, and how long one receipt takes. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from retentiond.bootstrap import open_context
from retentiond.connectors.sqlite.database import Database
from retentiond.connectors.sqlite.store import SqliteStore
from retentiond.domain.account import AccountState, open_closure
from retentiond.engine import closing
from retentiond.engine.accounts import account_commitment
from retentiond.engine.closing import close_due, due_closures
from retentiond.engine.context import Context, new_id
from retentiond.engine.leaving import seal_account
from retentiond.ports.rows import ClosureRow
from retentiond.telemetry import configure
from tests.benchmarks.workload import Shape, Silent, make_instance, make_table, peak_bytes, remaining

_POLICY = "closure: {grace: none, deadline: 30 days, limits: {per_day: 1000000}}"


@dataclass(slots=True)
class Figures:
    """What a run of closures took: seconds, of them for receipts; what it asked of the store."""

    closed: int = 0
    removed: int = 0
    seconds: float = 0.0
    receipts: float = 0.0
    scans: int = 0
    statements: int = 0
    peak_bytes: int = 0


def ask(ctx: Context, leaving: int) -> None:
    """Put closures into the ledger whose grace is over, of every so many-th account."""
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        for number in range(leaving):
            account = f"acct-{number}"
            closure = open_closure(new_id(now), account, "left", ctx.policies.closure, now)
            sealed = seal_account(ctx, closure.id, account)
            row = ClosureRow(
                closure.id, account_commitment(ctx, account), sealed, AccountState.GRACE, "left", now, now,
                closure.deadline_at,
            )  # fmt: skip
            tx.closures.add(row)


def _watch(figures: Figures) -> None:
    begin, scan, issue = Database.__init__, SqliteStore.scan, closing.issue_closure_receipts

    def traced(self: Any, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        self._connection.set_trace_callback(lambda _: count("statements"))

    def count(name: str) -> None:
        setattr(figures, name, getattr(figures, name) + 1)

    def scanned(self: Any, *arguments: Any) -> Any:
        count("scans")
        return scan(self, *arguments)

    def issued(*arguments: Any) -> None:
        started = perf_counter()
        issue(*arguments)
        figures.receipts += perf_counter() - started

    Database.__init__ = traced  # type: ignore[method-assign]
    setattr(SqliteStore, "scan", scanned)  # noqa: B010
    setattr(closing, "issue_closure_receipts", issued)  # noqa: B010


def run(config: Path, leaving: int) -> Figures:
    """Close in this process."""
    configure(sys.stderr, verbose=False)
    figures = Figures()
    _watch(figures)
    with open_context(config, os.environ, Silent(), lambda: False) as ctx:
        ask(ctx, leaving)
        started = perf_counter()
        done = close_due(ctx, due_closures(ctx))
        figures.seconds = perf_counter() - started
        with ctx.ledger.begin() as tx:
            figures.closed = len(tx.closures.in_state(AccountState.CLOSED))
    for problem in (*done.stops, *done.failures):
        sys.stderr.write(f"{problem}\n")
    outcomes = sum((sum(each.outcomes().values(), Counter()) for each in done.carried), Counter[str]())
    figures.removed = outcomes["purged"]
    figures.peak_bytes = peak_bytes()
    return figures


def delete(database: Path, leaving: int) -> float:
    """Delete the same rows in one statement; return the seconds."""
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("PRAGMA secure_delete = ON")  # as a store of retentiond has it
    db.execute("CREATE TEMP TABLE leaving (account TEXT PRIMARY KEY)")
    db.executemany("INSERT INTO leaving VALUES (?)", ((f"acct-{number}",) for number in range(leaving)))
    started = perf_counter()
    db.execute("DELETE FROM api_requests WHERE account_id IN (SELECT account FROM leaving)")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    seconds = perf_counter() - started
    db.close()
    return seconds


def measure(rows: int, accounts: int, leaving: int) -> None:
    """Measure one number of accounts that leave, and print it."""
    shape = Shape(rows, accounts)
    with tempfile.TemporaryDirectory(prefix="bench-closures-") as name:
        database, peers = Path(name) / "requests.db", Path(name) / "peer.db"
        make_table(database, shape)
        peers.write_bytes(database.read_bytes())
        config = make_instance(Path(name), database, shape)
        policies = config / "policies.yaml"
        text = policies.read_text("utf-8")
        policies.write_text(text.replace("closure: {grace: 14 days, deadline: 30 days}", _POLICY), "utf-8")
        command = [sys.executable, __file__, "--run", str(config), "--leaving", str(leaving)]
        ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        figures = Figures(**json.loads(ended.stdout))
        seconds = delete(peers, leaving)
        alike = remaining(database) == remaining(peers)
    print(
        f"{leaving:>6,} of {accounts:,} accounts, {figures.removed:>7,} of {rows:,} rows: {figures.seconds:6.1f} s, of"
        f" which receipts {figures.receipts:5.1f} s ({1000 * figures.receipts / leaving:.1f} ms each); one DELETE"
        f" {seconds:5.2f} s, ratio without receipts {(figures.seconds - figures.receipts) / seconds:.1f};"
        f" scans {figures.scans}, statements {figures.statements:,}, peak {figures.peak_bytes / 2**20:.0f} MiB;"
        f" closed {figures.closed:,}, the same rows left: {alike}",
        flush=True,
    )


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description="many closures at once, beside one DELETE")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--leaving", type=int, nargs="+", default=[10, 1_000, 10_000])
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run is not None:
        sys.stdout.write(json.dumps(asdict(run(options.run, options.leaving[0]))))
        return
    for leaving in options.leaving:
        measure(options.rows, options.accounts, leaving)


if __name__ == "__main__":
    main()
