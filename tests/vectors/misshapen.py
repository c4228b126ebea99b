"""Vectors that are refused at the step `well-formed`: values, times, encodings, proofs and histories."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any

from .crafting import b64, sha256
from .drafts import Draft, cosigned, history, seen_by_witness
from .vectors import Vector, case, closure_of_no_account, edit, listed, nested, owner, put, slim, swap, written

STEP = "well-formed"
Bytes = Callable[[bytes], bytes]
Row = tuple[Any, ...]


def misshapen() -> list[Vector]:
    return [*_wrong_values(), *_times(), *_base64_and_hex(), *_proofs(), *_histories()]


def _wrong_values() -> list[Vector]:
    digest = {"sha256": "00" * 32}
    signed: list[Row] = [
        ("type", "another statement type", "statement._type", "https://in-toto.io/Statement/v0.1"),
        ("predicate-type", "a plan is no receipt", "statement.predicateType", "urn:retentiond:plan:v1"),
        (
            "predicate-type-case",
            "names are case-sensitive",
            "statement.predicateType",
            "urn:retentiond:deletion-receipt:V1",
        ),
        ("predicate-list", "a predicate that is a list", "statement.predicate", []),
        ("subjects-none", "no subject", "statement.subject", []),
        ("subjects-two", "two subjects", "statement.subject", [{"name": "annex", "digest": digest}] * 2),
        ("subject-name", "a subject of another name", "statement.subject", [{"name": "Annex", "digest": digest}]),
        (
            "subject-sha512",
            "a subject without a sha256",
            "statement.subject",
            [{"name": "annex", "digest": {"sha512": "00" * 64}}],
        ),
        (
            "subject-short",
            "a digest of 63 digits",
            "statement.subject",
            [{"name": "annex", "digest": {"sha256": "0" * 63}}],
        ),
        (
            "subject-upper-case",
            "a digest in upper case",
            "statement.subject",
            [{"name": "annex", "digest": {"sha256": "AB" * 32}}],
        ),
        ("kind", "a kind that there is not", "predicate.kind", "deletion"),
        ("kind-case", "kinds are case-sensitive", "predicate.kind", "Run"),
        ("kind-list", "a kind that is no text", "predicate.kind", ["run"]),
        ("run-null", "the receipt of a run that names none", "predicate.run", None),
        ("outcome", "an outcome that there is not", "predicate.outcome", "failed"),
        ("evidence", "an evidence that there is not", "predicate.evidence", "gone"),
        ("tree", "a tree that there is not", "predicate.accounts.tree", "rfc6962-sha512"),
        *(
            (f"size-{size}", "no power of two, or below 16", "predicate.accounts.size", size)
            for size in (0, 1, 8, 15, 17, 24)
        ),
        ("size-true", "true is no number", "predicate.accounts.size", True),
        ("size-text", "a number in quotes", "predicate.accounts.size", "16"),
        ("plan-digest-upper-case", "a digest in upper case", "predicate.run.planEntry.sha256", "AB" * 32),
        ("plan-index-text", "a number in quotes", "predicate.run.planEntry.index", "4"),
        ("approvals-list", "approvals that are a list", "predicate.run.approvals", []),
        ("policies-object", "policies that are no list", "predicate.policies", {}),
        ("annex-version", "an annex of another version", "annex.annex", "retentiond/annex/v2"),
        ("annex-nonce-short", "a nonce of 31 bytes", "annex.nonce", "25" * 31),
        ("annex-evidence", "a part with evidence that there is not", "annex.parts.0.evidence", "Deleted"),
        ("annex-outcome-text", "a count that is a text", "annex.parts.0.outcomes.purged", "2"),
        ("annex-single-operator", "0 is not false", "annex.singleOperator", 0),
        ("annex-residue-list", "a residue that is a list", "annex.residue", []),
        ("annex-bytes-true", "true is no number", "annex.parts.0.bytes", True),
    ]
    outside: list[Row] = [
        ("media-type", "another media type", "mediaType", "application/json"),
        ("media-type-case", "the media type in other case", "mediaType",
            "application/vnd.Retentiond.receipt-bundle.v1+json"),
        ("payload-type", "another payload type", "dsseEnvelope.payloadType", "application/json"),
        ("payload-type-list", "a payload type that is no text", "dsseEnvelope.payloadType",
            ["application/vnd.in-toto+json"]),
        ("signatures-object", "signatures that are no list", "dsseEnvelope.signatures", {}),
        ("keyid-number", "a keyid that is a number", "dsseEnvelope.signatures.0.keyid", 1),
        ("annex-object", "an annex that is not base64", "annex", {}),
        ("annex-empty", "an annex of no bytes", "annex", ""),
        ("account-false", "an account that is false", "account", False),
        ("account-list", "an account that is a list", "account", []),
        ("account-id-number", "an id that is a number", "account.id", 7),
        ("account-index-true", "true is no number", "account.index", True),
        ("account-path-null", "no path", "account.path", None),
        ("account-salt-short", "a salt of 31 bytes", "account.salt", "aa" * 31),
        ("items-null", "items that are null", "items", None),
        ("item-action", "an action that there is not", "items.0.action", "purged"),
        ("item-key-null", "a key that is null", "items.0.key", None),
        ("item-salt-long", "a salt of 33 bytes", "items.0.salt", "aa" * 33),
        ("item-salt-upper-case", "a salt in upper case", "items.0.salt", "AA" * 32),
        ("item-path-short", "a path of short hashes", "items.0.path", ["aa" * 31]),
        ("keys-list", "keys that are a list", "keys", []),
        ("proof-null", "a proof that is null", "tlogProof", None),
    ]  # fmt: skip
    return [
        *(
            case(f"wrong-{name}", why, STEP, draft=Draft(items=None, kind_line="receipt 4"), before=[put(where, value)])
            for name, why, where, value in signed
        ),
        *(
            case(f"wrong-{name}", why, STEP, draft=owner(where), after=[put(where, value)])
            for name, why, where, value in outside
        ),
        case(
            "wrong-closure-runs-pair",
            "a run in the list that is no pair",
            STEP,
            draft=closure_of_no_account(),
            before=[put("annex.runs.0", [12])],
        ),
        case("wrong-leaf-oldest", "a time that is a number", STEP, draft=Draft(leaf={"oldest": 0})),
        case("wrong-leaf-actions", "actions that are a list", STEP, draft=Draft(leaf={"actions": []})),
    ]


def _times() -> list[Vector]:
    rows = [
        ("lower-case", "2026-11-24t03:10:37z"),
        ("offset", "2026-11-24T03:10:37+00:00"),
        ("no-zone", "2026-11-24T03:10:37"),
        ("fraction", "2026-11-24T03:10:37.5Z"),
        ("leap-second", "2026-12-31T23:59:60Z"),
        ("hour-24", "2026-11-24T24:00:00Z"),
        ("minute-60", "2026-11-24T03:60:00Z"),
        ("month-13", "2026-13-24T03:10:37Z"),
        ("day-0", "2026-11-00T03:10:37Z"),
        ("day-31", "2026-11-31T03:10:37Z"),
        ("no-leap-year", "2027-02-29T03:10:37Z"),
        ("century", "2100-02-29T03:10:37Z"),
        ("year-0", "0000-11-24T03:10:37Z"),
        ("year-of-five-digits", "12026-11-24T03:10:37Z"),
        ("space", "2026-11-24 03:10:37Z"),
        ("one-digit", "2026-11-24T3:10:37Z"),
        ("other-digits", "2026-11-24T03:10:3\u0667Z"),
        ("newline", "2026-11-24T03:10:37Z\n"),
    ]
    return [
        *(case(f"time-{name}", f"{time!a} is no time here", STEP, draft=slim(), before=[put("predicate.issuedAt",
            time)])
          for name, time in rows),
        case("time-until", "a word where a time or null stands", STEP, draft=slim(),
            before=[put("predicate.notCovered.0.until", "never")]),
        case("time-in-annex", "a time with an offset in the annex", STEP, draft=slim(),
            before=[put("annex.parts.0.cutoff", "2026-11-01T02:00:00+00:00")]),
    ]  # fmt: skip


def _base64_and_hex() -> list[Vector]:
    def unpadded(text: str) -> str:
        if not text.endswith("="):
            raise ValueError("this one has no padding")
        return text.rstrip("=")

    rows: list[Row] = [
        ("without-padding", "padding is missing", "items.0.key", lambda _: "NDI"),
        ("pad-bits", "pad bits that are not zero", "items.0.key", lambda _: "NDJ="),
        ("pad-bits-two", "pad bits that are not zero", "items.0.key", lambda _: "Nf=="),
        ("padding-alone", "nothing but padding", "items.0.key", lambda _: "===="),
        ("padding-twice", "too much padding", "items.0.key", lambda _: "NDI=="),
        ("padding-inside", "padding inside", "items.0.key", lambda _: "ND==NDI="),
        ("url-safe", "the alphabet of URLs", "items.0.key", lambda _: "-_-_"),
        ("white-space", "a newline inside", "annex", lambda text: text[:8] + "\n" + text[8:]),
        ("space-before", "a space before", "dsseEnvelope.payload", lambda text: " " + text),
        ("other-letters", "letters that only look like it", "items.0.key", lambda _: "\uff2e\uff24\uff29\uff1d"),
        ("signature-unpadded", "a signature without padding", "dsseEnvelope.signatures.0.sig", unpadded),
    ]
    return [
        case(f"base64-{name}", why, STEP, draft=owner(where), after=[edit(where, how)])
        for name, why, where, how in rows
    ]


def _proofs() -> list[Vector]:
    def at_line(number: int, how: Callable[[str], str]) -> Callable[[str], str]:
        def change(text: str) -> str:
            lines = text.split("\n")
            lines[number] = how(lines[number])
            return "\n".join(lines)

        return change

    first_hash, size_line, root_line = 2, 8, 9
    rows: list[Row] = [
        ("empty", "no proof", lambda _: ""),
        ("header", "another version", swap("tlog-proof@v1", "tlog-proof@v2")),
        ("crlf", "line ends of another kind", lambda text: text.replace("\n", "\r\n")),
        ("without-index", "no index", swap("index 6\n", "")),
        ("index-leading-zero", "a leading zero", swap("index 6", "index 06")),
        ("index-negative", "a negative index", swap("index 6", "index -6")),
        ("index-plus", "a plus sign", swap("index 6", "index +6")),
        ("index-space", "two spaces", swap("index 6", "index  6")),
        ("index-of-other-digits", "digits of another script", swap("index 6", "index \u0666")),
        ("extra-after-index", "the extra line stands before the index", swap("index 6", "index 6\nextra aGVsbG8=")),
        ("extra-not-base64", "an extra line that is not base64", swap("index 6", "extra !\nindex 6")),
        ("extra-twice", "two extra lines", swap("index 6", "extra aGVsbG8=\nextra aGVsbG8=\nindex 6")),
        ("hash-short", "a hash of 31 bytes", at_line(first_hash, lambda _: b64(b"x" * 31))),
        ("hash-long", "a hash of 33 bytes", at_line(first_hash, lambda _: b64(b"x" * 33))),
        ("hash-unpadded", "a hash without padding", at_line(first_hash, lambda line: line.rstrip("="))),
        ("hash-pad-bits", "pad bits that are not zero", at_line(first_hash, lambda _: "A" * 42 + "B=")),
        ("hash-hex", "a hash in hex", at_line(first_hash, lambda line: base64.b64decode(line).hex())),
        ("without-blank-line", "no blank line before the checkpoint", swap("\n\nvectors.example", "\nvectors.example")),
        ("without-checkpoint", "no checkpoint", lambda text: text[: text.index("\n\n") + 2]),
        ("size-leading-zero", "a size with a leading zero", at_line(size_line, lambda line: "0" + line)),
        ("size-hex", "a size that is no decimal number", at_line(size_line, lambda _: "0xb")),
        ("root-short", "a root hash of 31 bytes", at_line(root_line, lambda _: b64(b"x" * 31))),
        ("root-hex", "a root hash in hex", at_line(root_line, lambda line: base64.b64decode(line).hex())),
        ("without-origin", "an empty origin", swap("\n\nvectors.example/receipts\n", "\n\n\n")),
        ("two-lines", "a checkpoint of two lines", at_line(root_line, lambda _: "")),
        ("tab", "a control character in a note", swap("vectors.example/receipts\n", "vectors.example/receipts\t\n")),
        ("without-signatures", "a note without its blank line", lambda text: text[: text.rindex("\n\n")]),
    ]
    return [case(f"proof-{name}", why, STEP, draft=slim(), after=[edit("tlogProof", how)]) for name, why, how in rows]


def _histories() -> list[Vector]:
    rows: Iterable[tuple[str, str, bytes]] = [
        ("empty", "an empty file", b""),
        ("bom", "a byte order mark", b"\xef\xbb\xbf" + history(listed())),
        ("payload-type", "a statement is no history", history(listed(), payload_type="application/vnd.in-toto+json")),
        ("without-until", "validUntil is missing", history({name: value for name,
            value in listed().items() if name != "validUntil"})),
        ("without-reason", "reason is missing", history({name: value for name,
            value in listed().items() if name != "reason"})),
        ("valid-from-null", "validFrom is null", history(listed() | {"validFrom": None})),
        ("time", "a time with an offset", history(listed(validUntil="2027-01-01T00:00:00+00:00"))),
        ("twice", "revoked, and by the same name not revoked", history(
            listed(), write=written(swap(b'"revokedAt":null',
                b'"revokedAt":"2026-01-02T00:00:00Z","revokedAt":null')))),
        ("bare", "without its envelope", b'{"keys": []}'),
        ("brackets", "65 brackets", history(listed(more=nested(62)))),
    ]  # fmt: skip
    return [
        *(case(f"history-malformed-{name}", why, STEP, draft=slim(), history=data) for name, why, data in rows),
        case(
            "history-malformed-and-log",
            "a history is read before any signature",
            STEP,
            draft=Draft(items=None, signatures=lambda _: [], note=cosigned(seen_by_witness())),
            history=sha256(b"").encode(),
        ),
    ]
