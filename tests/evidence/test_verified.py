"""What this code writes is accepted by the verifier, which shares nothing with it, and nothing forged from it is."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.evidence.annex import CarriedOver, Held, Outcomes, Part, Residue, RunAnnex, RunsAnnex, StoreNotCovered
from retentiond.evidence.bundle import AccountDisclosure, Bundle, ItemDisclosure
from retentiond.evidence.commitment import (
    AccountTotals,
    ActionCounts,
    ItemAction,
    account_commitment,
    account_leaf,
    account_salt,
    encode_item,
    item_leaf,
    item_salt,
    pad_leaves,
)
from retentiond.evidence.entry import key_entry, plan_entry, receipt_entry, retract_entry
from retentiond.evidence.envelope import sign
from retentiond.evidence.levels import EvidenceLevel
from retentiond.evidence.merkle import inclusion_path, leaf_hash, root_hash
from retentiond.evidence.statement import (
    Digest,
    Issuer,
    NotCovered,
    PlanFacts,
    PlanPart,
    Receipt,
    RunFacts,
    plan_statement,
    receipt_statement,
)
from retentiond.keys import LocalKeys, create_all, load_keys
from retentiond.tlog import DirectoryStore, TileLog
from retentiond.verify import verify
from tests.tlog.parts import MemoryState

ORIGIN = "log.example/retentiond"
K = bytes(range(32))
SHA = "ab" * 32
NOW = datetime(2026, 11, 24, 3, 0, 0, tzinfo=UTC)
KEYS_OF = [b"id-1", b"'; DROP TABLE x; --\n\x00", "\u202e🗑".encode(), b"k" * 1024, b"\xff\xfe"]
ACCOUNTS = ["acct-a", "<script>\u202e\x00", ""]


@dataclass
class Issued:
    """A run's receipt, and everything that was made on the way."""

    keys: LocalKeys
    state: MemoryState
    log: TileLog
    directory: Path
    receipt_index: int
    bundle: Bundle

    def pinned(self) -> list[str | bytes]:
        return [self.keys.issuer_pem, self.keys.vkey]

    def verdict(self, bundle: bytes | None = None) -> Any:
        return verify(bundle or self.bundle.encode(), self.pinned(), log=str(self.directory), history=self.keys.history)


class Tree:
    """Accounts of a receipt, each with one item of each hostile key."""

    def __init__(self) -> None:
        self.items = [(encode_item("requests", key), key) for key in KEYS_OF]
        self.hashes = sorted(leaf_hash(item_leaf(K, item, ItemAction.PURGE)) for item, _ in self.items)
        self.leaves = [self._leaf(account) for account in ACCOUNTS]
        self.accounts = sorted(map(leaf_hash, [*self.leaves, *pad_leaves(K, len(ACCOUNTS))]))

    def _leaf(self, account: str) -> bytes:
        commitment = account_commitment(account_salt(K, account.encode()), account.encode())
        counts = ActionCounts(purged=len(KEYS_OF))
        root = root_hash(self.hashes)
        return account_leaf(AccountTotals(commitment, counts, 77, 2, NOW, NOW, len(KEYS_OF), root))

    def account(self, number: int) -> AccountDisclosure:
        leaf, name = self.leaves[number], ACCOUNTS[number]
        index = self.accounts.index(leaf_hash(leaf))
        path = inclusion_path(self.accounts, index, len(self.accounts))
        return AccountDisclosure(leaf, index, path, name, account_salt(K, name.encode()))

    def disclosed(self) -> list[ItemDisclosure]:
        found = []
        for item, key in self.items:
            index = self.hashes.index(leaf_hash(item_leaf(K, item, ItemAction.PURGE)))
            path = inclusion_path(self.hashes, index, len(self.hashes))
            found.append(ItemDisclosure("requests", key, b"", ItemAction.PURGE, item_salt(K, item), index, path))
        return found


def annex() -> RunAnnex:
    due = len(KEYS_OF) * len(ACCOUNTS)
    part = Part(
        "requests", "db", "sqlite", "content", "purge", due + 3, Outcomes(purged=due, held=2, carried_over=1),
        EvidenceLevel.DELETED, "select-by-key", "separate connection", NOW, 1, "P30D", "created_at", NOW,
        tombstoned_between=(NOW - timedelta(days=2), NOW),
    )  # fmt: skip
    return RunAnnex(
        bytes(32), (part,), (CarriedOver("requests", "locked", 1),), Residue("rescan", NOW, 0),
        (StoreNotCovered("search index", None, "not reached", NOW),), (Held(SHA, 2),), single_operator=True,
    )  # fmt: skip


def plan_of(records: int) -> bytes:
    parts = (PlanPart("requests", "content", "purge", records, 1, NOW, 77),)
    policies, datasets = (Digest("content", SHA),), (Digest("requests", SHA),)
    expires = NOW + timedelta(hours=24)
    return plan_statement(
        PlanFacts("plan-1", "one", NOW, expires, "schedule", NOW, policies, datasets, parts, records, SHA)
    )


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    create_all(tmp_path / "keys", ORIGIN, NOW - timedelta(days=1))
    keys, state = load_keys(tmp_path / "keys", ORIGIN), MemoryState()
    log = TileLog(ORIGIN, keys.log, state, DirectoryStore(tmp_path / "log"))
    state.staged.append(key_entry(hashlib.sha256(keys.history).hexdigest()))
    state.staged += [key_entry(f"{number:064x}") for number in range(299)]
    plan = sign(plan_of(18), keys.issuer)
    state.staged.append(plan_entry(plan.sha256))
    log.publish()
    tree, about = Tree(), annex()
    run = RunFacts("run-1", "schedule", NOW, NOW, NOW, 300, plan.sha256)
    receipt = Receipt(
        "run", "019aab3e-6c1e-7c55-9a53-0d3ff3a1c001", NOW, Issuer("https://example.com", "one", "0.1.0"),
        (Digest("content", SHA),), len(tree.accounts), root_hash(tree.accounts), about, run,
        (NotCovered("search index", NOW), NotCovered("write-ahead log")),
    )  # fmt: skip
    envelope = sign(receipt_statement(receipt), keys.issuer)
    state.staged.append(receipt_entry(300, envelope.sha256))
    log.publish()
    bundle = Bundle(envelope, log.prove(301), about.encode(), tree.account(0), tree.disclosed())
    return Issued(keys, state, log, tmp_path / "log", 301, bundle)


def test_a_receipt_verifies(issued: Issued) -> None:
    verdict = issued.verdict()
    assert (verdict.valid, verdict.outcome, verdict.reason) == (True, "partial", None)


@pytest.mark.parametrize("number", range(len(ACCOUNTS)))
def test_each_customer_s_bundle_verifies_without_the_annex(issued: Issued, number: int) -> None:
    tree = Tree()
    bundle = Bundle(issued.bundle.envelope, issued.bundle.tlog_proof, None, tree.account(number), tree.disclosed())
    assert issued.verdict(bundle.encode()).reason is None


def change(*path: str | int) -> Callable[[dict[str, Any]], None]:
    """Return a forgery: another value for one member of a bundle, of the same kind."""

    def forge(bundle: dict[str, Any]) -> None:
        inner: Any = bundle
        for step in path[:-1]:
            inner = inner[step]
        value = inner[path[-1]]
        if isinstance(value, int):
            inner[path[-1]] = value + 1
        elif path[-1] in ("salt", 0):
            inner[path[-1]] = hashlib.sha256(value.encode()).hexdigest()
        else:
            head, one, tail = base64.b64decode(value).rpartition(b"1")
            inner[path[-1]] = base64.b64encode(head + (b"2" if one else b"") + tail + (b"" if one else b"2")).decode()

    return forge


@pytest.mark.parametrize(
    ("forge", "step"),
    [
        (change("dsseEnvelope", "payload"), "signature"),
        (change("annex"), "annex"),
        (change("account", "leaf"), "account"),
        (change("account", "index"), "account"),
        (change("account", "salt"), "account"),
        (change("account", "path", 0), "account"),
        (change("items", 0, "key"), "items"),
        (change("items", 1, "version"), "items"),
        (change("items", 2, "salt"), "items"),
        (change("items", 3, "index"), "items"),
        (change("items", 4, "path", 0), "items"),
    ],
)
def test_a_forged_copy_is_refused(issued: Issued, forge: Callable[[dict[str, Any]], None], step: str) -> None:
    bundle = json.loads(issued.bundle.encode())
    forge(bundle)
    verdict = issued.verdict(json.dumps(bundle).encode())
    assert (verdict.valid, verdict.step) == (False, step)


def test_a_retracted_receipt_is_refused(issued: Issued) -> None:
    issued.state.staged.append(retract_entry(301, "mistaken", issued.bundle.envelope.sha256))
    issued.log.publish()
    assert (issued.verdict().valid, issued.verdict().step) == (False, "retracted")


@pytest.mark.parametrize("kind", ["closure", "erasure", "attestation", "hold-notice"])
def test_a_receipt_over_runs_verifies(issued: Issued, kind: str) -> None:
    more = {"datasets": [{"dataset": "requests", "overdue": 0}]}
    about = RunsAnnex(bytes(32), ((301, issued.bundle.envelope.sha256),), EvidenceLevel.DELETED, more)
    leaf = Tree().leaves[0]
    hashes = sorted(map(leaf_hash, [leaf, *pad_leaves(K, 1)]))
    receipt = Receipt(
        kind, "019aab3e-6c1e-7c55-9a53-0d3ff3a1c002", NOW, Issuer("https://example.com", "one", "0.1.0"),
        (Digest("content", SHA),), len(hashes), root_hash(hashes), about,
        period=(NOW - timedelta(days=9), NOW) if kind == "attestation" else None,
    )  # fmt: skip
    envelope = sign(receipt_statement(receipt), issued.keys.issuer)
    issued.state.staged.append(receipt_entry(None, envelope.sha256))
    issued.log.publish()
    index = hashes.index(leaf_hash(leaf))
    path = inclusion_path(hashes, index, len(hashes))
    account = AccountDisclosure(leaf, index, path, "acct-a", account_salt(K, b"acct-a"))
    bundle = Bundle(envelope, issued.log.prove(302), about.encode(), account, Tree().disclosed())
    verdict = issued.verdict(bundle.encode())
    assert (verdict.reason, verdict.outcome) == (None, "complete")


def test_a_tombstone_receipt_says_hidden(issued: Issued) -> None:
    part = Part("requests", "db", "sqlite", "content", "tombstone", 1, Outcomes(tombstoned=1), EvidenceLevel.HIDDEN)
    about = RunAnnex(bytes(32), (part,))
    plan = sign(plan_of(1), issued.keys.issuer)
    issued.state.staged.append(plan_entry(plan.sha256))
    hashes = sorted(map(leaf_hash, pad_leaves(K, 0)))
    receipt = Receipt(
        "tombstone", "019aab3e-6c1e-7c55-9a53-0d3ff3a1c003", NOW, Issuer("https://example.com", "one", "0.1.0"),
        (), len(hashes), root_hash(hashes), about, RunFacts("run-2", "schedule", NOW, NOW, NOW, 302, plan.sha256),
    )  # fmt: skip
    envelope = sign(receipt_statement(receipt), issued.keys.issuer)
    issued.state.staged.append(receipt_entry(302, envelope.sha256))
    issued.log.publish()
    bundle = Bundle(envelope, issued.log.prove(303), about.encode())
    assert issued.verdict(bundle.encode()).reason is None
    assert json.loads(envelope.payload)["predicate"]["evidence"] == "hidden"
