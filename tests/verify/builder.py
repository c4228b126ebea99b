"""Makes receipts, logs and key histories by itself: it shares no code with what the program writes or verifies."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ORIGIN = "log.example/receipts"
WITNESS = "witness.example/w1"
IN_TOTO = "application/vnd.in-toto+json"
KEYS = "application/vnd.retentiond.keys.v1+json"
SALT = "aa" * 32
PLAN_INDEX, RECEIPT_INDEX, TREE_SIZE = 270, 280, 600
ACTIONS = {"purge": 1, "tombstone": 2, "redact": 3, "pseudonymise": 4, "keyDestroyed": 5, "alreadyGone": 6}
PLAN_SHA256 = "0c" * 32


def key(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())


ISSUER, LOG, WITNESS_1, WITNESS_2, STRANGER = map(key, ("issuer", "log", "witness 1", "witness 2", "stranger"))


def raw(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def pem(private: Ed25519PrivateKey) -> str:
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def key_id(name: str, kind: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def vkey(name: str, public: bytes, kind: int = 1) -> str:
    return f"{name}+{key_id(name, kind, public).hex()}+{b64(bytes([kind]) + public)}"


TRUSTED = (pem(ISSUER), vkey(ORIGIN, raw(LOG)))


def pae(kind: str, body: bytes) -> bytes:
    return f"DSSEv1 {len(kind)} {kind} {len(body)} ".encode() + body


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\0" + data).digest()


def mth(hashes: Sequence[bytes]) -> bytes:
    """The definition of RFC 9162, section 2.1.1, over leaf hashes."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256().digest()
    split = 1 << ((len(hashes) - 1).bit_length() - 1)
    return hashlib.sha256(b"\1" + mth(hashes[:split]) + mth(hashes[split:])).digest()


def path(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    """The definition of RFC 9162, section 2.1.3.1."""
    if len(hashes) < 2:
        return []
    split = 1 << ((len(hashes) - 1).bit_length() - 1)
    if index < split:
        return [*path(index, hashes[:split]), mth(hashes[split:])]
    return [*path(index - split, hashes[split:]), mth(hashes[:split])]


def entry(kind_line: str, digest: str) -> bytes:
    return f"retentiond/log-entry/v1\n{kind_line}\nsha256:{digest}\n".encode()


def sign_note(body: str, *, signer: Ed25519PrivateKey = LOG, name: str = ORIGIN) -> str:
    blob = key_id(name, 1, raw(signer)) + signer.sign(body.encode())
    return f"— {name} {b64(blob)}\n"


def cosign(body: str, seconds: int, *, signer: Ed25519PrivateKey = WITNESS_1, name: str = WITNESS) -> str:
    signature = signer.sign(f"cosignature/v1\ntime {seconds}\n{body}".encode())
    blob = key_id(name, 4, raw(signer)) + seconds.to_bytes(8, "big") + signature
    return f"— {name} {b64(blob)}\n"


def checkpoint_body(entries: Sequence[bytes], origin: str = ORIGIN) -> str:
    return f"{origin}\n{len(entries)}\n{b64(mth([leaf_hash(e) for e in entries]))}\n"


def envelope(kind: str, body: bytes, *signers: Ed25519PrivateKey) -> dict[str, Any]:
    signatures = [{"keyid": "hint", "sig": b64(signer.sign(pae(kind, body)))} for signer in signers]
    return {"payload": b64(body), "payloadType": kind, "signatures": signatures}


PREDICATE: dict[str, Any] = {
    "kind": "run",
    "receiptId": "019aab3e-0000-7c55-9a53-0d3ff3a1c001",
    "issuedAt": "2026-11-24T03:10:37Z",
    "issuer": {"id": "https://vendor.example/", "instance": "t", "software": {"name": "retentiond", "version": "1"}},
    "run": {
        "id": "run-1",
        "trigger": "schedule",
        "referenceTime": "2026-11-24T02:00:00Z",
        "startedAt": "2026-11-24T02:00:01Z",
        "finishedAt": "2026-11-24T02:41:12Z",
        "planEntry": {"index": PLAN_INDEX, "sha256": PLAN_SHA256},
        "approvals": None,
    },
    "policies": [{"id": "request-content", "sha256": "ef" * 32}],
    "outcome": "complete",
    "evidence": "deleted",
    "accounts": {"tree": "rfc9162-sha256", "size": 16, "root": ""},
    "notCovered": [{"what": "backup", "until": "2026-12-29T00:00:00Z"}, {"what": "write-ahead log", "until": None}],
}
PART: dict[str, Any] = {
    "dataset": "requests",
    "store": "requests-db",
    "kind": "sqlite",
    "policy": "request-content",
    "rule": 3,
    "action": "purge",
    "keep": "P23D",
    "clock": "created_at",
    "cutoff": "2026-11-01T02:00:00Z",
    "examined": None,
    "due": 4,
    "outcomes": {
        "purged": 2,
        "tombstoned": 0,
        "redacted": 0,
        "pseudonymised": 0,
        "keyDestroyed": 0,
        "alreadyGone": 1,
        "changed": 0,
        "held": 1,
        "refused": 0,
        "carriedOver": 0,
    },
    "bytes": 1820331,
    "evidence": "deleted",
    "verifiedBy": "select-by-key",
    "verifiedAs": "separate role",
    "verifiedAt": "2026-11-24T02:41:02Z",
    "position": None,
    "tombstonedBetween": None,
}
ANNEX: dict[str, Any] = {
    "annex": "retentiond/annex/v1",
    "nonce": "25" * 32,
    "parts": [PART],
    "carriedOver": [],
    "residue": {"result": "clean", "method": "rescan", "checkedAt": "2026-11-24T02:41:02Z", "found": 0},
    "notCovered": [{"what": "write-ahead log", "store": "requests-db", "reason": "recycled later", "until": None}],
    "held": [{"matterCommitment": "56" * 32, "count": 1}],
    "singleOperator": False,
}
# Identifiers as nobody would choose them.
ACCOUNT_ID = "acct-\u202e' OR 1=1 --\n\0<script>\U0001f600/../%2e__proto__"
ITEMS: list[dict[str, Any]] = [
    {"dataset": "requests", "key": b"42", "version": b"", "action": "purge"},
    {"dataset": 'payl"oads\u202e', "key": b"k" * 1024, "version": b"v\0\n'", "action": "purge"},
    {"dataset": "__proto__", "key": b"../%2e\xff", "version": b"", "action": "alreadyGone"},
]
LEAF: dict[str, Any] = {
    "account": "",
    "records": 3,
    "bytes": 3000,
    "actions": {
        "purged": 2,
        "tombstoned": 0,
        "redacted": 0,
        "pseudonymised": 0,
        "keyDestroyed": 0,
        "alreadyGone": 1,
    },
    "retained": 1,
    "oldest": "2026-10-01T00:00:00Z",
    "newest": "2026-10-31T23:59:59Z",
    "items": {},
}


@dataclass
class Draft:
    """A receipt that has not been signed yet: change it, then `seal` it."""

    predicate: dict[str, Any] = field(default_factory=lambda: deepcopy(PREDICATE))
    annex: dict[str, Any] = field(default_factory=lambda: deepcopy(ANNEX))
    leaf: dict[str, Any] = field(default_factory=lambda: deepcopy(LEAF))
    items: list[dict[str, Any]] = field(default_factory=lambda: deepcopy(ITEMS))
    statement: dict[str, Any] = field(default_factory=dict)  # what replaces or joins the statement's own members
    account_id: str = ACCOUNT_ID
    write_body: Callable[[Any], bytes] = rfc8785.dumps
    write_annex: Callable[[Any], bytes] = rfc8785.dumps
    write_leaf: Callable[[Any], bytes] = rfc8785.dumps
    payload_type: str = IN_TOTO
    signers: tuple[Ed25519PrivateKey, ...] = (ISSUER,)
    kind_line: str | None = None
    receipt_index: int = RECEIPT_INDEX
    further: dict[int, bytes] = field(default_factory=dict)  # log entries by index
    write_note: Callable[[str], str] = lambda body: f"{body}\n{sign_note(body)}"


@dataclass
class Sealed:
    """A bundle (as a dict, still to be changed at will) and the log that it stands in."""

    bundle: dict[str, Any]
    entries: list[bytes]
    digest: str

    @property
    def data(self) -> bytes:
        return json.dumps(self.bundle).encode()


def over_runs(kind: str = "closure") -> Draft:
    draft = Draft()
    runs: list[Any] = [[12, "1a" * 32], [40, "2b" * 32]]
    draft.predicate |= {"kind": kind, "run": None, "runs": {"count": 2, "sha256": sha256(rfc8785.dumps(runs))}}
    draft.annex = {"annex": "retentiond/annex/v1", "nonce": "25" * 32, "runs": runs}
    return draft


def partial() -> Draft:
    draft = Draft()
    draft.annex["parts"][0]["outcomes"] |= {"purged": 1, "carriedOver": 1}
    draft.annex["carriedOver"] = [{"dataset": "requests", "reason": "object-lock", "count": 1, "until": None}]
    draft.predicate["outcome"] = "partial"
    return draft


def tombstone() -> Draft:
    draft = Draft()
    draft.predicate |= {"kind": "tombstone", "evidence": "hidden"}
    draft.annex["parts"][0] |= {"action": "tombstone", "evidence": "hidden"}
    draft.annex["parts"][0]["outcomes"] |= {"purged": 0, "tombstoned": 2}
    draft.annex["residue"] = None
    return draft


def item_leaf(item: dict[str, Any], salt: bytes) -> bytes:
    fields = (item["dataset"].encode(), item["key"], item["version"])
    name = b"".join(len(part).to_bytes(4, "big") + part for part in fields)
    digest = hashlib.sha256(b"retentiond/item/v1\0" + salt + name).digest()
    return digest + bytes([ACTIONS[item["action"]]])


def _disclose_items(items: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    salted = [(item, hashlib.sha256(b"salt %d" % number).digest()) for number, item in enumerate(items)]
    hashes = sorted(leaf_hash(item_leaf(item, salt)) for item, salt in salted)
    disclosed = []
    for item, salt in salted:
        index = hashes.index(leaf_hash(item_leaf(item, salt)))
        where = {"salt": salt.hex(), "index": index, "path": [step.hex() for step in path(index, hashes)]}
        plain = {"key": b64(item["key"]), "version": b64(item["version"])}
        disclosed.append({**item, **plain, **where})
    return {"size": len(items), "root": mth(hashes).hex()}, disclosed


def _disclose_account(draft: Draft) -> tuple[dict[str, Any], str]:
    commitment = sha256(b"retentiond/account/v1\0" + bytes.fromhex(SALT) + draft.account_id.encode())
    draft.leaf["account"] = draft.leaf["account"] or commitment
    leaf = draft.write_leaf(draft.leaf)
    hashes = sorted([leaf_hash(leaf), *(leaf_hash(b"pad %d" % number) for number in range(15))])
    index = hashes.index(leaf_hash(leaf))
    steps = [step.hex() for step in path(index, hashes)]
    account = {"id": draft.account_id, "salt": SALT, "leaf": b64(leaf), "index": index, "path": steps}
    return account, mth(hashes).hex()


def seal(draft: Draft) -> Sealed:
    tree, items = _disclose_items(draft.items)
    draft.leaf["items"] = {**tree, **draft.leaf["items"]}
    account, root = _disclose_account(draft)
    accounts = draft.predicate.get("accounts", {})
    if accounts.get("root") == "":
        accounts["root"] = root
    annex = draft.write_annex(draft.annex)
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "annex", "digest": {"sha256": sha256(annex)}}],
        "predicateType": "urn:retentiond:deletion-receipt:v1",
        "predicate": draft.predicate,
        **draft.statement,
    }
    body = draft.write_body(statement)
    digest = sha256(pae(draft.payload_type, body))
    kind_line = draft.kind_line or ("receipt -" if draft.predicate.get("run") is None else f"receipt {PLAN_INDEX}")
    entries = [entry("state", sha256(b"%d" % number)) for number in range(TREE_SIZE)]
    entries[PLAN_INDEX] = entry("plan", PLAN_SHA256)
    entries[draft.receipt_index] = entry(kind_line, digest)
    for index, data in draft.further.items():
        entries[index] = data
    bundle = {
        "mediaType": "application/vnd.retentiond.receipt-bundle.v1+json",
        "dsseEnvelope": envelope(draft.payload_type, body, *draft.signers),
        "tlogProof": log_proof(entries, draft.receipt_index, draft.write_note),
        "annex": b64(annex),
        "account": account,
        "items": items,
        "keys": {},
    }
    return Sealed(bundle, entries, digest)


def log_proof(entries: Sequence[bytes], index: int, write_note: Callable[[str], str]) -> str:
    hashes = [leaf_hash(data) for data in entries]
    steps = "".join(f"{b64(step)}\n" for step in path(index, hashes))
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{steps}\n{write_note(checkpoint_body(entries))}"


def write_log(directory: Path, entries: Sequence[bytes], write_note: Callable[[str], str] | None = None) -> Path:
    """Publish entries as c2sp.org/tlog-tiles asks (the entry bundles, which is all that a rebuilding reader reads)."""
    body = checkpoint_body(entries)
    for start in range(0, len(entries), 256):
        chunk = entries[start : start + 256]
        name = f"{start // 256:03d}" + ("" if len(chunk) == 256 else f".p/{len(chunk)}")
        target = directory / "tile" / "entries" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"".join(len(data).to_bytes(2, "big") + data for data in chunk))
    note = write_note(body) if write_note else f"{body}\n{sign_note(body)}"
    (directory / "checkpoint").write_text(note, encoding="utf-8")
    return directory


def history(*keys: dict[str, Any], signer: Ed25519PrivateKey = LOG, kind: str = KEYS) -> bytes:
    return json.dumps(envelope(kind, rfc8785.dumps({"keys": list(keys)}), signer)).encode()


def listed(private: Ed25519PrivateKey = ISSUER, **changes: Any) -> dict[str, Any]:
    times = {"validFrom": "2026-01-01T00:00:00Z", "validUntil": None, "revokedAt": None, "reason": None}
    return {"role": "issuer", "key": pem(private), **times, **changes}
