"""Vectors that are refused at the step `well-formed`: in its bytes, and what it lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .drafts import Draft
from .vectors import (
    Vector,
    case,
    closure_of_no_account,
    drop,
    filled_to,
    nested,
    owner,
    put,
    slim,
    swap,
    written,
)

STEP = "well-formed"
Bytes = Callable[[bytes], bytes]
Row = tuple[Any, ...]


def malformed() -> list[Vector]:
    return [
        *_bundle_bytes(),
        *_numbers(),
        *_inner_bytes(),
        *_missing(),
    ]


def _bundle_bytes() -> list[Vector]:
    unknown = put("more", "HERE")
    rows: list[Row] = [
        ("bytes-none", "an empty file", lambda _: b""),
        ("bytes-truncated", "the last bracket is missing", lambda data: data[:-1]),
        ("bytes-bom", "a byte order mark", lambda data: b"\xef\xbb\xbf" + data),
        ("bytes-utf16", "UTF-16", lambda data: data.decode().encode("utf-16-le")),
        ("bytes-not-utf8", "a byte that UTF-8 does not have", swap(b"HERE", b"\xff")),
        ("bytes-overlong", "UTF-8 that is longer than need be", swap(b"HERE", b"\xc0\xaf")),
        ("bytes-surrogate", "a surrogate in UTF-8", swap(b"HERE", b"\xed\xa0\x80")),
        ("bytes-above-unicode", "a code point above U+10FFFF", swap(b"HERE", b"\xf4\x90\x80\x80")),
        ("bytes-after", "something after the document", lambda data: data + b"x"),
        ("bytes-nul-after", "a NUL after the document", lambda data: data + b"\0"),
        ("bytes-two-documents", "two documents", lambda data: data + b"\n" + data),
        ("json-trailing-comma", "a comma too many", lambda data: data[:-1] + b",}"),
        ("json-comment", "JSON has no comments", lambda data: b"/* x */" + data),
        ("json-single-quotes", "single quotes", swap(b'"more"', b"'more'")),
        ("json-control-character", "a raw newline in a text", swap(b"HERE", b"\n")),
        ("json-bad-escape", "an escape that JSON does not have", swap(b"HERE", b"\\x41")),
        ("json-bad-white-space", "a no-break space between members", lambda data: b"\xc2\xa0" + data),
        ("json-list", "a list and not an object", lambda data: b"[" + data + b"]"),
        ("json-text", "a text and not an object", lambda _: b'"receipt"'),
        ("json-null", "null", lambda _: b"null"),
        ("surrogate-high", "a lone high surrogate, in a member that nobody knows", swap(b"HERE", b"\\ud800")),
        ("surrogate-low", "a lone low surrogate", swap(b"HERE", b"\\udfff")),
        ("surrogates-exchanged", "a pair of surrogates in the wrong order", swap(b"HERE", b"\\ude00\\ud83d")),
        ("surrogate-in-name", "a lone surrogate in a name", swap(b'"more"', b'"\\uDBFF"')),
        ("twice", "a name twice, with the same value", lambda data: data[:-1] + b', "annex": null}'),
        ("twice-escaped", "a name twice once it is unescaped", lambda data: data[:-1] + b', "\\u0061nnex": null}'),
        (
            "twice-deep",
            "a name twice, deep in a member that nobody knows",
            swap(b'"HERE"', b'[{"a": {"b": 1, "b": 1}}]'),
        ),
        ("twice-in-item", "a name twice in an item", swap(b'"action"', b'"action": "purge", "action"')),
        (
            "twice-proto",
            "a name twice that is special to some languages",
            swap(b'"HERE"', b'{"__proto__":1,"__proto__":2}'),
        ),
        (
            "twice-in-surrogates",
            "a name twice, once spelled as a pair of surrogates",
            swap(b'"HERE"', '{"\U0001f600": 1, "\\ud83d\\ude00": 2}'.encode()),
        ),
    ]
    return [
        *(case(name, why, STEP, after=[unknown], text=text) for name, why, text in rows),
        case("brackets-65", "65 brackets are open at once", STEP, draft=slim(), after=[put("more", nested(64))]),
        case(
            "brackets-of-objects",
            "65 brackets, half of them braces",
            STEP,
            draft=slim(),
            after=[put("more", "HERE")],
            text=swap(b'"HERE"', b'[{"":' * 32 + b"0" + b"}]" * 32),
        ),
        case(
            "brackets-100000",
            "brackets by the thousand",
            STEP,
            draft=slim(),
            after=[put("more", "HERE")],
            text=swap(b'"HERE"', b"[" * 100_000 + b"]" * 100_000),
        ),
        case("bytes-above-16-mib", "one byte more than 16 MiB", STEP, draft=slim(), padded_to=16 * 1024 * 1024 + 1),
    ]


def _numbers() -> list[Vector]:
    rows = [
        ("point", "a point", b"1.0"),
        ("exponent", "an exponent", b"1e3"),
        ("exponent-zero", "zero with an exponent", b"0E0"),
        ("minus-zero", "minus zero", b"-0"),
        ("negative", "a negative number", b"-1"),
        ("2-to-the-53", "2^53", b"9007199254740992"),
        ("huge", "a number of 400 digits", b"9" * 400),
        ("leading-zero", "a leading zero", b"01"),
        ("plus", "a plus sign", b"+1"),
        ("hex", "hexadecimal digits", b"0x1"),
        ("nan", "NaN", b"NaN"),
        ("infinity", "Infinity", b"Infinity"),
        ("minus-infinity", "minus Infinity", b"-Infinity"),
    ]
    return [
        case(
            f"number-{name}",
            f"{why}, in a member that nobody knows",
            STEP,
            draft=slim(),
            after=[put("more", "HERE")],
            text=swap(b'"HERE"', number),
        )
        for name, why, number in rows
    ]


def _inner_bytes() -> list[Vector]:
    """In the statement, the annex and the leaf, each of them signed as it stands."""
    statement: list[Row] = [
        ("bom", "a byte order mark before the statement", lambda data: b"\xef\xbb\xbf" + data),
        ("not-json", "a statement that is no JSON", lambda data: data[:-1]),
        ("surrogate", "a lone surrogate, escaped", swap(b'"instance":"vectors"', b'"instance":"\\ud800"')),
        ("point", "a size with a point", swap(b'"size":16', b'"size":16.0')),
        ("exponent", "an index with an exponent", swap(b'"index":4', b'"index":4e0')),
        ("minus-zero", "an index of minus zero", swap(b'"index":4', b'"index":-0')),
        ("twice", "a name twice", swap(b'"kind":"run"', b'"kind":"run","kind":"run"')),
        (
            "twice-outcome",
            "two outcomes, of which a reader could take either",
            swap(b'"outcome":"complete"', b'"outcome":"partial","outcome":"complete"'),
        ),
        (
            "brackets",
            "65 brackets in the statement",
            swap(b'"kind":"run"', b'"kind":"run","m":' + b"[" * 63 + b"]" * 63),
        ),
    ]
    annex: list[Row] = [
        ("bom", "a byte order mark before the annex", lambda data: b"\xef\xbb\xbf" + data),
        ("point", "a count with a point", swap(b'"due":4', b'"due":4.0')),
        ("above-2-to-the-53", "a number above 2^53 - 1", swap(b'"bytes":1820331', b'"bytes":9007199254740993')),
        ("twice", "a name twice in the annex", swap(b'"due":4', b'"due":4,"due":4')),
        ("brackets", "65 brackets in the annex", swap(b'"annex":', b'"a":' + b"[" * 64 + b"]" * 64 + b',"annex":')),
        ("surrogate", "a lone surrogate in the annex", swap(b'"clock":"created_at"', b'"clock":"\\udc00"')),
    ]
    leaf: list[Row] = [
        ("twice", "a name twice in the leaf", swap(b'"records":3', b'"records":3,"records":3')),
        ("point", "a count with a point in the leaf", swap(b'"records":3', b'"records":3.0')),
        ("not-json", "a leaf that is no JSON", lambda data: data + b"!"),
    ]
    return [
        *(
            case(f"statement-{name}", why, STEP, draft=Draft(items=None, write_body=written(how)))
            for name, why, how in statement
        ),
        *(
            case(f"annex-{name}", why, STEP, draft=Draft(items=None, write_annex=written(how)))
            for name, why, how in annex
        ),
        *(case(f"leaf-{name}", why, STEP, draft=Draft(write_leaf=written(how))) for name, why, how in leaf),
        case(
            "statement-3500-bytes",
            "a statement of 3,500 bytes",
            STEP,
            draft=slim(),
            before=[put("write_body", filled_to(3500))],
        ),
    ]


def _missing() -> list[Vector]:
    bundle = [
        *("mediaType", "dsseEnvelope", "tlogProof", "annex", "account", "items", "keys"),
        *(
            "dsseEnvelope.payload",
            "dsseEnvelope.payloadType",
            "dsseEnvelope.signatures",
            "dsseEnvelope.signatures.0.sig",
        ),
        *("account.id", "account.salt", "account.leaf", "account.index", "account.path"),
        *(f"items.1.{name}" for name in ("dataset", "key", "version", "action", "salt", "index", "path")),
    ]
    statement = [
        *(
            "kind",
            "receiptId",
            "issuedAt",
            "issuer",
            "run",
            "policies",
            "outcome",
            "evidence",
            "accounts",
            "notCovered",
        ),
        *("issuer.id", "issuer.instance", "issuer.software", "issuer.software.version"),
        *(
            "run.id",
            "run.trigger",
            "run.referenceTime",
            "run.startedAt",
            "run.finishedAt",
            "run.planEntry",
            "run.approvals",
        ),
        *("run.planEntry.index", "run.planEntry.sha256", "policies.0.sha256", "accounts.tree", "notCovered.0.until"),
    ]
    annex = [
        *("annex", "nonce", "parts", "carriedOver", "residue", "notCovered", "held", "singleOperator"),
        *("parts.0.dataset", "parts.0.rule", "parts.0.action", "parts.0.examined", "parts.0.due", "parts.0.outcomes"),
        *("parts.0.bytes", "parts.0.evidence", "parts.0.verifiedBy", "parts.0.position", "parts.0.tombstonedBetween"),
        *("residue.found", "notCovered.0.reason", "held.0.matterCommitment"),
    ]
    return [
        *(_without("bundle", where, after=[drop(where)], draft=owner(where)) for where in bundle),
        *(
            _without("predicate", where, before=[drop(f"predicate.{where}")], draft=_slim_if_signed(where))
            for where in statement
        ),
        *(_without("annex", where, before=[drop(f"annex.{where}")], draft=slim()) for where in annex),
        *(
            _without("leaf", name, draft=_leaf_without(name))
            for name in ("account", "records", "retained", "oldest", "items")
        ),
        *(
            _without("closure", name, before=[drop(f"predicate.{name}")], draft=closure_of_no_account())
            for name in ("runs", "runs.count", "runs.sha256", "run")
        ),
        *(
            _without("statement", name, draft=Draft(items=None, write_body=_body_without(name)))
            for name in ("_type", "subject", "predicateType", "predicate")
        ),
    ]


def _without(document: str, where: str, **how: Any) -> Vector:
    name = where.replace(".0", "").replace(".1", "").replace(".", "-").replace("_", "")
    return case(f"{document}-without-{name}", f"no {where} in the {document}", STEP, **how)


def _slim_if_signed(where: str) -> Draft:
    # The entry needs a kind line also where no run is left to take it from.
    return Draft(items=None, kind_line="receipt 4") if where == "run" else slim()


def _leaf_without(name: str) -> Draft:
    def write(leaf: Any) -> bytes:
        return written(bytes)({key: value for key, value in leaf.items() if key != name})

    return Draft(write_leaf=write)


def _body_without(name: str) -> Any:
    return lambda statement: written(bytes)({key: value for key, value in statement.items() if key != name})
