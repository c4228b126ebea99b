"""Items and accounts: names that cannot be confused, counts that must add up."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from retentiond.errors import ReceiptError
from retentiond.evidence.commitment import (
    AccountTotals,
    ActionCounts,
    ItemAction,
    PlanDigest,
    account_leaf,
    encode_item,
    encode_items,
    item_hashes,
    item_leaf,
    pad_leaves,
    padded_size,
)
from retentiond.evidence.merkle import leaf_hash

K = bytes(range(32))
DAY = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOSTILE = [
    b"",
    b"'; DROP TABLE requests; --",
    b"a\nb",
    b"a\x00b",
    "\u202etxt.exe".encode(),
    "🗑️".encode(),
    b"../../etc/passwd",
    b"%2e%2e",
    b"__proto__",
    b"<script>",
    b"\xff\xfe",
    b"k" * 1024,
]

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
identities = st.tuples(names, st.binary(max_size=8), st.binary(max_size=8))


@given(identities, identities)
def test_two_items_never_have_one_name(one: tuple[str, bytes, bytes], other: tuple[str, bytes, bytes]) -> None:
    assert (encode_item(*one) == encode_item(*other)) == (one == other)


@pytest.mark.parametrize("key", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_keys_are_named_alike_by_both_ways(key: bytes) -> None:
    dataset = "request's\x00“log”"
    item = encode_item(dataset, key, key)
    assert encode_items(dataset, [key], [key]) == [item]
    assert encode_items(dataset, [key, b"k"], [b"", b""]) == [encode_item(dataset, key), encode_item(dataset, b"k")]
    assert item.count(key) >= 2
    for action in ItemAction:
        assert item_hashes(K, [item], [action]) == [leaf_hash(item_leaf(K, item, action))]
        assert item_leaf(K, item, action)[-1] == action


def test_a_leaf_depends_on_key_item_and_action() -> None:
    item = encode_item("requests", b"42")
    leaves = {
        item_leaf(K, item, ItemAction.PURGE),
        item_leaf(K, item, ItemAction.ALREADY_GONE),
        item_leaf(K, encode_item("requests", b"43"), ItemAction.PURGE),
        item_leaf(bytes(32), item, ItemAction.PURGE),
    }
    assert len(leaves) == 4


@pytest.mark.parametrize("action", [0, 7, 255])
def test_an_action_that_does_not_exist_is_refused(action: int) -> None:
    with pytest.raises(ReceiptError, match="action"):
        item_hashes(K, [encode_item("requests", b"42")], [action])


@pytest.mark.parametrize(
    ("accounts", "size"), [(0, 16), (1, 16), (16, 16), (17, 32), (32, 32), (33, 64), (1000, 1024), (1025, 2048)]
)
def test_padding_fills_up_to_a_power_of_two(accounts: int, size: int) -> None:
    padding = list(pad_leaves(K, accounts))
    assert padded_size(accounts) == size
    assert accounts + len(padding) == size
    assert len(set(padding)) == len(padding)


@given(st.lists(st.integers(1, 2**40), min_size=8, max_size=8), st.integers(0, 2**37) | st.none())
def test_an_account_s_leaf_is_its_canonical_form(numbers: list[int], seconds: int | None) -> None:
    time = None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    *counts, size, retained = numbers if time else [*[0] * 6, *numbers[6:]]
    totals = AccountTotals("0c" * 32, ActionCounts(*counts), size, retained, time, time, sum(counts), bytes(range(32)))
    leaf = account_leaf(totals)
    assert leaf == rfc8785.dumps(json.loads(leaf))
    found = json.loads(leaf)
    assert found["records"] == sum(counts)
    assert found["items"] == {"root": bytes(range(32)).hex(), "size": sum(counts)}
    assert found["actions"] == totals.actions.by_wire_name()
    assert (found["bytes"], found["retained"], found["account"]) == (size, retained, "0c" * 32)
    assert found["oldest"] == found["newest"] == (time and f"{time:%Y-%m-%dT%H:%M:%SZ}")


@pytest.mark.parametrize(
    "totals",
    [
        AccountTotals("c" * 64, size_bytes=2**53),
        AccountTotals("c" * 64, retained=-1),
        AccountTotals("c" * 64, ActionCounts(2**52, 2**52), oldest=DAY, newest=DAY, items_size=2**53),
    ],
)
def test_a_leaf_with_a_number_that_no_receipt_may_hold_is_refused(totals: AccountTotals) -> None:
    with pytest.raises(ReceiptError, match="outside"):
        account_leaf(totals)


def test_a_commitment_that_is_none_cannot_change_a_leaf_s_form() -> None:
    leaf = account_leaf(AccountTotals('","records":9,"account":"'))
    assert json.loads(leaf)["records"] == 0


def test_an_account_of_no_records_has_neither_times_nor_items() -> None:
    leaf = json.loads(account_leaf(AccountTotals("c" * 64, retained=7)))
    assert (leaf["records"], leaf["retained"], leaf["oldest"], leaf["newest"]) == (0, 7, None, None)
    assert leaf["items"] == {
        "root": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "size": 0,
    }


def test_totals_that_do_not_add_up_are_refused() -> None:
    purged = ActionCounts(purged=1)
    with pytest.raises(ReceiptError, match="tree of 2 items"):
        AccountTotals("c" * 64, purged, oldest=DAY, newest=DAY, items_size=2)
    with pytest.raises(ReceiptError, match="tree of 0 items"):
        AccountTotals("c" * 64, purged, oldest=DAY, newest=DAY)
    with pytest.raises(ReceiptError, match="oldest and newest"):
        AccountTotals("c" * 64, purged, oldest=DAY, items_size=1)
    with pytest.raises(ReceiptError, match="oldest and newest"):
        AccountTotals("c" * 64, oldest=DAY, newest=DAY)


def test_every_action_counts_as_a_record() -> None:
    assert ActionCounts(1, 2, 4, 8, 16, 32).total == 63


def test_a_copy_of_a_plan_digest_goes_on_by_itself() -> None:
    digest = PlanDigest(K)
    digest.extend([b"one"])
    twin = digest.copy()
    twin.extend([b"two"])
    whole = PlanDigest(K)
    whole.extend([b"one", b"two"])
    assert (digest.count, twin.count) == (1, 2)
    assert twin.hexdigest() == whole.hexdigest() != digest.hexdigest()
