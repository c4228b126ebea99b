"""What is fuzzed: each parser of the verifier, and what has to hold whatever the bytes are.

A target takes bytes. It may end quietly, or with one of its own refusals; everything else is a finding: another
exception, a reading that another implementation does not share, a changed receipt that is accepted as it stands.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

from retentiond.verify import UsageError, Verdict, Verifier, jcs
from retentiond.verify import formats as shapes
from retentiond.verify.documents import read_history
from retentiond.verify.dsse import pae, require_signature
from retentiond.verify.encoding import from_base64
from retentiond.verify.errors import FailedStepError, LogUnreadableError
from retentiond.verify.keyring import issuer_key, pin, pin_witnesses
from retentiond.verify.note import read_checkpoint, read_key, require_log, witness_times
from retentiond.verify.proof import read_proof
from retentiond.verify.publishedlog import PublishedLog, split_bundle
from retentiond.verify.shape import MisshapenError, Place, Unknown
from retentiond.verify.strictjson import NotStrictError, parse
from tests.vectors.drafts import Draft, seal
from tests.vectors.make import RECEIPTS
from tests.vectors.replay import index

STEPS = {
    *("well-formed", "canonical", "signature", "entry", "inclusion", "checkpoint"),
    *("statement", "annex", "account", "items", "retracted"),
}
_VECTORS = {vector.name: vector for vector in index()}
_PINNED = pin([(RECEIPTS / "keys" / name).read_bytes() for name in ("issuer.pem", "log.vkey")])
_WITNESSES = pin_witnesses([(RECEIPTS / "keys" / "witness-one.vkey").read_bytes()])
_RUN, _HISTORY = _VECTORS["run"].bundle, "history-revoked-seen-before"
_SEEN = _VECTORS[_HISTORY].bundle
_VERIFIER = Verifier(_PINNED)


class FoundError(Exception):
    """Something that must hold does not."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parser: how it is fed, which refusals are its own, and what mutations begin with."""

    feed: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]

    def __call__(self, data: bytes) -> None:
        try:
            self.feed(data)
        except self.refusals:
            return


def _require(holds: object, what: str) -> None:
    if not holds:
        raise FoundError(what)


def meaning(bundle: bytes) -> Any:
    """What a reader takes from a bundle: all but hints, what is unsigned by design, and other spellings of the same."""
    document = json.loads(bundle)
    signatures = {signature["sig"] for signature in document["dsseEnvelope"]["signatures"]}
    proof = document["tlogProof"].partition("\n\n")[2].rpartition("\n\n")[0]
    body = document["dsseEnvelope"]["payload"]
    known = {name: document[name] for name in ("mediaType", "annex")}
    account = document["account"] and {name: document["account"][name] for name in ("id", "salt", "leaf", "index")}
    names = ("dataset", "key", "version", "action", "salt", "index")
    items = [{name: item[name] for name in names} for item in document["items"]]
    return known, body, proof, account, items, bool(signatures)


_MEANT = meaning(_RUN)


def same_or_less(found: Any) -> bool:
    """Say whether an accepted bundle says what the original does, but for parts that anybody may leave out."""
    known, body, proof, account, items, _ = found
    meant_known, meant_body, meant_proof, meant_account, meant_items, _ = _MEANT
    unnamed = meant_account | {"id": None, "salt": None}
    return (
        (body, proof) == (meant_body, meant_proof)
        and known["mediaType"] == meant_known["mediaType"]
        and known["annex"] in (None, meant_known["annex"])
        and account in (None, meant_account, unnamed)
        and all(item in meant_items for item in items)
    )


def _bundle(data: bytes) -> None:
    found = _VERIFIER.verify(data)
    require_verdict(found)
    if found.valid:
        _require(same_or_less(meaning(data)), "a bundle is accepted that says something else")


def require_verdict(found: Verdict) -> None:
    if found.valid:
        _require(found.step is None and found.reason is None, "a valid receipt with a step that failed")
        _require(found.outcome in {"complete", "partial"}, "a valid receipt without an outcome")
    else:
        _require(
            found.step in STEPS and found.reason and found.outcome == "invalid", "a refusal without step or reason"
        )


def _json(data: bytes) -> None:
    value = parse(data)
    _require(value == json.loads(data), "another reading than the standard library's")
    _require(parse(jcs.canonical(value)) == value, "the canonical form is read as something else")
    _require_plain(value, 64)


def _require_plain(value: Any, brackets: int) -> None:
    """Numbers are integers, texts have no lone surrogate, and so many brackets may be open."""
    _require(not isinstance(value, float), "a number that is no integer")
    _require(not isinstance(value, str) or value == value.encode("utf-8", "replace").decode(), "a lone surrogate")
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    _require(brackets or not isinstance(value, (dict, list)), "more brackets are open than may be")
    for each in inner:
        _require_plain(each, brackets - 1)


def _jcs(data: bytes) -> None:
    value = parse(data)
    _require(jcs.canonical(value) == rfc8785.dumps(value), "another canonical form than rfc8785's")


def _envelope(data: bytes) -> None:
    envelope = parse(data)
    shapes.envelope(shapes.STATEMENT_MEDIA_TYPE)(envelope, Place("envelope", Unknown()))
    body = from_base64(envelope["payload"])
    require_signature(envelope, pae(envelope["payloadType"], body), _PINNED.issuers, "issuer")
    _require(envelope["payload"] == json.loads(_RUN)["dsseEnvelope"]["payload"], "a signature for another statement")


def _note(data: bytes) -> None:
    checkpoint = read_checkpoint(data.decode())
    times = [witness_times(checkpoint, witness) for witness in _WITNESSES]
    require_log(checkpoint, _PINNED.logs)
    _require(checkpoint.body in (_note_of(_RUN)[0], _note_of(_SEEN)[0]), "a signature for another checkpoint")
    _require(all(time == 1_795_491_000 for found in times for time in found), "a cosignature of another time")


def _note_of(bundle: bytes) -> tuple[str, str]:
    """The body of a bundle's checkpoint, and the whole note."""
    note = json.loads(bundle)["tlogProof"].partition("\n\n")[2]
    return note.rpartition("\n\n")[0] + "\n", note


def _proof(data: bytes) -> None:
    proof = read_proof(data.decode())
    _require(0 <= proof.index < 10**18 and all(len(step) == 32 for step in proof.path), "an impossible proof")
    found = _VERIFIER.verify(json.dumps(json.loads(_RUN) | {"tlogProof": data.decode()}).encode())
    require_verdict(found)
    if found.valid:
        _require(proof.index == 6 and proof.checkpoint.body == _note_of(_RUN)[0], "another proof is accepted")


def _history(data: bytes) -> None:
    read_history(data)
    found = Verifier(_PINNED, None, data, _WITNESSES).verify(_SEEN)
    require_verdict(found)
    if found.valid:
        payloads = [json.loads(seed)["payload"] for seed in TARGETS["history"].seeds]
        _require(json.loads(data)["payload"] in payloads, "a history is accepted that the log did not sign")


def _entries(data: bytes) -> None:
    log = PublishedLog()
    entries = split_bundle(data, "entries")
    for entry in entries:
        log.add(entry)
    _require(
        b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries) == data, "entries that are not the bytes"
    )
    _require(log.tree.size == len(entries) and log.tree.root(len(entries)), "entries without a tree")


def _keys(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for read in (issuer_key, read_key):
        try:
            found = read(text)
        except ValueError:
            continue
        _require(len(found if isinstance(found, bytes) else found.key) == 32, "a key that is not 32 bytes")
    for given in ([data], [data, (RECEIPTS / "keys" / "log.vkey").read_bytes()]):
        pin(given)


def _files(pattern: str) -> Iterable[bytes]:
    return (path.read_bytes() for path in sorted(RECEIPTS.glob(pattern)))


def _decoded(bundle: bytes) -> tuple[bytes, ...]:
    document = json.loads(bundle)
    parts = (document["dsseEnvelope"]["payload"], document["annex"], document["account"]["leaf"])
    return tuple(map(base64.b64decode, parts))


def _signed(document: str) -> Callable[[bytes], None]:
    """Give a target that signs and logs what it is fed, as an insider with every key could: later steps are reached."""

    def feed(data: bytes) -> None:
        draft = Draft(**{f"write_{document}": lambda _: data})
        found = _VERIFIER.verify(json.dumps(seal(draft).bundle).encode())
        require_verdict(found)
        if found.valid:
            _require(jcs.canonical(json.loads(data)) == data, "something is accepted that is not canonical")

    return feed


_INSIDE = _decoded(_RUN)
_JSON_SEEDS = (
    *_INSIDE,
    _VECTORS["unknown-members"].bundle,
    b'{"\\ud83d\\ude00":[1,{"a":null}],"\xc3\xa9":"\\u0000"}',
)
TARGETS: Mapping[str, Target] = {
    "json": Target(_json, (NotStrictError,), _JSON_SEEDS),
    "jcs": Target(_jcs, (NotStrictError,), _JSON_SEEDS),
    "envelope": Target(
        _envelope,
        (NotStrictError, MisshapenError, FailedStepError),
        (json.dumps(json.loads(_RUN)["dsseEnvelope"]).encode(),),
    ),
    "note": Target(_note, (ValueError, FailedStepError), (_note_of(_RUN)[1].encode(), _note_of(_SEEN)[1].encode())),
    "proof": Target(_proof, (ValueError,), (json.loads(_RUN)["tlogProof"].encode(),)),
    "bundle": Target(_bundle, (), (_RUN,)),
    **{name: Target(_signed(name), (), (data,)) for name, data in zip(("body", "annex", "leaf"), _INSIDE, strict=True)},
    "history": Target(_history, (FailedStepError,), tuple(_files("histories/history-[rv]*.json"))),
    "entries": Target(_entries, (LogUnreadableError,), tuple(_files("logs/retracted-*/tile/entries/*.p/*"))),
    "keys": Target(_keys, (UsageError,), tuple(_files("keys/*"))),
}
