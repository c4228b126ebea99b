"""The log: appending and proving, against a plain file that is written and synced, by turns.

    python tests/benchmarks/bench_log.py [--entries 20000] [--single 100]

In bulk: all entries staged in one transaction of the ledger, then published at once. Singly: one entry is staged and
published, durable and provable, before the next one; the peer appends the same bytes to a file and calls fsync once for
each. Proofs are read off the published tiles and checked against the signed checkpoint.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from retentiond.bootstrap import initialise, open_context
from retentiond.engine.context import Context
from retentiond.evidence.entry import policy_entry
from tests.benchmarks.workload import Silent

PROOFS = 200


def entry() -> bytes:
    """Return an entry of a hash that nobody has seen."""
    return policy_entry(os.urandom(32).hex())


def seconds(function: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    started = perf_counter()
    function()
    return perf_counter() - started


def append(ctx: Context, count: int) -> None:
    """Stage so many entries in one transaction, and publish them."""
    with ctx.ledger.begin() as tx:
        for _ in range(count):
            tx.entries.stage(entry())
    ctx.log.publish()


def write_synced(path: Path, times: int, entries: int) -> None:
    """Append so many entries to a file and sync it, so many times."""
    with path.open("ab") as file:
        for _ in range(times):
            file.write(b"".join(entry() for _ in range(entries)))
            file.flush()
            os.fsync(file.fileno())


def bulk(ctx: Context, scratch: Path, count: int) -> None:
    """Append many entries at once."""
    log, plain = seconds(lambda: append(ctx, count)), seconds(lambda: write_synced(scratch, 1, count))
    print(
        f"in bulk: log {count / log:>10,.0f} entries/s, plain file {count / plain:>10,.0f}/s, {log / plain:.0f} times"
    )


def singly(ctx: Context, scratch: Path, count: int) -> None:
    """Append entries one by one, by turns."""
    log = plain = 0.0
    for _ in range(count):
        log += seconds(lambda: append(ctx, 1))
        plain += seconds(lambda: write_synced(scratch, 1, 1))
    per = 1000 / count
    print(f"singly:  log {log * per:>7.2f} ms an entry, write and fsync {plain * per:.2f} ms, {log / plain:.1f} times")


def prove(ctx: Context, size: int) -> None:
    """Prove entries all over the log."""
    took = seconds(lambda: [ctx.log.prove(number * size // PROOFS) for number in range(PROOFS)])
    print(f"proofs:  {1000 * took / PROOFS:>11.2f} ms each, in a log of {size:,} entries")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description="the log against a plain file that is synced")
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--single", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-log-") as name:
        config = Path(name) / "config"
        initialise(config)
        with open_context(config, {}, Silent(), lambda: False) as ctx:
            bulk(ctx, Path(name) / "plain", options.entries)
            singly(ctx, Path(name) / "plain", options.single)
            prove(ctx, ctx.log.publish())


if __name__ == "__main__":
    main()
