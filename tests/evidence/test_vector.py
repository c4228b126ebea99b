"""Agreement with an independent reading of the formats, value by value."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from retentiond.evidence.annex import (
    CarriedOver,
    Held,
    Outcomes,
    Part,
    Residue,
    RunAnnex,
    StoreNotCovered,
)
from retentiond.evidence.bundle import AccountDisclosure, Bundle, ItemDisclosure
from retentiond.evidence.commitment import (
    AccountTotals,
    ActionCounts,
    ItemAction,
    PlanDigest,
    account_commitment,
    account_leaf,
    account_salt,
    encode_item,
    encode_items,
    item_hashes,
    item_leaf,
    item_salt,
    pad_leaves,
    padded_size,
)
from retentiond.evidence.entry import receipt_entry
from retentiond.evidence.envelope import Envelope, key_id, pae_sha256
from retentiond.evidence.levels import EvidenceLevel
from retentiond.evidence.merkle import inclusion_path, leaf_hash, root_from_path, root_hash
from retentiond.evidence.statement import Digest, Issuer, NotCovered, Receipt, RunFacts, receipt_statement
from retentiond.evidence.vkey import VerifierKey

VECTOR: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "receipt-v1.json").read_text(encoding="utf-8")
)
K = bytes.fromhex(VECTOR["K"])
ITEMS = [item for account in VECTOR["accounts"] for item in account["items"]]
ACCOUNTS = pytest.mark.parametrize("account", VECTOR["accounts"], ids=range(len(VECTOR["accounts"])))
ACTIONS = {action.wire: action for action in ItemAction}


def unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def totals_of(account: dict[str, Any]) -> AccountTotals:
    """Rebuild the totals from the vector's leaf, so that the leaf's bytes can be compared."""
    leaf = json.loads(unbase64(account["leaf"]))
    names = ("purged", "tombstoned", "redacted", "pseudonymised", "keyDestroyed", "alreadyGone")
    hashes = sorted(leaf_hash(bytes.fromhex(item["leaf"])) for item in account["items"])
    return AccountTotals(
        account=account_commitment(bytes.fromhex(account["salt"]), account["id"].encode()),
        actions=ActionCounts(*(leaf["actions"][name] for name in names)),
        size_bytes=leaf["bytes"],
        retained=leaf["retained"],
        oldest=datetime(2026, 10, 1, tzinfo=UTC),
        newest=datetime(2026, 10, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        items_size=len(hashes),
        items_root=root_hash(hashes),
    )


def accounts_tree() -> list[bytes]:
    leaves = [unbase64(account["leaf"]) for account in VECTOR["accounts"]]
    return sorted(map(leaf_hash, [*leaves, *pad_leaves(K, len(leaves))]))


def annex() -> RunAnnex:
    shown = datetime(2026, 11, 24, 2, 41, 2, tzinfo=UTC)
    part = Part(
        dataset="requests",
        store="requests-db",
        kind="postgresql",
        policy="request-content",
        rule=3,
        action="purge",
        keep="P23D",
        clock="created_at",
        cutoff=datetime(2026, 11, 1, 2, tzinfo=UTC),
        due=8,
        outcomes=Outcomes(purged=3, redacted=1, tombstoned=1, already_gone=1, held=1, carried_over=1),
        size_bytes=6000,
        evidence=EvidenceLevel.DELETED,
        verified_by="select-by-key",
        verified_as="separate role",
        verified_at=shown,
        position={"systemId": "7434", "timeline": 1, "lsn": "0/16B3748"},
    )
    return RunAnnex(
        nonce=bytes.fromhex(json.loads(VECTOR["annex"])["nonce"]),
        parts=(part,),
        carried_over=(CarriedOver("requests", "object-lock", 1, datetime(2027, 1, 1, tzinfo=UTC)),),
        residue=Residue("rescan", shown, 0),
        not_covered=(StoreNotCovered("write-ahead log", "requests-db", "recycled later"),),
        held=(Held("56" * 32, 1),),
    )


def receipt() -> Receipt:
    def at(hour: int, minute: int, second: int) -> datetime:
        return datetime(2026, 11, 24, hour, minute, second, tzinfo=UTC)

    stated = json.loads(VECTOR["statement"])["predicate"]
    plan_sha256 = stated["run"]["planEntry"]["sha256"]
    tree = accounts_tree()
    return Receipt(
        kind="run",
        receipt_id="019aab3e-6c1e-7c55-9a53-0d3ff3a1c001",
        issued_at=at(3, 10, 37),
        issuer=Issuer("https://vendor.example/retentiond", "vector", "0.0.0"),
        policies=(Digest("request-content", "ef" * 32),),
        accounts_size=len(tree),
        accounts_root=root_hash(tree),
        annex=annex(),
        run=RunFacts("run-1", "schedule", at(2, 0, 0), at(2, 0, 1), at(2, 41, 12), 300, plan_sha256),
        not_covered=(NotCovered("write-ahead log"), NotCovered("backup", datetime(2026, 12, 29, tzinfo=UTC))),
    )


@pytest.mark.parametrize("item", ITEMS, ids=range(len(ITEMS)))
def test_item_encoding_salt_and_leaf(item: dict[str, Any]) -> None:
    key, version = unbase64(item["key"]), unbase64(item["version"])
    encoded = encode_item(item["dataset"], key, version)
    assert encoded.hex() == item["item"]
    assert encode_items(item["dataset"], [key], [version]) == [encoded]
    assert item_salt(K, encoded).hex() == item["salt"]
    assert item_leaf(K, encoded, ACTIONS[item["action"]]).hex() == item["leaf"]


def test_item_hashes_in_one_batch() -> None:
    items = [bytes.fromhex(item["item"]) for item in ITEMS]
    actions = [ACTIONS[item["action"]] for item in ITEMS]
    assert item_hashes(K, items, actions) == [leaf_hash(bytes.fromhex(item["leaf"])) for item in ITEMS]


@ACCOUNTS
def test_account_salt_commitment_and_leaf(account: dict[str, Any]) -> None:
    assert account_salt(K, account["id"].encode()).hex() == account["salt"]
    assert account_leaf(totals_of(account)) == unbase64(account["leaf"])


@ACCOUNTS
def test_item_places_in_the_account(account: dict[str, Any]) -> None:
    hashes = sorted(leaf_hash(bytes.fromhex(item["leaf"])) for item in account["items"])
    for item in account["items"]:
        leaf, index = leaf_hash(bytes.fromhex(item["leaf"])), item["index"]
        assert hashes[index] == leaf
        assert [node.hex() for node in inclusion_path(hashes, index, len(hashes))] == item["path"]


def test_padding_and_accounts_root() -> None:
    assert [leaf.hex() for leaf in pad_leaves(K, len(VECTOR["accounts"]))] == VECTOR["padding"]
    assert padded_size(len(VECTOR["accounts"])) == len(accounts_tree()) == 16
    assert root_hash(accounts_tree()).hex() == VECTOR["accountsRoot"]


@ACCOUNTS
def test_account_places_in_the_tree(account: dict[str, Any]) -> None:
    path = [bytes.fromhex(node) for node in account["path"]]
    assert inclusion_path(accounts_tree(), account["index"], 16) == path
    root = root_from_path(leaf_hash(unbase64(account["leaf"])), account["index"], 16, path)
    assert root.hex() == VECTOR["accountsRoot"]


def test_plan_digest_whatever_the_batches() -> None:
    items = [bytes.fromhex(item) for item in VECTOR["planItems"]]
    digest = PlanDigest(bytes.fromhex(VECTOR["planNonce"]))
    digest.extend(items[:2])
    digest.extend(iter(items[2:]))
    assert (digest.count, digest.hexdigest()) == (len(items), VECTOR["planRecordsSha256"])


def test_annex_statement_and_entry() -> None:
    assert annex().encode().decode() == VECTOR["annex"]
    statement = receipt_statement(receipt())
    assert statement.decode() == VECTOR["statement"]
    assert pae_sha256(statement) == VECTOR["statementPaeSha256"]
    assert receipt_entry(300, pae_sha256(statement)).decode() == VECTOR["entry"]


def test_envelope_reads_and_writes_the_same() -> None:
    envelope = Envelope.from_json(VECTOR["bundle"]["dsseEnvelope"])
    assert envelope.payload.decode() == VECTOR["statement"]
    assert envelope.sha256 == VECTOR["statementPaeSha256"]
    assert envelope.to_json() == VECTOR["bundle"]["dsseEnvelope"]


def test_key_id_is_the_digest_of_the_issuer_s_spki() -> None:
    der = unbase64("".join(VECTOR["issuerPem"].splitlines()[1:-1]))
    assert key_id(der[-32:]) == hashlib.sha256(der).hexdigest()
    assert key_id(der[-32:]) == VECTOR["bundle"]["dsseEnvelope"]["signatures"][0]["keyid"]


def test_verifier_key() -> None:
    assert VerifierKey.parse(VECTOR["logVkey"]).encode() == VECTOR["logVkey"]


def test_bundle() -> None:
    account = VECTOR["accounts"][0]
    items = [
        ItemDisclosure(
            item["dataset"],
            unbase64(item["key"]),
            unbase64(item["version"]),
            ACTIONS[item["action"]],
            bytes.fromhex(item["salt"]),
            item["index"],
            [bytes.fromhex(node) for node in item["path"]],
        )
        for item in account["items"]
    ]
    path = [bytes.fromhex(node) for node in account["path"]]
    disclosed = AccountDisclosure(unbase64(account["leaf"]), 0, path, "acct-a", bytes.fromhex(account["salt"]))
    bundle = Bundle(
        Envelope.from_json(VECTOR["bundle"]["dsseEnvelope"]),
        VECTOR["bundle"]["tlogProof"],
        annex().encode(),
        disclosed,
        items,
    )
    assert json.loads(bundle.encode()) == VECTOR["bundle"]
