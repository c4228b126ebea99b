"""Agreement with tests/vectors/receipt-v1.json, an independent reading of the format, member by member."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from retentiond.verify import verify
from retentiond.verify.account import _item_leaf
from retentiond.verify.dsse import pae
from retentiond.verify.jcs import canonical
from retentiond.verify.merkle import is_included, leaf_hash, node_hash
from retentiond.verify.note import read_checkpoint, read_key, require_log
from retentiond.verify.proof import read_proof
from retentiond.verify.publishedlog import entry
from retentiond.verify.strictjson import parse

VECTOR: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "receipt-v1.json").read_bytes())
KEYS = [VECTOR["issuerPem"], VECTOR["logVkey"]]
ACCOUNTS = VECTOR["accounts"]
ITEMS = [(account, item) for account in ACCOUNTS for item in account["items"]]


def keyed(domain: str, data: bytes) -> bytes:
    return hashlib.blake2b(domain.encode() + b"\0" + data, key=bytes.fromhex(VECTOR["K"]), digest_size=32).digest()


def root(leaves: list[bytes]) -> bytes:
    nodes = sorted(map(leaf_hash, leaves))
    while len(nodes) > 1:
        pairs = zip(nodes[::2], nodes[1::2], strict=True)
        nodes = [node_hash(left, right) for left, right in pairs]
    return nodes[0]


def test_the_bundle_verifies_and_says_what_it_says() -> None:
    found = verify(json.dumps(VECTOR["bundle"]).encode(), KEYS)
    assert (found.valid, found.outcome, found.step, found.reason) == (True, "partial", None, None)
    assert found.receipt == "019aab3e-6c1e-7c55-9a53-0d3ff3a1c001"
    for said in ("carried over", "held", "legal obligation", "already gone"):
        assert any(said in note for note in found.notes)


@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: repr(account["id"]))
def test_each_account_can_be_disclosed_with_its_items(account: dict[str, Any]) -> None:
    members = ("dataset", "key", "version", "action", "salt", "index", "path")
    items = [{name: item[name] for name in members} for item in account["items"]]
    disclosed = {name: account[name] for name in ("id", "salt", "leaf", "index", "path")}
    bundle = {**VECTOR["bundle"], "account": disclosed, "items": items, "annex": None}
    found = verify(json.dumps(bundle).encode(), KEYS)
    assert found.reason is None
    assert any(f"records: {len(items)}" in line for line in found.proven)


@pytest.mark.parametrize(("account", "item"), ITEMS, ids=str)
def test_each_items_leaf_is_built_alike(account: dict[str, Any], item: dict[str, Any]) -> None:
    assert _item_leaf(item).hex() == item["leaf"]
    assert keyed("retentiond/item-salt/v1", bytes.fromhex(item["item"])).hex() == item["salt"]
    tree = parse(base64.b64decode(account["leaf"]))["items"]
    path = [bytes.fromhex(step) for step in item["path"]]
    assert is_included(
        leaf_hash(bytes.fromhex(item["leaf"])), item["index"], tree["size"], path, bytes.fromhex(tree["root"])
    )


@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: repr(account["id"]))
def test_each_accounts_leaf_is_canonical_and_in_the_tree(account: dict[str, Any]) -> None:
    leaf = base64.b64decode(account["leaf"])
    assert canonical(parse(leaf)) == leaf
    assert keyed("retentiond/account-salt/v1", account["id"].encode()).hex() == account["salt"]
    path = [bytes.fromhex(step) for step in account["path"]]
    assert is_included(leaf_hash(leaf), account["index"], 16, path, bytes.fromhex(VECTOR["accountsRoot"]))


def test_the_accounts_root_is_that_of_all_leaves_and_the_padding() -> None:
    padding = [bytes.fromhex(pad) for pad in VECTOR["padding"]]
    assert len(padding) + len(ACCOUNTS) == 16
    first = len(ACCOUNTS)
    indexes = {keyed("retentiond/pad/v1", number.to_bytes(4, "big")): number for number in range(first + 16)}
    assert all(pad in indexes for pad in padding)
    leaves = [base64.b64decode(account["leaf"]) for account in ACCOUNTS]
    assert root([*leaves, *padding]).hex() == VECTOR["accountsRoot"]


def test_statement_annex_entry_and_checkpoint_agree() -> None:
    statement = VECTOR["statement"].encode()
    assert canonical(parse(statement)) == statement
    assert base64.b64decode(VECTOR["bundle"]["dsseEnvelope"]["payload"]) == statement
    digest = hashlib.sha256(pae("application/vnd.in-toto+json", statement)).hexdigest()
    assert digest == VECTOR["statementPaeSha256"]
    assert entry("receipt 300", digest).decode() == VECTOR["entry"]
    annex = VECTOR["annex"].encode()
    assert canonical(parse(annex)) == annex
    assert parse(statement)["subject"][0]["digest"]["sha256"] == hashlib.sha256(annex).hexdigest()
    require_log(read_checkpoint(VECTOR["checkpoint"]), [read_key(VECTOR["logVkey"])])
    assert VECTOR["bundle"]["tlogProof"].endswith(VECTOR["checkpoint"])
    assert read_proof(VECTOR["bundle"]["tlogProof"]).index == 301


def test_the_plans_records_digest_is_that_of_nonce_and_items() -> None:
    data = bytes.fromhex(VECTOR["planNonce"]) + b"".join(map(bytes.fromhex, VECTOR["planItems"]))
    assert hashlib.sha256(data).hexdigest() == VECTOR["planRecordsSha256"]


def leaves_of(value: Any, *where: Any) -> list[tuple[Any, ...]]:
    """The path of each value that is no container."""
    if isinstance(value, dict):
        return [found for name, inner in value.items() for found in leaves_of(inner, *where, name)]
    if isinstance(value, list):
        return [found for index, inner in enumerate(value) for found in leaves_of(inner, *where, index)]
    return [where]


@pytest.mark.parametrize("where", [path for path in leaves_of(VECTOR["bundle"]) if path[-1] != "keyid"], ids=str)
def test_every_single_value_of_the_bundle_matters(where: tuple[Any, ...]) -> None:
    bundle = json.loads(json.dumps(VECTOR["bundle"]))
    inner = bundle
    for name in where[:-1]:
        inner = inner[name]
    value = inner[where[-1]]
    inner[where[-1]] = value + 1 if isinstance(value, int) else _other_text(value)
    assert not verify(json.dumps(bundle).encode(), KEYS).valid


def _other_text(text: str) -> str:
    """Change one letter in the middle, into another of the same alphabet."""
    if not text:
        return "YQ=="
    middle = len(text) // 2
    return text[:middle] + ("b" if text[middle] != "b" else "c") + text[middle + 1 :]
