"""SQLite: the whole path against a plain DELETE in batches, by turns, on copies of one table of which half is due.

    python tests/benchmarks/bench_sqlite.py [--rows 1000000] [--rounds 2] [--key text|int] [--clock text|epoch]

The whole path is plan, approval, apply, with everything that stands between them and a receipt: every row judged,
identifiers committed before anything goes, the predicate read again inside the deleting transaction, a separate read
after the commit, a second look before the receipt, commitments of every record, the log. The plain DELETE knows
nothing of what it deleted. Both commit as many rows at a time, on a database in WAL mode with synchronous = FULL and
secure_delete = ON, and empty the write-ahead log in the end. Nothing is asserted about time.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from retentiond.engine.drafting import BATCH_RECORDS
from tests.benchmarks.workload import KEEP_DAYS, Figures, Shape, make_instance, make_table, remaining, run_path

_DELETE = """
DELETE FROM api_requests WHERE rowid IN (SELECT rowid FROM api_requests WHERE created_at < {cutoff} LIMIT {batch})
"""
_CUTOFFS = {
    "text": f"strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-{KEEP_DAYS} days')",
    "epoch": f"unixepoch('now', '-{KEEP_DAYS} days')",
}


def plain_delete(database: Path, clock: str) -> tuple[float, int]:
    """Delete what is due in batches; return seconds and rows."""
    statement = _DELETE.format(cutoff=_CUTOFFS[clock], batch=BATCH_RECORDS)
    started, deleted = perf_counter(), 0
    db = sqlite3.connect(database, isolation_level=None)
    for setting in ("synchronous = FULL", "secure_delete = ON"):
        db.execute(f"PRAGMA {setting}")
    while rows := db.execute(statement).rowcount:
        deleted += rows
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return perf_counter() - started, deleted


def whole_path(directory: Path, database: Path, shape: Shape) -> Figures:
    """Plan, approve and apply; stop where the table does not hold what it must."""
    before = remaining(database)
    figures = run_path(make_instance(directory, database, shape))
    if figures.purged != figures.due or remaining(database) != before - figures.due:
        sys.exit(f"{figures.purged} of {figures.due} records were purged, {remaining(database)} of {before} are left")
    return figures


def measure(shape: Shape, rounds: int) -> tuple[list[tuple[float, int]], list[Figures]]:
    """Measure both by turns, each on a fresh copy."""
    plain, path = [], []
    with tempfile.TemporaryDirectory(prefix="bench-sqlite-") as name:
        base = Path(name)
        make_table(base / "made.db", shape)
        size = (base / "made.db").stat().st_size
        print(f"{shape.rows:,} rows, {size / 1e6:,.0f} MB, key {shape.key}, clock {shape.clock}", flush=True)
        for number in range(rounds):
            place = base / str(number)
            place.mkdir()
            shutil.copyfile(base / "made.db", place / "plain.db")
            plain.append(plain_delete(place / "plain.db", shape.clock))
            shutil.copyfile(base / "made.db", place / "path.db")
            path.append(whole_path(place, place / "path.db", shape))
            shutil.rmtree(place)
            show_round(number, plain[-1], path[-1])
    return plain, path


def show_round(number: int, plain: tuple[float, int], path: Figures) -> None:
    """Print one round's figures."""
    seconds, rows = plain
    print(f"round {number + 1}: plain DELETE {rows / seconds:>9,.0f} rows/s ({seconds:.1f} s for {rows:,})", flush=True)
    print(f"         whole path   {path.due / path.seconds:>9,.0f} rows/s ({path.seconds:.1f} s for {path.due:,})")
    print(f"         takes {path.seconds / seconds:.1f} times as long", flush=True)


def show_phases(path: Sequence[Figures]) -> None:
    """Print where the time of the fastest round went."""
    best = min(path, key=lambda each: each.seconds)
    rest = best.seconds - sum(best.phases.values())
    print(f"plan {best.plan:.1f} s, approve {best.approve:.1f} s, apply {best.apply:.1f} s, of which")
    for phase, seconds in [*best.phases.items(), ("the rest", rest)]:
        print(f"  {phase:<9} {seconds:>7.2f} s {100 * seconds / best.seconds:>4.0f} %")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description="the whole path against a plain DELETE in batches")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--key", choices=("text", "int"), default="text")
    parser.add_argument("--clock", choices=("text", "epoch"), default="text")
    options = parser.parse_args()
    plain, path = measure(Shape(options.rows, key=options.key, clock=options.clock), options.rounds)
    ratios = [each.seconds / seconds for each, (seconds, _) in zip(path, plain, strict=True)]
    print(f"ratio, median of {len(ratios)}: {statistics.median(ratios):.1f}")
    show_phases(path)


if __name__ == "__main__":
    main()
