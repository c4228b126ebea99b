"""Receipts read by brute force: every item, leaf and root is made again from what was in the stores."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.engine.bundles import export_all
from retentiond.engine.endings import read_ended
from retentiond.engine.running import run_all
from retentiond.errors import LedgerError, ReceiptError
from tests.engine.handed_out import verdict
from tests.engine.office import Office, carry

Item = tuple[str, str, bytes, int]


def root_of(leaves: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + root_of(leaves[:split]) + root_of(leaves[split:])).digest()


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def keyed(key: bytes, message: bytes) -> bytes:
    return hashlib.blake2b(message, key=key, digest_size=32).digest()


def item_leaf(key: bytes, dataset: str, name: bytes, version: bytes, action: int) -> bytes:
    item = b"".join(len(text).to_bytes(4, "big") + text for text in (dataset.encode(), name, version))
    salt = keyed(key, b"retentiond/item-salt/v1\x00" + item)
    return hashlib.sha256(b"retentiond/item/v1\x00" + salt + item).digest() + bytes([action])


def receipt_key(office: Office) -> bytes:
    with office.open() as ctx, ctx.ledger.begin() as tx:
        (row,) = tx.receipts.all()
        return ctx.wrapping.open(row.commitment_key, f"receipt/{row.id}".encode())


def predicate(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))["predicate"]
    return found


def exported(office: Office, account: str, folder: Path) -> list[dict[str, Any]]:
    with office.open() as ctx:
        return [json.loads(path.read_bytes()) for path in export_all(ctx, folder, account)]


ACCOUNTS = ("acct-a", "acct-b'\u202e", "acct-zero")


def fill(office: Office) -> dict[str, list[tuple[str, bytes, int]]]:
    """Make records; return what must become of them, by account: dataset, key, action (1 purge, 2 tombstone)."""
    expected: dict[str, list[tuple[str, bytes, int]]] = {account: [] for account in ACCOUNTS}
    number = 0
    for account in ACCOUNTS:
        for _ in range(7):
            number += 1
            key = f"key-{number}\n\U0001f5d1"
            days = 3 if account == "acct-zero" else 22
            office.request(key, days, account=account)
            expected[account].append(("requests", key.encode(), 1 if account == "acct-zero" else 2))
            office.feedback(number, 31, account)
            expected[account].append(("feedback", str(number).encode(), 1))
    office.request("young", 1, account="acct-young")
    return expected


def test_an_accounts_leaf_and_the_tree_are_what_a_brute_force_makes_of_them(office: Office, tmp_path: Path) -> None:
    expected = fill(office)
    carry(office)
    key = receipt_key(office)
    (bundle,) = office.bundles()
    hashes: list[bytes] = []
    for account, items in expected.items():
        leaves = sorted(leaf_hash(item_leaf(key, dataset, name, b"", action)) for dataset, name, action in items)
        (part,) = exported(office, account, tmp_path / str(len(hashes)))
        leaf = json.loads(base64.b64decode(part["account"]["leaf"]))
        salt = keyed(key, b"retentiond/account-salt/v1\x00" + account.encode())
        assert part["account"]["salt"] == salt.hex()
        commitment = hashlib.sha256(b"retentiond/account/v1\x00" + salt + account.encode()).hexdigest()
        assert leaf["account"] == commitment
        assert leaf["records"] == len(items)
        assert leaf["items"] == {"size": len(items), "root": root_of(leaves).hex()}
        actions = [action for _, _, action in items]
        assert (leaf["actions"]["purged"], leaf["actions"]["tombstoned"]) == (actions.count(1), actions.count(2))
        hashes.append(leaf_hash(base64.b64decode(part["account"]["leaf"])))
    pads = [keyed(key, b"retentiond/pad/v1\x00" + number.to_bytes(4, "big")) for number in range(16 - len(ACCOUNTS))]
    tree = sorted([*hashes, *map(leaf_hash, pads)])
    assert predicate(bundle)["accounts"] == {"tree": "rfc9162-sha256", "size": 16, "root": root_of(tree).hex()}


def test_what_one_customer_gets_names_no_other_and_no_figures(office: Office, tmp_path: Path) -> None:
    fill(office)
    carry(office)
    (bundle,) = exported(office, "acct-zero", tmp_path / "out")
    text = json.dumps(bundle, ensure_ascii=False) + base64.b64decode(bundle["dsseEnvelope"]["payload"]).decode()
    assert bundle["annex"] is None
    assert bundle["items"] == []
    for other in ("acct-a", "acct-b", "acct-young", "key-"):
        assert other not in text
    assert exported(office, "acct-young", tmp_path / "none") == []
    # One bit of somebody else's leaf: what is derived leads to another root than the one that was signed.
    (leaves,) = (office.root / "receipts" / "manifests").glob("*.leaves")
    data = bytearray(leaves.read_bytes())
    data[(bundle["account"]["index"] ^ 1) * 32 + 31] ^= 1
    leaves.write_bytes(data)
    with pytest.raises(ReceiptError, match="no part is handed out"):
        exported(office, "acct-zero", tmp_path / "damaged")


def test_the_operators_bundle_names_no_account_and_no_key(office: Office) -> None:
    fill(office)
    carry(office)
    (bundle,) = office.bundles()
    parts = (json.dumps(bundle), base64.b64decode(bundle["annex"]).decode())
    assert not [text for text in parts if "acct-" in text or "key-" in text]


def test_a_tombstone_then_its_purge_say_when_it_was_hidden(office: Office) -> None:
    office.request("row", 22)
    carry(office)
    (first,) = office.bundles()
    assert (predicate(first)["kind"], predicate(first)["evidence"]) == ("tombstone", "hidden")
    hidden_at = office.clock.at
    assert predicate(first)["purgeDue"] == (hidden_at + timedelta(days=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    (hidden,) = json.loads(base64.b64decode(first["annex"]))["parts"]
    assert hidden["purgeDue"] == predicate(first)["purgeDue"]
    found = verdict(office, next((office.root / "receipts").glob("*.bundle.json")))
    assert found.valid
    assert not [note for note in found.notes if "purgeDue" in note]
    office.clock.at += timedelta(days=4)
    with office.open() as ctx:
        assert run_all(ctx).carried == []
    office.clock.at += timedelta(days=2)
    carry(office)
    last = next(each for each in office.bundles() if predicate(each)["kind"] == "run")
    (part,) = json.loads(base64.b64decode(last["annex"]))["parts"]
    when = hidden_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert part["outcomes"]["purged"] == 1
    assert "purgeDue" not in part
    assert "purgeDue" not in predicate(last)
    assert part["tombstonedBetween"] == [when, when] or set(part["tombstonedBetween"].values()) == {when}
    assert office.rows() == set()


def test_sealed_identifiers_are_destroyed_after_their_time(office: Office) -> None:
    fill(office)
    session = carry(office)
    plan_id = session.carried[0].plan.id

    def readable() -> bool:
        with office.open() as ctx:
            with ctx.ledger.begin() as tx:
                batch = tx.batches.of_plan(plan_id)[0]
            try:
                return bool(read_ended(ctx, batch).records)
            except LedgerError:
                return False

    assert readable()
    office.clock.at += timedelta(days=6, hours=23)
    with office.open() as ctx:
        run_all(ctx)
    assert readable()
    office.clock.at += timedelta(hours=2)
    with office.open() as ctx:
        run_all(ctx)
    assert not readable()


@pytest.mark.parametrize("count", [0, 16, 17])
def test_the_accounts_tree_hides_how_many_accounts_there_are(office: Office, count: int) -> None:
    for number in range(count):
        office.request(f"r{number}", 22, account=f"acct-{number}")
    office.feedback(1, 31, "acct-0")
    carry(office)
    (bundle,) = office.bundles()
    assert predicate(bundle)["accounts"]["size"] == (32 if count > 16 else 16)
