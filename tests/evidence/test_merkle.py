"""Merkle trees against a recursive reading of RFC 9162, section 2.1, that shares nothing with the code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.errors import ReceiptError
from retentiond.evidence.merkle import (
    Frontier,
    account_trees,
    complete_subtrees,
    consistency_proof,
    inclusion_path,
    is_consistent,
    leaf_hash,
    packed_tree,
    root_from_path,
    root_hash,
)


@given(st.lists(st.integers(0, 40), max_size=8), st.integers(0, 4))
def test_leaves_in_pieces_make_the_tree_that_they_make_one_by_one(pieces: list[int], most: int) -> None:
    together, alone = Frontier(), Frontier()
    for number, size in enumerate(pieces):
        hashes = [leaf_hash(f"{number}/{index}".encode()) for index in range(size)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("retentiond.evidence.merkle._AT_ONCE", 2**most)
            together.extend(hashes)
        for each in hashes:
            alone.append(each)
        assert (together.size, together.peaks, together.root()) == (alone.size, alone.peaks, alone.root())


SIZES = (0, 1, 2, 3, 7, 8, 255, 256, 257, 1000)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def mth(data: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, over leaf data."""
    if len(data) <= 1:
        return sha256(b"\x00" + data[0]) if data else sha256(b"")
    k = 1
    while k * 2 < len(data):
        k *= 2
    return sha256(b"\x01" + mth(data[:k]) + mth(data[k:]))


def rfc_path(m: int, data: list[bytes]) -> list[bytes]:
    """RFC 9162, 2.1.3.1."""
    if len(data) == 1:
        return []
    k = 1
    while k * 2 < len(data):
        k *= 2
    if m < k:
        return [*rfc_path(m, data[:k]), mth(data[k:])]
    return [*rfc_path(m - k, data[k:]), mth(data[:k])]


def rfc_proof(m: int, data: list[bytes], *, whole: bool = True) -> list[bytes]:
    """RFC 9162, 2.1.4.1: SUBPROOF."""
    if m == len(data):
        return [] if whole else [mth(data)]
    k = 1
    while k * 2 < len(data):
        k *= 2
    if m <= k:
        return [*rfc_proof(m, data[:k], whole=whole), mth(data[k:])]
    return [*rfc_proof(m - k, data[k:], whole=False), mth(data[:k])]


def leaves(size: int) -> tuple[list[bytes], list[bytes]]:
    data = [b"%d" % number for number in range(size)]
    return data, list(map(leaf_hash, data))


def test_known_roots() -> None:
    # The trees of Certificate Transparency's reference implementation.
    data = [b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43", bytes(range(0x50, 0x58))]
    data.append(bytes(range(0x60, 0x70)))
    roots = [root_hash(map(leaf_hash, data[:size])).hex() for size in (0, 1, 2, 8)]
    assert roots == [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]


@pytest.mark.parametrize("size", SIZES)
def test_root(size: int) -> None:
    data, hashes = leaves(size)
    assert root_hash(iter(hashes)) == mth(data)


@given(st.integers(1, 70), st.data())
def test_inclusion(size: int, draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, size - 1))
    data, hashes = leaves(size)
    path = inclusion_path(iter(hashes), index, size)
    assert path == rfc_path(index, data)
    assert root_from_path(hashes[index], index, size, path) == mth(data)


@pytest.mark.parametrize("size", [1, 2, 16, 64])
def test_a_packed_tree_is_that_of_the_definition(size: int) -> None:
    data, hashes = leaves(size)
    for index in range(size):
        assert packed_tree(b"".join(hashes), index) == (mth(data), rfc_path(index, data))


@pytest.mark.parametrize(("count", "index"), [(0, 0), (33, 0), (96, 0), (160, 0), (128, 4), (128, -1)])
def test_what_makes_no_packed_tree_is_refused(count: int, index: int) -> None:
    with pytest.raises(ReceiptError):
        packed_tree(bytes(count), index)


@given(st.integers(2, 70), st.data())
def test_inclusion_refuses_another_place_leaf_or_path(size: int, draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, size - 1))
    other = draw.draw(st.integers(0, size - 1).filter(lambda number: number != index))
    data, hashes = leaves(size)
    path = inclusion_path(hashes, index, size)
    broken = draw.draw(st.integers(0, len(path) - 1))
    path_broken = [sha256(node) if at == broken else node for at, node in enumerate(path)]
    assert root_from_path(hashes[other], index, size, path) != mth(data)
    assert root_from_path(hashes[index], index, size, path_broken) != mth(data)
    with pytest.raises(ReceiptError, match="inclusion path"):
        root_from_path(hashes[index], index, size, [*path, path[0]])


@given(st.integers(1, 70), st.data())
def test_consistency(new: int, draw: st.DataObject) -> None:
    old = draw.draw(st.integers(1, new))
    data, hashes = leaves(new)
    proof = consistency_proof(hashes, old)
    assert proof == rfc_proof(old, data)
    before, after = (old, mth(data[:old])), (new, mth(data))
    assert is_consistent(before, after, proof)
    assert not is_consistent((old, sha256(b"fork")), after, proof)
    assert not is_consistent(before, (new, sha256(b"fork")), proof)
    assert not is_consistent(before, after, [*proof, sha256(b"more")])
    for at in range(len(proof)):
        assert not is_consistent(before, after, [*proof[:at], sha256(proof[at]), *proof[at + 1 :]])


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (0, 0), (-1, 3)])
def test_no_consistency_with_an_empty_or_larger_tree(old: int, new: int) -> None:
    root = mth([])
    assert not is_consistent((old, root), (new, root), [])
    with pytest.raises(ReceiptError, match="no consistency proof"):
        consistency_proof(leaves(new)[1], old)


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_frontier_goes_on_from_its_peaks(size: int, more: int) -> None:
    data, hashes = leaves(size + more)
    first = Frontier()
    first.extend(hashes[:size])
    second = Frontier(first.size, first.peaks)
    second.extend(hashes[size:])
    assert (second.size, second.root()) == (size + more, mth(data))
    assert len(second.peaks) <= (size + more).bit_length()


@given(st.integers(0, 1000))
def test_peaks_are_the_complete_subtrees(size: int) -> None:
    data, hashes = leaves(size)
    frontier = Frontier()
    frontier.extend(hashes)
    spans = list(complete_subtrees((0, size)))
    assert [root_hash(hashes[start:end]) for start, end in spans] == list(frontier.peaks)
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]
    assert all(a[1] - a[0] > b[1] - b[0] for a, b in pairwise(spans))
    assert frontier.root() == mth(data)


@pytest.mark.parametrize("index", [-1, 3, 4])
def test_no_path_to_a_leaf_that_is_not_there(index: int) -> None:
    with pytest.raises(ReceiptError, match="has no leaf"):
        inclusion_path(leaves(3)[1], index, 3)


@pytest.mark.parametrize("size", [4, 2])
def test_a_stream_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ReceiptError, match="has 3"):
        inclusion_path(leaves(3)[1], 0, size)


def test_peaks_of_another_size_are_refused() -> None:
    with pytest.raises(ReceiptError, match="do not make a tree"):
        Frontier(3, [sha256(b"")])


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.sets(st.binary(min_size=32, max_size=32), min_size=1)))
def test_account_trees(accounts: dict[str, set[bytes]]) -> None:
    rows = sorted((account, leaf) for account, hashes in accounts.items() for leaf in hashes)
    expected = [(account, len(accounts[account]), root_hash(sorted(accounts[account]))) for account in sorted(accounts)]
    assert list(account_trees(iter(rows))) == expected


@pytest.mark.parametrize(
    "rows",
    [
        [("a", b"2"), ("a", b"1")],
        [("b", b"1"), ("a", b"2")],
        [("a", b"1"), ("a", b"1")],
        [("a", b"1"), ("b", b"1"), ("a", b"2")],
    ],
    ids=["leaves", "accounts", "twice", "account-returns"],
)
def test_account_trees_refuse_rows_out_of_order(rows: list[tuple[str, bytes]]) -> None:
    with pytest.raises(ReceiptError, match="not sorted"):
        list(account_trees(rows))


def test_account_trees_keep_nothing_back() -> None:
    """The first account is handed out as soon as the second begins."""
    read: list[str] = []

    def rows() -> Iterator[tuple[str, bytes]]:
        for number in range(100):
            read.append(f"{number:03}")
            yield read[-1], sha256(b"%d" % number)

    assert next(account_trees(rows()))[0] == "000"
    assert read == ["000", "001"]
