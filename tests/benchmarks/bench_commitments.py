"""Commitments: a receipt's items and trees against hashlib alone, by turns.

    python tests/benchmarks/bench_commitments.py [--items 200000] [--rounds 3]

The peer computes what no implementation can do without: one keyed BLAKE2b, two SHA-256 for each item, and one SHA-256
for each inner node, over bytes that lie ready in memory. The first figure adds what makes items of records and a
tree of them; the second one also sorts them on disk and writes the manifest.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from time import perf_counter

from retentiond.engine import manifest
from retentiond.evidence.commitment import ItemAction, encode_items, item_hashes
from retentiond.evidence.merkle import root_hash

KEY = bytes(range(32))
ACCOUNTS = 1_000
PURGE = int(ItemAction.PURGE)
BATCH = 5_000


def only_hashes(items: list[bytes]) -> None:
    """Hash as often, and as much, as a receipt needs."""
    salting = hashlib.blake2b(b"retentiond/item-salt/v1\x00", key=KEY, digest_size=32)
    label, node, sha256 = b"retentiond/item/v1\x00", bytes(65), hashlib.sha256
    for item in items:
        salt = salting.copy()
        salt.update(item)
        leaf = sha256(label + salt.digest() + item).digest()
        sha256(b"\x00" + leaf + b"\x01").digest()
        sha256(node).digest()


def leaves(keys: list[bytes]) -> list[bytes]:
    """Return the items' leaf hashes."""
    return item_hashes(KEY, encode_items("requests", keys, [b""] * len(keys)), [PURGE] * len(keys))


def one_tree(keys: list[bytes]) -> None:
    """Make one tree of all items."""
    root_hash(leaves(keys))


def whole_manifest(keys: list[bytes]) -> None:
    """Sort the items of a thousand accounts on disk, make their trees, and the tree of accounts."""
    accounts = [hashlib.sha256(number.to_bytes(2)).digest() for number in range(ACCOUNTS)]
    rows = (_rows(accounts, keys[start : start + BATCH], start) for start in range(0, len(keys), BATCH))
    with tempfile.TemporaryDirectory(prefix="bench-commitments-") as name:
        manifest.write_manifest(Path(name) / "receipt", KEY, rows)


def _rows(accounts: list[bytes], keys: list[bytes], start: int) -> list[bytes]:
    numbers = range(start, start + len(keys))
    owners = [accounts[number % ACCOUNTS] for number in numbers]
    clocks = [1_700_000_000_000_000 + number for number in numbers]
    return manifest.pack(owners, leaves(keys), repeat(PURGE), repeat(500), clocks)


def timed(function: Callable[[list[bytes]], None], data: list[bytes]) -> float:
    """Return the seconds that a call takes."""
    started = perf_counter()
    function(data)
    return perf_counter() - started


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description="items and trees against hashlib alone")
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    keys = [b"req-" + os.urandom(12).hex().encode() for _ in range(options.items)]
    items = encode_items("requests", keys, [b""] * len(keys))
    rounds = [
        (timed(only_hashes, items), timed(one_tree, keys), timed(whole_manifest, keys)) for _ in range(options.rounds)
    ]
    names = ("hashlib alone", "items and one tree", "manifest on disk, 1,000 accounts")
    base = statistics.median(each[0] for each in rounds)
    for name, seconds in zip(names, map(statistics.median, zip(*rounds, strict=True)), strict=True):
        print(f"{name:<33} {options.items / seconds:>9,.0f} items/s, {seconds / base:.2f} times as long")


if __name__ == "__main__":
    main()
