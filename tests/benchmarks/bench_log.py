"""The log: appending and proving, against a plain file that is written and synced, and against the hashes alone.

    python tests/benchmarks/bench_log.py [--entries 20000] [--batch 1000] [--single 100] [--large 1000000]

In bulk: all entries staged in one transaction of the ledger, then published at once. In batches: so many at a time,
each batch durable and published before the next. Singly: one entry at a time; the peer appends the same bytes to a file
and calls fsync once for each. The limit is what no log can do without: two SHA-256 an entry and one Ed25519 signature a
batch. Proofs are read off the published tiles and checked against the signed checkpoint, here and in a large log.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from retentiond.bootstrap import initialise, open_context
from retentiond.engine.context import Context
from retentiond.evidence.entry import policy_entry
from tests.benchmarks.workload import Silent

PROOFS = 500


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


def hash_and_sign(count: int, batch: int) -> None:
    """Do what no log can do without."""
    key = Ed25519PrivateKey.generate()
    data, node, sha256 = entry(), b"\x01" * 65, hashlib.sha256
    for number in range(count):
        sha256(data).digest()
        sha256(node).digest()
        if number % batch == 0:
            key.sign(data)


def bulk(ctx: Context, scratch: Path, count: int) -> None:
    """Append many entries at once."""
    log, plain = seconds(lambda: append(ctx, count)), seconds(lambda: write_synced(scratch, 1, count))
    print(
        f"in bulk:    log {count / log:>9,.0f} entries/s, plain file {count / plain:>9,.0f}/s, {log / plain:.0f} times"
    )


def batches(ctx: Context, scratch: Path, count: int, batch: int) -> None:
    """Append many entries in batches, each durable and published, by turns."""
    log = plain = 0.0
    for _ in range(max(1, count // batch)):
        log += seconds(lambda: append(ctx, batch))
        plain += seconds(lambda: write_synced(scratch, 1, batch))
    limit = seconds(lambda: hash_and_sign(count, batch))
    rates = f"log {count / log:>9,.0f} entries/s, plain file {count / plain:>9,.0f}/s, {log / plain:.0f} times"
    print(f"in batches: {rates}; SHA-256 and Ed25519 alone {count / limit:,.0f}/s, {log / limit:.0f} times")


def singly(ctx: Context, scratch: Path, count: int) -> None:
    """Append entries one by one, by turns."""
    log = plain = 0.0
    for _ in range(count):
        log += seconds(lambda: append(ctx, 1))
        plain += seconds(lambda: write_synced(scratch, 1, 1))
    per = 1000 / count
    print(f"singly:  log {log * per:>7.2f} ms an entry, write and fsync {plain * per:.2f} ms, {log / plain:.1f} times")


def prove(config: Path, size: int) -> None:
    """Prove entries all over the log: with what a process has read before, and each in a process that has read none."""
    with open_context(config, {}, Silent(), lambda: False) as ctx:
        ctx.log.prove(size - 1)
        processor = process_time()
        warm = seconds(lambda: [ctx.log.prove(number * size // PROOFS) for number in range(PROOFS)])
        processor = process_time() - processor
    cold = 0.0
    for number in range(20):
        with open_context(config, {}, Silent(), lambda: False) as ctx:
            cold += seconds(lambda at=number: ctx.log.prove(at * size // 20))  # type: ignore[misc]
    each = f"{1000 * warm / PROOFS:>8.2f} ms each ({1000 * processor / PROOFS:.2f} ms of processor time)"
    print(f"proofs:  {each}, the first {cold / 20 * 1000:.2f} ms, of {size:,} entries")


def grow(config: Path, size: int) -> int:
    """Fill a log up without measuring, and return its size."""
    with open_context(config, {}, Silent(), lambda: False) as ctx:
        at = ctx.ledger.log_state.size()
        while at < size:
            count = min(50_000, size - at)
            with ctx.ledger.begin() as tx:
                tx.recovery.adopt_entries(at, [entry() for _ in range(count)])
            at += count
        return ctx.log.publish()


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description="the log against a plain file that is synced")
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--single", type=int, default=100)
    parser.add_argument("--large", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-log-") as name:
        config = Path(name) / "config"
        initialise(config)
        with open_context(config, {}, Silent(), lambda: False) as ctx:
            bulk(ctx, Path(name) / "plain", options.entries)
            batches(ctx, Path(name) / "plain", options.entries, options.batch)
            singly(ctx, Path(name) / "plain", options.single)
            size = ctx.log.publish()
        prove(config, size)
        prove(config, grow(config, options.large))


if __name__ == "__main__":
    main()
