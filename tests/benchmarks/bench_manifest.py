"""A run over many accounts: its commitments and trees, and one account's part of it, each in a fresh process.

    python tests/benchmarks/bench_manifest.py [--few 20000] [--many 100000]

One record for each account, which is the most that a receipt can have to do. The peer hashes as often, over bytes that
lie ready. The goals: the peak does not grow with the number; one part is derived from a million accounts in under a
second and 100 MB, and its bytes name no other account, no total and no matter.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from retentiond.engine import manifest
from retentiond.evidence.commitment import (
    ItemAction,
    account_commitment,
    account_salt,
    encode_items,
    item_hashes,
    padded_size,
)

KEY = bytes(range(32))
BATCH = 5_000
PURGE = int(ItemAction.PURGE)


def commitment(number: int) -> bytes:
    """Return the commitment to an account's name."""
    name = b"acct-%d" % number
    return bytes.fromhex(account_commitment(account_salt(KEY, name), name))


def rows(count: int) -> Iterator[list[bytes]]:
    """Give rows of the manifest as a run does: batch by batch."""
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        items = encode_items("requests", [b"req-%d" % number for number in numbers], [b""] * len(numbers))
        leaves = item_hashes(KEY, items, [PURGE] * len(numbers))
        clocks = [1_700_000_000_000_000 + number for number in numbers]
        yield manifest.pack(map(commitment, numbers), leaves, repeat(PURGE), repeat(500), clocks)


def write(base: str, count: int) -> None:
    """Write the whole manifest."""
    manifest.write_manifest(Path(base), KEY, rows(count))


def only_hashes(_base: str, count: int) -> None:
    """Hash as often, and as much, as commitments and trees need."""
    sha256 = hashlib.sha256
    salt, leaf, node, line = bytes(64), bytes(80), bytes(65), bytes(400)
    for _ in range(count):
        hashlib.blake2b(salt, key=KEY, digest_size=32).digest()
        hashlib.blake2b(salt, key=KEY, digest_size=32).digest()
        for data in (leaf, leaf, leaf, line, node):
            sha256(data).digest()


def derive(base: str, count: int) -> dict[str, Any]:
    """Derive one account's part; return what it took, and its bytes."""
    wanted = commitment(count // 2)
    wall, cpu = perf_counter(), process_time()
    found = manifest.derive_account(Path(base), wanted)
    wall, cpu = perf_counter() - wall, process_time() - cpu
    if found is None:
        raise SystemExit("the account is not in the manifest")
    data = found.leaf + b"".join(found.path)
    return {"wall": wall, "cpu": cpu, "bytes": data, "steps": len(found.path), "leaf": json.loads(found.leaf)}


def _measured(function: Callable[[str, int], Any], base: str, count: int) -> tuple[float, float, Any]:
    started = process_time()
    result = function(base, count)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return process_time() - started, peak, result


def fresh(function: Callable[[str, int], Any], base: str, count: int) -> tuple[float, float, Any]:
    """Call a function in a process of its own; return its CPU seconds, its peak in MiB, and what it returned."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (function, base, count))


def _names(data: bytes, account: bytes) -> bool:
    return account in data or account.hex().encode() in data


def measure(count: int) -> None:
    """Write a manifest of so many accounts, derive one part of it, and print both beside hashlib."""
    with tempfile.TemporaryDirectory(prefix="bench-manifest-") as name:
        base = os.fspath(Path(name) / "receipt")
        alone, _, _ = fresh(only_hashes, base, count)
        seconds, peak, _ = fresh(write, base, count)
        _, part_peak, part = fresh(derive, base, count)
    ratio = seconds / alone
    print(f"{count:>9,} accounts: {seconds:6.1f} s of CPU, {ratio:4.1f} times hashlib, peak {peak:5.1f} MiB")
    others = sum(_names(part["bytes"], commitment(number)) for number in range(count) if number != count // 2)
    total = any(value in (count, padded_size(count)) for value in part["leaf"].values())
    print(
        f"{'':>9} one part: {part['cpu']:.2f} s of CPU ({part['wall']:.2f} s), {part_peak:.1f} MiB, "
        f"{len(part['bytes'])} bytes, {part['steps']} steps; other accounts named: {others}, the total: {total}"
    )


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description="commitments of many accounts, and one account's part")
    parser.add_argument("--few", type=int, default=20_000)
    parser.add_argument("--many", type=int, default=100_000)
    options = parser.parse_args()
    for count in (options.few, options.many):
        measure(count)


if __name__ == "__main__":
    main()
