"""Whole receipts with their logs, as drafts that a case changes before they are signed, or after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .crafting import b64, cosignature, envelope, jcs, leaf_hash, note_line, pae, path, private_key, root, sha256
from .crafting import signature as signed_by

Json = dict[str, Any]
Writer = Callable[[Any], bytes]
STATEMENT_TYPE = "application/vnd.in-toto+json"
KEYS_TYPE = "application/vnd.retentiond.keys.v1+json"
ORIGIN = "vectors.example/receipts"
WITNESS, OTHER_WITNESS = "witness.example/one", "witness.example/two"
ISSUER, LOG, STRANGER, OLD_ISSUER = map(private_key, ("issuer", "log", "stranger", "old issuer"))
WITNESS_KEY, OTHER_WITNESS_KEY = map(private_key, ("witness one", "witness two"))
K = hashlib.sha256(b"vector commitment key").digest()
PLAN, RECEIPT, SIZE = 4, 6, 11  # the plan's entry, the receipt's, and how many there are
PLAN_DIGEST = sha256(b"the PAE of a plan")
WITNESSED_AT = 1_795_491_000  # 2026-11-24T03:30:00Z

ITEM_ACTIONS = {"purge": 1, "tombstone": 2, "redact": 3, "pseudonymise": 4, "keyDestroyed": 5, "alreadyGone": 6}
COUNTED_AS = {
    "purge": "purged",
    "tombstone": "tombstoned",
    "redact": "redacted",
    "pseudonymise": "pseudonymised",
    "keyDestroyed": "keyDestroyed",
    "alreadyGone": "alreadyGone",
}
OUTCOMES = (*COUNTED_AS.values(), "changed", "held", "refused", "carriedOver")


def part(action: str = "purge", evidence: str = "deleted", **counts: int) -> Json:
    """One part of an annex, whose outcomes are these and 0 for the rest."""
    return {
        "dataset": "requests",
        "store": "requests-db",
        "kind": "postgresql",
        "policy": "request-content",
        "rule": 3,
        "action": action,
        "keep": "P23D",
        "clock": "created_at",
        "cutoff": "2026-11-01T02:00:00Z",
        "examined": None,
        "due": sum(counts.values()),
        "outcomes": dict.fromkeys(OUTCOMES, 0) | counts,
        "bytes": 1820331,
        "evidence": evidence,
        "verifiedBy": "select-by-key",
        "verifiedAs": "separate role",
        "verifiedAt": "2026-11-24T02:41:02Z",
        "position": {"systemId": "7434", "timeline": 1, "lsn": "0/16B3748"},
        "tombstonedBetween": None,
    }


def run_predicate() -> Json:
    return {
        "kind": "run",
        "receiptId": "019aab3e-6c1e-7c55-9a53-0d3ff3a1c001",
        "issuedAt": "2026-11-24T03:10:37Z",
        "issuer": {
            "id": "https://vendor.example/retentiond",
            "instance": "vectors",
            "software": {"name": "retentiond", "version": "0.0.0"},
        },
        "run": {
            "id": "run-1",
            "trigger": "schedule",
            "referenceTime": "2026-11-24T02:00:00Z",
            "startedAt": "2026-11-24T02:00:01Z",
            "finishedAt": "2026-11-24T02:41:12Z",
            "planEntry": {"index": PLAN, "sha256": PLAN_DIGEST},
            "approvals": None,
        },
        "policies": [{"id": "request-content", "sha256": "ef" * 32}],
        "outcome": "complete",
        "evidence": "deleted",
        "accounts": {"tree": "rfc9162-sha256", "size": None, "root": None},  # filled in
        "notCovered": [{"what": "backup", "until": "2026-12-29T00:00:00Z"}, {"what": "write-ahead log", "until": None}],
    }


def run_annex() -> Json:
    return {
        "annex": "retentiond/annex/v1",
        "nonce": "25" * 32,
        "parts": [part(purged=2, alreadyGone=1, held=1)],
        "carriedOver": [],
        "residue": {"result": "clean", "method": "rescan", "checkedAt": "2026-11-24T02:41:02Z", "found": 0},
        "notCovered": [{"what": "write-ahead log", "store": "requests-db", "reason": "recycled later", "until": None}],
        "held": [{"matterCommitment": "56" * 32, "count": 1}],
        "singleOperator": False,
    }


def three_items() -> list[Json]:
    """Identifiers as nobody would choose them."""
    return [
        {"dataset": "requests", "key": b"42", "version": b"", "action": "purge"},
        {"dataset": "pay\u202eloads", "key": b"../%2e\x00\xff", "version": b"null", "action": "purge"},
        {"dataset": "__proto__", "key": b'["42","a\\"b"]', "version": b"", "action": "alreadyGone"},
    ]


@dataclass
class Draft:
    """A receipt that is not signed yet.

    Attributes:
        predicate, annex, items: what it says; `items` None: no account is disclosed.
        statement: members that stand in the statement in place of its own, or beside them.
        leaf: members of the account's leaf in place of its own.
        account: the account's id.
        write_body, write_annex, write_leaf: how each is written; JCS, unless that is what is wrong.
        signatures: the DSSE signatures over a PAE.
        kind_line: the entry's kind line, where it is not the one that fits.
        further: log entries in place of others, or after them, by index.
        note: the checkpoint's note for its body.
        size: how many entries the bundle's checkpoint covers.
        accounts: how many leaves the accounts tree has.
    """

    predicate: Json = field(default_factory=run_predicate)
    annex: Json = field(default_factory=run_annex)
    items: list[Json] | None = field(default_factory=three_items)
    statement: Json = field(default_factory=dict)
    leaf: Json = field(default_factory=dict)
    account: str = "acct-\u00e9\x00'\u202e"
    write_body: Writer = jcs
    write_annex: Writer = jcs
    write_leaf: Writer = jcs
    signatures: Callable[[bytes], list[Json]] = lambda message: [signed_by(ISSUER, message)]
    payload_type: str = STATEMENT_TYPE
    kind_line: str | None = None
    further: Callable[[str], dict[int, bytes]] = lambda _digest: {}
    note: Callable[[str], str] = lambda body: f"{body}\n{note_line(body, LOG, ORIGIN)}"
    size: int = SIZE
    accounts: int = 16


@dataclass
class Sealed:
    """The bundle, still to be changed at will, and the entries of its log."""

    bundle: Json
    entries: list[bytes]
    digest: str


def log_entry(kind_line: str, digest: str) -> bytes:
    return f"retentiond/log-entry/v1\n{kind_line}\nsha256:{digest}\n".encode()


def seal(draft: Draft) -> Sealed:
    """Sign a draft, put it into its log and make the bundle."""
    account, items, accounts_root = _disclose(draft)
    predicate = deepcopy(draft.predicate)
    for name, value in (("size", draft.accounts), ("root", accounts_root.hex())):
        if predicate.get("accounts", {}).get(name, "") is None:
            predicate["accounts"][name] = value
    annex = draft.write_annex(draft.annex)
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "annex", "digest": {"sha256": sha256(annex)}}],
        "predicateType": "urn:retentiond:deletion-receipt:v1",
        "predicate": predicate,
    }
    body = draft.write_body(statement | draft.statement)
    message = pae(draft.payload_type, body)
    entries = _entries(draft, sha256(message))
    bundle = {
        "mediaType": "application/vnd.retentiond.receipt-bundle.v1+json",
        "dsseEnvelope": envelope(draft.payload_type, body, draft.signatures(message)),
        "tlogProof": proof(entries, RECEIPT, draft.note),
        "annex": b64(annex),
        "account": account,
        "items": items,
        "keys": {},
    }
    return Sealed(bundle, entries, sha256(message))


def checkpoint_body(entries: Sequence[bytes], origin: str = ORIGIN) -> str:
    return f"{origin}\n{len(entries)}\n{b64(root([leaf_hash(data) for data in entries]))}\n"


def proof(entries: Sequence[bytes], index: int, note: Callable[[str], str]) -> str:
    """c2sp.org/tlog-proof@v1."""
    steps = "".join(b64(step) + "\n" for step in path(index, [leaf_hash(data) for data in entries]))
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{steps}\n{note(checkpoint_body(entries))}"


def cosigned(*lines: Callable[[str], str]) -> Callable[[str], str]:
    """A note signed by the log, with further signature lines."""
    return lambda body: f"{body}\n{note_line(body, LOG, ORIGIN)}" + "".join(line(body) for line in lines)


def seen_by_witness(
    seconds: int = WITNESSED_AT, key: Ed25519PrivateKey = WITNESS_KEY, name: str = WITNESS
) -> Callable[[str], str]:
    return lambda body: cosignature(body, seconds, key, name)


def history(*keys: Json, signer: Ed25519PrivateKey = LOG, write: Writer = jcs, payload_type: str = KEYS_TYPE) -> bytes:
    body = write({"keys": list(keys)})
    return json.dumps(envelope(payload_type, body, [signed_by(signer, pae(payload_type, body))])).encode()


# ------------------------------------------------------------------------------------------------------ commitments


def item_bytes(item: Json) -> bytes:
    fields = (item["dataset"].encode(), item["key"], item["version"])
    return b"".join(len(value).to_bytes(4, "big") + value for value in fields)


def _salt(purpose: bytes, of_what: bytes) -> bytes:
    return hashlib.blake2b(purpose + of_what, digest_size=32, key=K).digest()


def _item_leaf(item: Json, salt: bytes) -> bytes:
    digest = hashlib.sha256(b"retentiond/item/v1\0" + salt + item_bytes(item)).digest()
    return digest + bytes([ITEM_ACTIONS[item["action"]]])


def _disclose(draft: Draft) -> tuple[Json | None, list[Json], bytes]:
    items = draft.items or []
    salts = [_salt(b"retentiond/item-salt/v1\0", item_bytes(item)) for item in items]
    hashes = sorted(leaf_hash(_item_leaf(item, salt)) for item, salt in zip(items, salts, strict=True))
    disclosed = []
    for item, salt in zip(items, salts, strict=True):
        index = hashes.index(leaf_hash(_item_leaf(item, salt)))
        steps = [step.hex() for step in path(index, hashes)]
        plain = {"key": b64(item["key"]), "version": b64(item["version"])}
        disclosed.append(item | plain | {"salt": salt.hex(), "index": index, "path": steps})
    account, accounts_root = _disclose_account(draft, {"size": len(items), "root": root(hashes).hex()})
    return (None if draft.items is None else account), disclosed, accounts_root


def _disclose_account(draft: Draft, tree: Json) -> tuple[Json, bytes]:
    name = draft.account.encode()
    salt = _salt(b"retentiond/account-salt/v1\0", name)
    actions = dict.fromkeys(COUNTED_AS.values(), 0)
    for item in draft.items or []:
        actions[COUNTED_AS[item["action"]]] += 1
    leaf: Json = {
        "account": sha256(b"retentiond/account/v1\0" + salt + name),
        "records": len(draft.items or []),
        "bytes": 3000,
        "actions": actions,
        "retained": 0,
        "oldest": "2026-10-01T00:00:00Z",
        "newest": "2026-10-31T23:59:59Z",
        "items": tree,
    } | draft.leaf
    data = draft.write_leaf(leaf)
    pads = [_salt(b"retentiond/pad/v1\0", number.to_bytes(4, "big")) for number in range(draft.accounts - 1)]
    hashes = sorted(map(leaf_hash, [data, *pads]))
    index = hashes.index(leaf_hash(data))
    steps = [step.hex() for step in path(index, hashes)]
    account = {"id": draft.account, "salt": salt.hex(), "leaf": b64(data), "index": index, "path": steps}
    return account, root(hashes)


def _entries(draft: Draft, digest: str) -> list[bytes]:
    over_runs = draft.predicate.get("run") is None
    kinds = {0: "policy", 1: "key", 2: "policy", 7: "anchor"}
    entries = [log_entry(kinds.get(number, "state"), sha256(b"entry %d" % number)) for number in range(draft.size)]
    entries[PLAN] = log_entry("plan", PLAN_DIGEST)
    entries[RECEIPT] = log_entry(draft.kind_line or ("receipt -" if over_runs else f"receipt {PLAN}"), digest)
    for index, data in sorted(draft.further(digest).items()):
        entries[index : index + 1] = [data]
    return entries
