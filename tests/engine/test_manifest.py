"""Manifests: rows sorted in pieces on disk, and the trees made of them, against a plain reading in memory."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import defaultdict
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.record import Record, Ties, key_bytes, key_names
from retentiond.engine import manifest, sorting
from retentiond.engine.identifiers import Ended, Final, decode_ended, encode_ended, encode_records
from retentiond.engine.sorting import ExternalSort
from retentiond.errors import ReceiptError
from retentiond.evidence.commitment import AccountTotals, ActionCounts, account_leaf, pad_leaves
from retentiond.evidence.merkle import leaf_hash, root_from_path, root_hash
from retentiond.testing.hostile import NAMES

K = bytes(range(32))
PURGED, RETAINED = 1, manifest.RETAINED
RECORDS = [
    Record((text, number), b"v1", "a", number, 7, tombstoned=None, attributes={"flagged": True, "tier": None})
    for number, text in enumerate(NAMES)
]


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 50, 1_000])
def test_rows_come_back_sorted_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(sorting, "ROWS_IN_MEMORY", 7)
    chance = Random(count)
    rows = [chance.randbytes(2) for _ in range(count)]  # many of them twice
    with ExternalSort(tmp_path, 2) as both:
        for start in range(0, count, 3):
            both.extend(rows[start : start + 3])
        for _ in range(2):
            assert [row for piece in both.pieces() for row in piece] == sorted(rows)
    assert both.count == count


def test_pieces_are_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "ROWS_IN_MEMORY", 1_000)
    with ExternalSort(tmp_path, 8) as both:
        for start in range(0, 20_000, 100):
            both.extend([number.to_bytes(8) for number in range(start, start + 100)])
        assert max(map(len, both.pieces())) <= 20 * 100


@pytest.mark.parametrize("in_memory", [10, 10_000])
def test_the_tree_is_that_of_a_plain_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    monkeypatch.setattr(sorting, "ROWS_IN_MEMORY", in_memory)
    chance = Random(7)
    rows = [
        (
            hashlib.sha256(b"account %d" % chance.randrange(5)).digest(),
            chance.randbytes(32),
            PURGED,
            chance.randrange(900),
            chance.choice((None, -5, 1_700_000_000_000_000, 1_600_000_000_000_001)),
        )
        for _ in range(200)
    ]
    unnamed = [manifest.pack_unnamed(rows[0][0], RETAINED)] * 3
    pieces = [manifest.pack(*zip(*rows[start : start + 9], strict=True)) for start in range(0, 200, 9)]
    tree = manifest.write_manifest(tmp_path / "receipt", K, [*pieces, unnamed])
    leaves = [_leaf(rows, commitment, 3 if commitment == rows[0][0] else 0) for commitment in {row[0] for row in rows}]
    hashes = sorted(map(leaf_hash, [*leaves, *pad_leaves(K, len(leaves))]))
    assert (tree.size, tree.root) == (16, root_hash(hashes))
    assert (tmp_path / "receipt.leaves").read_bytes() == b"".join(hashes)
    for leaf in leaves:
        derived = manifest.derive_account(tmp_path / "receipt", bytes.fromhex(json.loads(leaf)["account"]))
        assert derived is not None
        assert (derived.leaf, hashes[derived.index]) == (leaf, leaf_hash(leaf))


@pytest.mark.parametrize("accounts", [3, 40])
def test_a_part_is_derived_without_reading_a_whole_manifest_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accounts: int
) -> None:
    monkeypatch.setattr(manifest, "_BYTES_AT_ONCE", 8 * 32)
    names = [hashlib.sha256(b"account %d" % number).digest() for number in range(accounts)]
    rows = manifest.pack(names, names, [PURGED] * accounts, [7] * accounts, [None] * accounts)
    base = tmp_path / "receipt"
    tree = manifest.write_manifest(base, K, [rows])
    for name in names:
        derived = manifest.derive_account(base, name)
        assert derived is not None
        assert root_from_path(leaf_hash(derived.leaf), derived.index, tree.size, derived.path) == tree.root
        assert derived.tree == tree
    kept = tmp_path / "receipt.tops"
    assert kept.stat().st_size == tree.size * 32 // 8
    kept.unlink()  # as of a receipt of before it was kept
    again = manifest.derive_account(base, names[-1])
    assert again is not None
    assert again.tree == tree
    assert manifest.derive_account(base, bytes(32)) is None


@pytest.mark.parametrize("left", [slice(-32), slice(-1), slice(0), slice(32, None)])
def test_a_manifest_that_is_damaged_gives_nobody_s_part(tmp_path: Path, left: slice) -> None:
    names = [hashlib.sha256(b"account %d" % number).digest() for number in range(20)]
    base = tmp_path / "receipt"
    manifest.write_manifest(base, K, [manifest.pack(names, names, [PURGED] * 20, [7] * 20, [None] * 20)])
    leaves = tmp_path / "receipt.leaves"
    leaves.write_bytes(leaves.read_bytes()[left])
    for name in names:
        with pytest.raises(ReceiptError):
            manifest.derive_account(base, name)


def _leaf(rows: list[tuple[bytes, bytes, int, int, int | None]], commitment: bytes, retained: int) -> bytes:
    found: defaultdict[str, list[int]] = defaultdict(list)
    own = [row for row in rows if row[0] == commitment]
    for _, _, _, size, clock in own:
        found["sizes"].append(size)
        found["clocks"] += [] if clock is None else [clock]
    return account_leaf(
        AccountTotals(
            account=commitment.hex(),
            actions=ActionCounts(purged=len(own)),
            size_bytes=sum(found["sizes"]),
            retained=retained,
            oldest=manifest.moment(min(found["clocks"])),
            newest=manifest.moment(max(found["clocks"])),
            items_size=len(own),
            items_root=root_hash(sorted(row[1] for row in own)),
        )
    )


@pytest.mark.parametrize("packed", [b"", encode_records(RECORDS)], ids=["written again", "as they stood"])
def test_an_ended_batch_is_read_as_it_was_written(packed: bytes) -> None:
    finals = [Final(number % 10) for number in range(len(RECORDS))]
    ended = Ended(RECORDS, finals, {7: "matter “ü”\x00"}, packed)
    found = decode_ended(encode_ended(ended))
    assert (found.records, found.finals, found.reasons) == (RECORDS, finals, ended.reasons)
    assert decode_ended(encode_ended(found)) == found


def test_an_ended_batch_of_before_records_stood_beside_it_is_read() -> None:
    columns = {
        "count": len(RECORDS),
        "key": [[text for text, _ in (record.key for record in RECORDS)], list(range(len(RECORDS)))],
        "version": {"all": b"v1".hex()},
        "account": {"all": "a"},
        "others": {"all": []},
        "clock": list(range(len(RECORDS))),
        "size": {"all": 7},
        "place": {"all": ""},
        "tombstoned": {"all": None},
        "blobs": {"all": []},
        "attributes": {"flagged": {"all": True}, "tier": {"all": None}},
    }
    old = {"records": columns, "finals": bytes([3] * len(RECORDS)).hex(), "reasons": {"0": "why"}}
    found = decode_ended(zlib.compress(json.dumps(old).encode()))
    assert found == Ended(RECORDS, [Final.PSEUDONYMISED] * len(RECORDS), {0: "why"})


keys = st.one_of(st.integers(-(2**70), 2**70), st.booleans(), st.binary(), st.uuids(), st.sampled_from(NAMES))


@given(st.lists(st.tuples(keys)), st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), keys)))
def test_keys_have_one_name_together_and_alone(single: list[tuple[int]], several: list[tuple[str, int]]) -> None:
    for each in (single, several, [*several, *single]):
        assert key_names(each) == [key_bytes(key) for key in each]


def test_owners_of_records_are_kept_in_columns() -> None:
    several = [*RECORDS, Record(("k", 1), account="a", ties=Ties(others=("b",)))]
    found = decode_ended(encode_ended(Ended(several, [Final.PURGED] * len(several))))
    assert [record.accounts for record in found.records] == [record.accounts for record in several]
