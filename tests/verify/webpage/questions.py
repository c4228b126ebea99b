"""What both verifiers are asked: the tables of the verifier's own tests, the vectors, and changes at random."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.verify import test_history, test_keys, test_log, test_steps, test_vector, test_wellformed
from tests.verify.builder import (
    LOG,
    ORIGIN,
    TRUSTED,
    Draft,
    Sealed,
    entry,
    history,
    listed,
    over_runs,
    partial,
    pem,
    seal,
    tombstone,
    vkey,
    write_log,
)
from tests.verify.webpage.engine import Question
from tests.verify.webpage.rotated import revoked_log_keys, several_keys

VECTORS = Path(__file__).parents[2] / "vectors" / "receipts"
SEALED = seal(Draft())
PINNED = (test_history.PINNED[0],)
RANDOM_CHANGES = 150
HOSTILE: list[Any] = [
    *("", "\0", "\u202e", "\ud800", "' OR 1=1", "<script>", "x" * 1024, "YQ", "YR==", "\u00e9\U0001f600", "__proto__"),
    *(None, True, 0, 1, -1, 1.5, 2**53, 1e30, [], {}, [1], {"a": 1}),
]
SNIPPETS = [
    b"",
    b'"',
    b"\\",
    b"{",
    b"[",
    b",",
    b"\xff",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"0",
    b"-",
    b"1e5",
    b"\x01",
    b"\\u",
]
# Spellings at the edge of what is one.
BASE64 = ["====", "A===", "AA==AA==", "AA=A", "AA==", "AB==", "AAA=", "AAB=", "AAAA", "AAAA====", "AA\u0661="]
NUMBERS = ["0", "00", "9" * 18, "1" + "0" * 18, "9007199254740993", "-0", "1_0", "\u0661", ""]
NAMES = ["\x7f", "\xff", "\u0100", "\uffff", "\U00010000", "it's", "it's \"", "\\", "\t"]
TIMES = [
    *(f"{year}-02-29T00:00:00Z" for year in ("1900", "2000", "2026", "2028", "2100", "0000", "0001")),
    *(f"2026-{month:02}-{day}T00:00:00Z" for month in range(14) for day in (30, 31, 32)),
    *("2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T23:60:00Z"),
    *("2026-01-01T23:59:60Z", "2026-01-01T23:59:59z", "2026-01-01T23:59:59.0Z", "9999-12-31T23:59:59Z"),
]
LINES = ["", "\n", "\n\n", "0", "A", "=", "\r", "\x85", "\u2014", " ", "\ufeff"]


def everything(scratch: Path) -> Iterator[Question]:
    """Every question."""
    yield from _documents()
    yield from _spellings()
    yield from _drafts()
    yield from _contradictions()
    yield from _keys()
    yield from _histories()
    yield from several_keys(scratch)
    yield from revoked_log_keys()
    yield from _logs(scratch)
    yield from _at_random()
    yield from published()


def published() -> Iterator[Question]:
    """The vectors for other implementations."""
    for case in json.loads((VECTORS / "index.json").read_bytes()):
        yield Question(
            case["name"],
            (VECTORS / case["bundle"]).read_bytes().ljust(case.get("padTo", 0)),
            history=(VECTORS / case["history"]).read_bytes() if "history" in case else None,
            log=VECTORS / case["log"] if "log" in case else None,
            keys=tuple((VECTORS / name).read_text(encoding="utf-8") for name in case["keys"]),
            witnesses=tuple((VECTORS / name).read_text(encoding="utf-8") for name in case.get("witnesses", [])),
        )


def _documents() -> Iterator[Question]:
    """Bundles of another shape, or that are none."""
    yield Question("the vector", json.dumps(test_vector.VECTOR["bundle"]).encode(), keys=tuple(test_vector.KEYS))
    for data in test_wellformed.RAW:
        yield Question(repr(data[:40]), data)
    limit = test_wellformed.LIMIT
    yield Question("as long as it may be", SEALED.data.ljust(limit))
    yield Question("too long", SEALED.data.ljust(limit + 1))
    for where in test_wellformed.BUNDLE_MEMBERS:
        yield _changed(f"without {where}", test_wellformed.drop(*where))
    for name, change in (
        *test_wellformed.BUNDLE_CHANGES,
        *test_steps.ACCOUNTS,
        *test_steps.ITEM_CHANGES,
    ):
        yield _changed(name, change)
    for name, old, new in test_wellformed.PROOF_CHANGES:
        proof = SEALED.bundle["tlogProof"].replace(old, new, 1)
        yield Question(name, json.dumps({**SEALED.bundle, "tlogProof": proof}).encode())


def _spellings() -> Iterator[Question]:
    """Base64, numbers, names and times, each where a receipt has one."""
    for text in BASE64:
        yield _changed(f"annex {text}", test_wellformed.put("annex", value=text))
    for length in (70, 78, 79, 80, 81, 200):
        name = json.dumps("x" * length + "\u00e9")
        yield Question(f"a name twice of {length}", f"{{{name}:1,{name}:2}}".encode())
        yield Question(f"a type of {length}", json.dumps({"mediaType": ["\u00e9" + "y" * length, True, None]}).encode())
        yield _changed(
            f"an unknown name of {length}", test_wellformed.put("z" * length, value={"a": ["\u00e9"] * length})
        )
    for text in NUMBERS:
        proof = SEALED.bundle["tlogProof"]
        for changed in (proof.replace("index 280", f"index {text}"), proof.replace("\n600\n", f"\n{text}\n")):
            yield Question(f"number {text}", json.dumps({**SEALED.bundle, "tlogProof": changed}).encode())
    for text in NAMES:
        proof = SEALED.bundle["tlogProof"].replace(f"\n{ORIGIN}\n", f"\n{ORIGIN}{text}\n")
        yield Question(f"name {text}", json.dumps({**SEALED.bundle, "tlogProof": proof}).encode())
        named = Draft()
        named.predicate["notCovered"].append({"what": text, "until": None})
        yield Question(f"what is not covered: {text}", seal(named).data)
    for text in TIMES:
        timed = Draft()
        timed.predicate["issuedAt"] = text
        yield Question(f"time {text}", seal(timed).data)


def _drafts() -> Iterator[Question]:
    """Receipts that the issuer itself signed and logged."""
    for make in (Draft, partial, tombstone, *(lambda kind=kind: over_runs(kind) for kind in test_steps.OVER_RUNS)):
        yield Question("as it should be", seal(make()).data)
    for target, table in (
        ("predicate", test_wellformed.STATEMENT_CHANGES),
        ("annex", test_wellformed.ANNEX_CHANGES),
        ("leaf", test_wellformed.LEAF_CHANGES),
    ):
        for name, change in table:
            draft = Draft()
            change(getattr(draft, target))
            yield Question(name, seal(draft).data)
    for name, write in test_steps.NOT_CANONICAL:
        for target in ("body", "annex", "leaf"):
            draft = Draft()
            draft.predicate["issuer"]["id"] = draft.annex["parts"][0]["store"] = "vendor https://vendor.example"
            setattr(draft, f"write_{target}", write)
            yield Question(f"{target}: {name}", seal(draft).data)
    for name, head in test_wellformed.HEADS:
        yield Question(name, seal(Draft(statement=head)).data)


def _contradictions() -> Iterator[Question]:
    """Receipts that the issuer signed and logged, and that do not agree with themselves, or with the log."""
    for name, make, change in test_steps.STATEMENTS:
        draft = make()
        change(draft.predicate)
        yield Question(name, seal(draft).data)
    for name, draft in (*test_steps.ANNEXES, *test_steps.RIGHT_ANNEXES, *test_steps.LEAVES):
        yield Question(name, seal(deepcopy(draft)).data)
    for name, write in test_steps.NOTES:
        yield Question(name, seal(Draft(write_note=write)).data)
    for name, write in test_steps.COSIGNATURES:
        yield Question(name, seal(test_steps.cosigned(write)).data, witnesses=PINNED)


def _keys() -> Iterator[Question]:
    """Keys that mean nobody, or cannot be used."""
    issuer, log = TRUSTED
    for key in test_keys.SPELLINGS:
        public = Ed25519PublicKey.from_public_bytes(key)
        weak = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        yield Question("a weak issuer", SEALED.data, keys=(weak, log))
        yield Question("a weak log", SEALED.data, keys=(issuer, vkey(ORIGIN, key)))
    for text in (test_keys.PRIVATE, test_keys.P256, test_keys.ED448, issuer + issuer, issuer[:60], "", "{}", log):
        yield Question("an unusable key", SEALED.data, keys=(text, log))
    for text in (test_keys.OTHER_ID, test_keys.HOSTILE, vkey("a b", bytes(32)), f"{ORIGIN}+00000000+====", issuer):
        yield Question("an unusable log key", SEALED.data, keys=(issuer, text))
    for kind in (4, 6):
        yield Question("a key of another type", SEALED.data, keys=(issuer, vkey(ORIGIN, bytes(32), kind)))
    yield Question("one key in both roles", seal(Draft(signers=(LOG,))).data, keys=(pem(LOG), log))
    yield Question("no witness", SEALED.data, witnesses=(log,))
    yield Question("the same witness twice", SEALED.data, witnesses=PINNED * 2)


def _histories() -> Iterator[Question]:
    """Key histories, with and without somebody who saw the receipt in time."""
    for name, given in (*test_history.HISTORIES, *test_history.REFUSED, *test_history.MALFORMED):
        yield Question(name, SEALED.data, history=given)
    revoked = history(listed(revokedAt=test_history.REVOKED))
    for seconds in (1, test_history.REVOKED_SECONDS - 1, test_history.REVOKED_SECONDS, 2**62):
        draft = test_history.witnessed(seconds)
        yield Question(f"seen at {seconds}", seal(draft).data, history=revoked, witnesses=PINNED)


def _logs(scratch: Path) -> Iterator[Question]:
    """Published logs: as they should be, spoiled, and with something else to say of the receipt."""
    runs = seal(over_runs())
    yield _logged("over runs", scratch, runs, runs.entries)
    retracted = test_log.later(runs, entry("retract 12 wrong", "1a" * 32))
    yield _logged("a run was retracted", scratch, runs, retracted)
    witnessed = seal(test_history.witnessed(7))
    yield replace(_logged("not witnessed", scratch, witnessed, witnessed.entries), witnesses=PINNED)
    yield _logged("as it should be", scratch, SEALED, SEALED.entries)
    yield _logged("harmless", scratch, SEALED, test_log.later(SEALED, *test_log.harmless(SEALED), total=1300))
    yield _logged("too short", scratch, SEALED, SEALED.entries[:100])
    many = test_log.later(SEALED, entry(f"retract {10**18} wrong", SEALED.digest), total=4097 * 2)
    yield _logged("thousands of entries", scratch, SEALED, many)
    yield _logged("forked", scratch, SEALED, [b"else", *SEALED.entries[1:]])
    for name, further in test_log.WRONG_ENTRIES:
        sealed = seal(Draft(further=further))
        yield _logged(name, scratch, sealed, sealed.entries)
    for name, data in test_log.retracting(SEALED):
        yield _logged(name, scratch, SEALED, test_log.later(SEALED, data))
    for name, spoil in test_log.SPOILED:
        if "directory" not in name:  # what the system says of these is its own
            asked = _logged(name, scratch, SEALED, SEALED.entries)
            spoil(asked.log)
            yield asked


def _at_random() -> Iterator[Question]:
    """Changes of bytes, lines and values, the same in each run."""
    chance = random.Random(1)
    proof = SEALED.bundle["tlogProof"]
    for number in range(RANDOM_CHANGES):
        start = chance.randrange(len(SEALED.data))
        after = SEALED.data[start + chance.randrange(4) :]
        yield Question(f"bytes {number}", SEALED.data[:start] + chance.choice(SNIPPETS) + after)
        start = chance.randrange(len(proof))
        text = proof[:start] + chance.choice(LINES) + proof[start + chance.randrange(3) :]
        yield Question(f"proof {number}", json.dumps({**SEALED.bundle, "tlogProof": text}).encode())
        draft = Draft()
        draft.write_body = draft.write_annex = draft.write_leaf = _plainly
        target = chance.choice(["predicate", "annex", "leaf"])
        _change_one(getattr(draft, target), chance)
        yield Question(f"signed {number}", seal(draft).data)
        copy = deepcopy(SEALED.bundle)
        _change_one(copy, chance)
        yield Question(f"bundle {number}", json.dumps(copy).encode())


def _plainly(value: object) -> bytes:
    """Write JSON that is canonical for sane values and not well-formed for others."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def _change_one(document: Any, chance: random.Random) -> None:
    """Replace one value somewhere; what `seal` fills in itself stays."""
    places = [
        (holder, name)
        for holder in _containers(document)
        for name in (holder if isinstance(holder, dict) else range(len(holder)))
        if name not in ("account", "items", "accounts", "root")
    ]
    holder, name = chance.choice(places)
    holder[name] = chance.choice(HOSTILE)


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _containers(inner)


def _changed(name: str, change: Any) -> Question:
    bundle = deepcopy(SEALED.bundle)
    change(bundle)
    return Question(name, json.dumps(bundle).encode())


def _logged(name: str, scratch: Path, sealed: Sealed, entries: list[bytes]) -> Question:
    return Question(name, sealed.data, log=write_log(scratch / f"log {name}", entries))
