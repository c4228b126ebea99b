"""Step 1: what may not even be looked at further. Every case is signed and logged where it can be."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import rfc8785

from retentiond.verify import verify

from .builder import STRANGER, TRUSTED, Draft, Sealed, b64, over_runs, seal
from .changes import Change, cases, drop, put

LIMIT = 16 * 1024 * 1024


def verdict_step(sealed: Sealed) -> str | None:
    return verify(sealed.data, TRUSTED).step


BUNDLE_MEMBERS = [
    ("mediaType",),
    ("dsseEnvelope",),
    ("dsseEnvelope", "payload"),
    ("dsseEnvelope", "payloadType"),
    ("dsseEnvelope", "signatures"),
    ("dsseEnvelope", "signatures", 0, "sig"),
    ("tlogProof",),
    ("annex",),
    ("account",),
    ("account", "id"),
    ("account", "salt"),
    ("account", "leaf"),
    ("account", "index"),
    ("account", "path"),
    ("items",),
    ("items", 1, "dataset"),
    ("items", 1, "key"),
    ("items", 1, "version"),
    ("items", 1, "action"),
    ("items", 1, "salt"),
    ("items", 1, "index"),
    ("items", 1, "path"),
    ("keys",),
]


@pytest.mark.parametrize("where", BUNDLE_MEMBERS, ids=str)
def test_each_member_of_the_bundle_has_to_be_there(where: tuple[Any, ...]) -> None:
    sealed = seal(Draft())
    drop(*where)(sealed.bundle)
    assert verdict_step(sealed) == "well-formed"


BUNDLE_CHANGES = [
    ("media type of version 2", put("mediaType", value="application/vnd.retentiond.receipt-bundle.v2+json")),
    ("media type in capitals", put("mediaType", value="APPLICATION/vnd.retentiond.receipt-bundle.v1+json")),
    ("another payload type", put("dsseEnvelope", "payloadType", value="text/plain")),
    (
        "the key history's payload type",
        put("dsseEnvelope", "payloadType", value="application/vnd.retentiond.keys.v1+json"),
    ),
    ("envelope is a list", put("dsseEnvelope", value=[])),
    ("signatures are an object", put("dsseEnvelope", "signatures", value={})),
    ("signature is no object", put("dsseEnvelope", "signatures", 0, value="x")),
    ("signature is not base64", put("dsseEnvelope", "signatures", 0, "sig", value="%%%%")),
    ("signature is base64url", put("dsseEnvelope", "signatures", 0, "sig", value="-_-_")),
    ("keyid is a number", put("dsseEnvelope", "signatures", 0, "keyid", value=1)),
    ("payload without padding", put("dsseEnvelope", "payload", value="YQ")),
    ("payload with line break", put("dsseEnvelope", "payload", value="YQ==\n")),
    ("payload with pad bits", put("dsseEnvelope", "payload", value="YR==")),
    ("payload is a number", put("dsseEnvelope", "payload", value=1)),
    ("payload is not ASCII", put("dsseEnvelope", "payload", value="YQ==é")),
    ("annex is an object", put("annex", value={})),
    ("annex with pad bits", put("annex", value="e31=")),
    ("annex is not JSON", put("annex", value=b64(b"{"))),
    ("annex is a list", put("annex", value=b64(b"[]"))),
    ("annex with a byte order mark", put("annex", value=b64(b"\xef\xbb\xbf{}"))),
    ("account is a list", put("account", value=[])),
    ("account id is a number", put("account", "id", value=7)),
    ("account salt of 31 bytes", put("account", "salt", value="aa" * 31)),
    ("account salt of 33 bytes", put("account", "salt", value="aa" * 33)),
    ("account salt in capitals", put("account", "salt", value="AA" * 32)),
    ("leaf is not JSON", put("account", "leaf", value=b64(b"\xff"))),
    ("leaf is a number", put("account", "leaf", value=b64(b"1"))),
    ("account index is negative", put("account", "index", value=-1)),
    ("account index is a text", put("account", "index", value="0")),
    ("account index is true", put("account", "index", value=True)),
    ("account path is null", put("account", "path", value=None)),
    ("account path hash in capitals", put("account", "path", 0, value="AB" * 32)),
    ("account path hash too short", put("account", "path", 0, value="ab" * 31)),
    ("account path hash with a newline", put("account", "path", 0, value="ab" * 32 + "\n")),
    ("items are null", put("items", value=None)),
    ("item is a text", put("items", 0, value="x")),
    ("item action unknown", put("items", 0, "action", value="shred")),
    ("item action in capitals", put("items", 0, "action", value="Purge")),
    ("item action is a list", put("items", 0, "action", value=["purge"])),
    ("item dataset is null", put("items", 0, "dataset", value=None)),
    ("item key is plain text", put("items", 0, "key", value="a b")),
    ("item version is null", put("items", 0, "version", value=None)),
    ("item salt null", put("items", 0, "salt", value=None)),
    ("item salt of 16 bytes", put("items", 0, "salt", value="aa" * 16)),
    ("item path hash not hex", put("items", 0, "path", 0, value="zz" * 32)),
    ("item index too large", put("items", 0, "index", value=2**53)),
    ("keys is a list", put("keys", value=[])),
    ("proof is null", put("tlogProof", value=None)),
    ("proof is empty", put("tlogProof", value="")),
    ("a fraction in an unknown member", put("colour", value=1.5)),
    ("a negative number in an unknown member", put("colour", value=-1)),
    ("a number beyond 2^53 - 1 in an unknown member", put("colour", value=2**53)),
    ("a lone surrogate in an unknown member", put("colour", value="\ud800")),
    ("a lone surrogate in a name", put("\udfff", value=1)),
]


@pytest.mark.parametrize("change", cases(BUNDLE_CHANGES))
def test_a_bundle_of_another_shape_is_refused(change: Change) -> None:
    sealed = seal(Draft())
    change(sealed.bundle)
    assert verdict_step(sealed) == "well-formed"


PROOF_CHANGES = [
    ("another version", "tlog-proof@v1", "tlog-proof@v2"),
    ("no index line", "index 280\n", ""),
    ("the index without its word", "index 280\n", "280\n"),
    ("nothing after the first line", "@v1\n", "@v1\n\n"),
    ("index with a leading zero", "index 280", "index 0280"),
    ("negative index", "index 280", "index -1"),
    ("index in other digits", "index 280", "index \u0662\u0668\u0660"),
    ("index of a million digits", "index 280", "index " + "9" * 1_000_000),
    ("hash that is not base64", "index 280\n", "index 280\n!\n"),
    ("hash of 3 bytes", "index 280\n", "index 280\nYWJj\n"),
    ("extra line that is not base64", "index 280", "extra ???\nindex 280"),
    ("carriage returns", "index 280\n", "index 280\r\n"),
    ("tree size with a leading zero", "\n600\n", "\n0600\n"),
    ("tree size that is no number", "\n600\n", "\nmany\n"),
    ("root hash of 3 bytes", "\n600\n", "\n600\nYWJj\n"),
    ("no checkpoint", "\n\nlog.example", "\nlog.example"),
    ("control character in a signer's name", "\n\u2014 ", "\n\u2014 a\x07b AAAAAAA=\n\u2014 "),
    ("carriage return in the checkpoint", "=\n\n\u2014", "=\r\n\n\u2014"),
]


@pytest.mark.parametrize(("old", "new"), cases(PROOF_CHANGES))
def test_a_proof_of_another_shape_is_refused(old: str, new: str) -> None:
    sealed = seal(Draft())
    assert old in sealed.bundle["tlogProof"]
    sealed.bundle["tlogProof"] = sealed.bundle["tlogProof"].replace(old, new, 1)
    assert verdict_step(sealed) == "well-formed"


def test_the_extra_line_of_a_proof_is_accepted() -> None:
    sealed = seal(Draft())
    sealed.bundle["tlogProof"] = sealed.bundle["tlogProof"].replace("index", "extra aGk=\nindex", 1)
    assert verify(sealed.data, TRUSTED).valid


STATEMENT_MEMBERS = [
    ("kind",),
    ("receiptId",),
    ("issuedAt",),
    ("issuer",),
    ("issuer", "id"),
    ("issuer", "instance"),
    ("issuer", "software"),
    ("issuer", "software", "name"),
    ("issuer", "software", "version"),
    ("run",),
    ("run", "id"),
    ("run", "trigger"),
    ("run", "referenceTime"),
    ("run", "startedAt"),
    ("run", "finishedAt"),
    ("run", "planEntry"),
    ("run", "planEntry", "index"),
    ("run", "planEntry", "sha256"),
    ("run", "approvals"),
    ("policies",),
    ("policies", 0, "id"),
    ("policies", 0, "sha256"),
    ("outcome",),
    ("evidence",),
    ("accounts",),
    ("accounts", "tree"),
    ("accounts", "size"),
    ("accounts", "root"),
    ("notCovered",),
    ("notCovered", 0, "what"),
    ("notCovered", 0, "until"),
]


@pytest.mark.parametrize("where", STATEMENT_MEMBERS, ids=str)
def test_each_member_of_the_statement_has_to_be_there(where: tuple[Any, ...]) -> None:
    draft = Draft()
    drop(*where)(draft.predicate)
    assert verdict_step(seal(draft)) == "well-formed"


STATEMENT_CHANGES = [
    ("unknown kind", put("kind", value="shredding")),
    ("kind is null", put("kind", value=None)),
    ("kind is a list", put("kind", value=["run"])),
    ("unknown outcome", put("outcome", value="done")),
    ("unknown evidence", put("evidence", value="certain")),
    ("unknown tree", put("accounts", "tree", value="rfc6962-sha256")),
    ("accounts tree of 8", put("accounts", "size", value=8)),
    ("accounts tree of 24", put("accounts", "size", value=24)),
    ("accounts tree of 0", put("accounts", "size", value=0)),
    ("accounts tree of true", put("accounts", "size", value=True)),
    ("accounts tree as text", put("accounts", "size", value="16")),
    ("accounts root in capitals", put("accounts", "root", value="AB" * 32)),
    ("receiptId is a number", put("receiptId", value=7)),
    ("issuedAt with an offset", put("issuedAt", value="2026-11-24T03:10:37+00:00")),
    ("issuedAt with a fraction", put("issuedAt", value="2026-11-24T03:10:37.0Z")),
    ("issuedAt with small letters", put("issuedAt", value="2026-11-24t03:10:37z")),
    ("issuedAt with a space", put("issuedAt", value="2026-11-24 03:10:37Z")),
    ("issuedAt at second 60", put("issuedAt", value="2026-12-31T23:59:60Z")),
    ("issuedAt at hour 24", put("issuedAt", value="2026-11-24T24:00:00Z")),
    ("issuedAt on 30 February", put("issuedAt", value="2026-02-30T00:00:00Z")),
    ("issuedAt on 29 February of a common year", put("issuedAt", value="2026-02-29T00:00:00Z")),
    ("issuedAt in other digits", put("issuedAt", value="٢٠٢٦-11-24T03:10:37Z")),
    ("issuedAt with a newline", put("issuedAt", value="2026-11-24T03:10:37Z\n")),
    ("issuedAt is null", put("issuedAt", value=None)),
    ("startedAt is no time", put("run", "startedAt", value="yesterday")),
    ("finishedAt is no time", put("run", "finishedAt", value="")),
    ("referenceTime is no time", put("run", "referenceTime", value="2026-13-01T00:00:00Z")),
    ("until is no time", put("notCovered", 0, "until", value="2026-12-29")),
    ("purgeDue is no time", put("purgeDue", value="soon")),
    ("run is null for a run", put("run", value=None)),
    ("plan index as text", put("run", "planEntry", "index", value="270")),
    ("plan digest too short", put("run", "planEntry", "sha256", value="0c")),
    ("approvals without digest", put("run", "approvals", value={})),
    ("policy digest in capitals", put("policies", 0, "sha256", value="EF" * 32)),
    ("policies are an object", put("policies", value={})),
    ("issuer is a text", put("issuer", value="vendor")),
]


@pytest.mark.parametrize("change", cases(STATEMENT_CHANGES))
def test_a_signed_and_logged_statement_of_another_shape_is_refused(change: Change) -> None:
    draft = Draft()
    change(draft.predicate)
    assert verdict_step(seal(draft)) == "well-formed"


HEADS: list[tuple[str, dict[str, Any]]] = [
    ("another _type", {"_type": "https://in-toto.io/Statement/v0.1"}),
    ("another predicate type", {"predicateType": "urn:retentiond:plan:v1"}),
    ("no subject", {"subject": []}),
    ("subject is null", {"subject": None}),
    ("two subjects", {"subject": [{"name": "annex", "digest": {"sha256": "00" * 32}}] * 2}),
    ("subject of another name", {"subject": [{"name": "Annex", "digest": {"sha256": "00" * 32}}]}),
    ("subject without sha256", {"subject": [{"name": "annex", "digest": {"sha512": "00" * 64}}]}),
    ("subject with a short sha256", {"subject": [{"name": "annex", "digest": {"sha256": "00" * 31}}]}),
    ("subject in capitals", {"subject": [{"name": "annex", "digest": {"sha256": "AB" * 32}}]}),
    ("predicate is a list", {"predicate": []}),
]


@pytest.mark.parametrize("head", cases(HEADS))
def test_a_statement_with_another_head_is_refused(head: dict[str, Any]) -> None:
    draft = Draft()
    draft.statement = head
    assert verdict_step(seal(draft)) == "well-formed"


@pytest.mark.parametrize("kind", ["closure", "erasure", "attestation", "hold-notice"])
@pytest.mark.parametrize("where", [("run",), ("runs",), ("runs", "count"), ("runs", "sha256")], ids=str)
def test_over_runs_run_and_runs_have_to_be_there(kind: str, where: tuple[str, ...]) -> None:
    draft = over_runs(kind)
    drop(*where)(draft.predicate)
    assert verdict_step(seal(draft)) == "well-formed"


def padded_to(size: int) -> Draft:
    """A receipt whose statement has exactly this many bytes."""
    draft = Draft()
    draft.predicate["filler"] = ""
    lacking = size - len(rfc8785.dumps(json.loads(_body(seal(draft)))))
    draft.predicate["filler"] = "x" * lacking
    draft.predicate["accounts"]["root"] = ""
    return draft


def _body(sealed: Sealed) -> bytes:
    return base64.b64decode(sealed.bundle["dsseEnvelope"]["payload"])


def test_a_statement_of_3499_bytes_passes_and_one_of_3500_does_not() -> None:
    below, at = seal(padded_to(3_499)), seal(padded_to(3_500))
    assert (len(_body(below)), len(_body(at))) == (3_499, 3_500)
    assert verify(below.data, TRUSTED).valid
    assert verdict_step(at) == "well-formed"


ANNEX_MEMBERS = [
    ("annex",),
    ("nonce",),
    ("parts",),
    ("carriedOver",),
    ("residue",),
    ("residue", "result"),
    ("residue", "method"),
    ("residue", "checkedAt"),
    ("residue", "found"),
    ("notCovered",),
    ("notCovered", 0, "reason"),
    ("held",),
    ("held", 0, "count"),
    ("singleOperator",),
    *(("parts", 0, name) for name in Draft().annex["parts"][0]),
]


@pytest.mark.parametrize("where", ANNEX_MEMBERS, ids=str)
def test_each_member_of_the_annex_has_to_be_there(where: tuple[Any, ...]) -> None:
    draft = Draft()
    drop(*where)(draft.annex)
    assert verdict_step(seal(draft)) == "well-formed"


ANNEX_CHANGES = [
    ("another version", put("annex", value="retentiond/annex/v2")),
    ("short nonce", put("nonce", value="25")),
    ("due as text", put("parts", 0, "due", value="4")),
    ("an outcome as text", put("parts", 0, "outcomes", "purged", value="2")),
    ("outcomes as a list", put("parts", 0, "outcomes", value=[])),
    ("unknown evidence", put("parts", 0, "evidence", value="sure")),
    ("cutoff is no time", put("parts", 0, "cutoff", value="2026")),
    ("a part's purgeDue is no time", put("parts", 0, "purgeDue", value="2026")),
    ("singleOperator is null", put("singleOperator", value=None)),
    ("singleOperator is 0", put("singleOperator", value=0)),
    ("matter in plain words", put("held", 0, "matterCommitment", value="Smith v. Jones")),
    ("checkedAt is no time", put("residue", "checkedAt", value="now")),
]


@pytest.mark.parametrize("change", cases(ANNEX_CHANGES))
def test_a_signed_annex_of_another_shape_is_refused(change: Change) -> None:
    draft = Draft()
    change(draft.annex)
    assert verdict_step(seal(draft)) == "well-formed"


@pytest.mark.parametrize("runs", [{}, [[1]], [["1", "00" * 32]], [[1, "00"]], [[1, "00" * 32, 3]], [{}]], ids=str)
def test_a_list_of_runs_of_another_shape_is_refused(runs: Any) -> None:
    draft = over_runs()
    draft.annex["runs"] = runs
    assert verdict_step(seal(draft)) == "well-formed"


LEAF_CHANGES = [
    *((f"no {name}", drop(name)) for name in Draft().leaf if name not in ("account", "items")),
    ("account commitment too short", put("account", value="d2")),
    ("records as text", put("records", value="3")),
    ("an action as null", put("actions", "purged", value=None)),
    ("actions as a list", put("actions", value=[])),
    ("oldest is no time", put("oldest", value="2026-10-01")),
    ("items root in capitals", put("items", value={"root": "AB" * 32})),
    ("items size as text", put("items", value={"size": "3"})),
]


@pytest.mark.parametrize("change", cases(LEAF_CHANGES))
def test_a_committed_leaf_of_another_shape_is_refused(change: Change) -> None:
    draft = Draft()
    change(draft.leaf)
    assert verdict_step(seal(draft)) == "well-formed"


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def test_64_open_brackets_pass_and_65_do_not_in_every_document() -> None:
    # An unknown member of the bundle stands inside 1 bracket; of predicate inside 2; of annex and leaf inside 1.
    for levels, valid in ((63, True), (64, False)):
        sealed = seal(Draft())
        sealed.bundle["colour"] = nested(levels)
        assert verify(sealed.data, TRUSTED).valid is valid
        draft = Draft()
        draft.predicate["colour"] = nested(levels - 1)
        assert verify(seal(draft).data, TRUSTED).valid is valid
        draft = Draft()
        draft.annex["colour"] = nested(levels)
        assert verify(seal(draft).data, TRUSTED).valid is valid
        draft = Draft()
        draft.leaf["colour"] = nested(levels)
        assert verify(seal(draft).data, TRUSTED).valid is valid


def test_brackets_inside_text_are_not_counted() -> None:
    sealed = seal(Draft())
    sealed.bundle["colour"] = "[{" * 1000
    assert verify(sealed.data, TRUSTED).valid


def test_16_mib_pass_and_one_byte_more_does_not() -> None:
    data = seal(Draft()).data
    assert verify(data + b" " * (LIMIT - len(data)), TRUSTED).valid
    assert verify(data + b" " * (LIMIT - len(data) + 1), TRUSTED).step == "well-formed"


RAW = [
    b"",
    b" ",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"\xff\xfe{\x00}\x00",
    b"{" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"mediaType": NaN}',
    b'{"mediaType": Infinity}',
    b'{"a": 1e5}',
    b'{"a": 1.0}',
    b'{"a": -0}',
    b'{"a": 01}',
    b'{"a": ' + b"9" * 100_000 + b"}",
    b"{'a': 1}",
    b'{"a": 1,}',
    b'{"a": "\x01"}',
    b'{"a": "\\ud83d"}',
    b'{"a": 1} {"a": 1}',
    b"\x00",
    b"-----BEGIN PUBLIC KEY-----",
]


@pytest.mark.parametrize("data", RAW, ids=lambda data: repr(data[:20]))
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    verdict = verify(data, TRUSTED)
    assert (verdict.valid, verdict.outcome, verdict.step, verdict.receipt) == (False, "invalid", "well-formed", None)


@pytest.mark.parametrize(
    "where", [b'{"mediaType"', b'"dsseEnvelope": {', b'"account": {', b'"items": [{', b'"keys": {']
)
def test_a_name_that_stands_twice_is_refused_at_every_level(where: bytes) -> None:
    data = seal(Draft()).data
    assert where in data
    twice = where + b': 1, "mediaType"' if where.startswith(b'{"') else where + b'"x": 1, "x": 1'
    if where == b'"keys": {':
        data = data.replace(where, twice, 1)
    else:
        data = data.replace(where, twice if where.startswith(b'{"') else twice + b", ", 1)
    verdict = verify(data, TRUSTED)
    assert verdict.step == "well-formed"
    assert "twice" in (verdict.reason or "")


@pytest.mark.parametrize("document", ["statement", "annex", "leaf"])
@pytest.mark.parametrize("spoiled", ["twice", "fraction", "surrogate", "byte order mark", "not UTF-8"])
def test_the_documents_inside_are_read_as_strictly(document: str, spoiled: str) -> None:
    def write(value: Any) -> bytes:
        body = rfc8785.dumps(value)
        insert = {
            "twice": b'{"x":1,"x":1,',
            "fraction": b'{"x":1.0,',
            "surrogate": b'{"x":"\\ud800",',
            "byte order mark": b"\xef\xbb\xbf{",
            "not UTF-8": b'{"x":"\xc3\x28",',
        }
        return insert[spoiled] + body[1:]

    draft = Draft()
    setattr(draft, {"statement": "write_body", "annex": "write_annex", "leaf": "write_leaf"}[document], write)
    assert verdict_step(seal(draft)) == "well-formed"


def test_a_byte_order_mark_before_the_bundle_is_refused() -> None:
    assert verify(b"\xef\xbb\xbf" + seal(Draft()).data, TRUSTED).step == "well-formed"


def test_names_are_case_sensitive() -> None:
    data = seal(Draft()).data.replace(b'"tlogProof"', b'"tlogproof"')
    assert verify(data, TRUSTED).step == "well-formed"


def test_well_formed_comes_before_the_signature() -> None:
    draft = Draft()
    draft.signers = (STRANGER,)
    draft.predicate["outcome"] = "splendid"
    assert verdict_step(seal(draft)) == "well-formed"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a": 1,}', "the bundle: not JSON"),
        (b"[" * 64, "the bundle: not JSON"),
        (b"[" * 65, "the bundle: more than 64 brackets are open at once"),
        (b"[" * 65 + b"]" * 65 + b"x", "the bundle: more than 64 brackets are open at once"),
        (b'{"a":1,"a":2,"b":' + b"[" * 65, "the bundle: more than 64 brackets are open at once"),
        (b'["' + b"\\u005b[" * 65 + b'\\"]', "the bundle: not JSON"),
        (b'{"a":1,"a":2}', 'the bundle: the name "a" stands twice in one object'),
    ],
)
def test_the_reason_is_the_same_in_every_implementation(data: bytes, reason: str) -> None:
    assert verify(data, TRUSTED).reason == reason
