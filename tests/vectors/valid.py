"""Vectors that every verifier accepts."""

from __future__ import annotations

from typing import Any

from .crafting import elliptic_pem, note_line, sha256, signature, signature_line
from .drafts import (
    ISSUER,
    LOG,
    OLD_ISSUER,
    ORIGIN,
    OTHER_WITNESS,
    OTHER_WITNESS_KEY,
    PLAN,
    PLAN_DIGEST,
    RECEIPT,
    STRANGER,
    Draft,
    Json,
    cosigned,
    history,
    log_entry,
    part,
    seen_by_witness,
)
from .vectors import KINDS, Vector, case, filled_to, later, listed, nested, over_runs, partial, put, slim, tombstone

BOTH_WITNESSES = ("witness-one.vkey", "witness-two.vkey")


def valid() -> list[Vector]:
    return [*_kinds(), *_disclosures(), *_spellings(), *_signatures(), *_histories(), *_logs(), *_figures()]


def _kinds() -> list[Vector]:
    drafts = {kind: over_runs(kind) for kind in KINDS} | {"run": Draft(), "tombstone": tombstone()}
    return [
        *(case(kind, f"a {kind} receipt with all its parts", draft=draft) for kind, draft in drafts.items()),
        case(
            "run-in-log", "the log is newer than the receipt and ends nothing", log=later(), history=history(listed())
        ),
        case("closure-in-log", "a statement over runs, in its log", draft=over_runs(), log=later()),
        case("run-partial", "partial is valid, and said", draft=partial(), said=["partial"]),
        case(
            "run-single-operator",
            "no second person approved; valid, and said",
            draft=slim(),
            before=[put("annex.singleOperator", value=True)],
            said=["singleOperator"],
        ),
    ]


def _disclosures() -> list[Vector]:
    six = [
        {"dataset": "requests", "key": action.encode(), "version": b"", "action": action}
        for action in ("purge", "tombstone", "redact", "pseudonymise", "keyDestroyed", "alreadyGone")
    ]
    return [
        case(
            "annex-null",
            "what a customer gets: the figures are not shown, and that is said",
            after=[put("annex", None)],
            said=["figures not shown"],
        ),
        case("account-null", "no account is disclosed", draft=slim()),
        case(
            "account-unnamed",
            "an account without id and salt",
            after=[put("account.id", None), put("account.salt", None)],
        ),
        case(
            "account-of-no-bytes",
            "records without an account stand under the account of zero bytes",
            draft=Draft(account=""),
        ),
        case("account-without-items", "the account's items are not disclosed", after=[put("items", [])]),
        case("account-of-two-to-the-five", "a larger accounts tree", draft=Draft(accounts=32)),
        case(
            "account-retained",
            "an account of which nothing went and two records are retained",
            draft=Draft(items=[], leaf={"oldest": None, "newest": None, "retained": 2, "bytes": 0}),
            said=["retained"],
        ),
        case("items-one", "a tree of one item: the path is empty", draft=Draft(items=six[:1])),
        case("items-of-each-action", "each action has its byte", draft=Draft(items=six)),
    ]


def _spellings() -> list[Vector]:
    unknown = {"Kind": "closure", "\U0001f600": "\u2028\u0000\ud7ff", "\uffee": [None, {"deep": {}}], "": 2**53 - 1}
    return [
        case(
            "unknown-members",
            "unknown members are accepted everywhere, a name in other case too, sorted by UTF-16 units in what is JCS",
            draft=Draft(leaf={"more": unknown}),
            before=[
                put("predicate.more", unknown),
                put("predicate.run.Id", "x"),
                put("annex.more", unknown),
                put("statement.Subject", []),
            ],
            after=[
                put("more", unknown),
                put("account.more", unknown),
                put("items.0.more", 1),
                put("dsseEnvelope.x", 0),
            ],
        ),
        case(
            "white-space-and-escapes",
            "the bundle itself need not be canonical",
            text=lambda data: (
                b" \r\n\t" + data.replace(b'"mediaType"', b'"\\u006dedi\\u0061Type"').replace(b"/", b"\\/")
            ),
        ),
        case("brackets-64", "64 brackets are open at once", draft=slim(), after=[put("more", nested(63))]),
        case(
            "bytes-16-mib",
            "16 MiB are read, a byte more is not; pad the file with spaces (0x20) to the size given",
            draft=slim(),
            padded_to=16 * 1024 * 1024,
        ),
        case(
            "statement-3499-bytes", "the longest statement", draft=slim(), before=[put("write_body", filled_to(3499))]
        ),
        case(
            "leap-day",
            "29 February of a leap year",
            draft=slim(),
            before=[put("annex.parts.0.cutoff", "2024-02-29T23:59:59Z")],
        ),
        case("largest-number", "2^53 - 1", draft=slim(), before=[put("annex.parts.0.bytes", 2**53 - 1)]),
        case(
            "proof-with-extra",
            "the extra line of a proof is accepted; nothing authenticates it",
            draft=slim(),
            after=[
                lambda bundle: put("tlogProof", bundle["tlogProof"].replace("\nindex", "\nextra aGVsbG8=\nindex"))(
                    bundle
                ),
            ],
        ),
    ]


def _signatures() -> list[Vector]:
    def with_wrong(message: bytes) -> list[Json]:
        good = signature(ISSUER, message)
        return [good | {"sig": signature(ISSUER, message + b"!")["sig"]}, good]

    def signed(*keyids: Any) -> Any:
        return lambda message: [{"sig": signature(ISSUER, message)["sig"], **keyid} for keyid in keyids]

    lines = (
        lambda _: signature_line("someone.example/else", b"\1\2\3\4", b"of a kind that nobody knows"),
        lambda _: signature_line(ORIGIN, b"\1\2\3\4", b"the log's name, another key"),
        lambda body: note_line(body, STRANGER, "vectors.example/other"),
        seen_by_witness(key=OTHER_WITNESS_KEY),
    )
    return [
        case(
            "signatures-16-last-good",
            "one of at most 16 signatures is the issuer's",
            draft=Draft(
                items=None,
                signatures=lambda message: [signature(STRANGER, message)] * 15 + [signature(ISSUER, message)],
            ),
        ),
        case(
            "signature-second-by-same-key",
            "a wrong signature beside a right one does no harm",
            draft=Draft(items=None, signatures=with_wrong),
        ),
        case("keyid-missing", "the keyid is a hint", draft=Draft(items=None, signatures=signed({}))),
        case("keyid-null", "the keyid is a hint", draft=Draft(items=None, signatures=signed({"keyid": None}))),
        case("keyid-wrong", "the keyid is a hint", draft=Draft(items=None, signatures=signed({"keyid": "00" * 32}))),
        case(
            "note-unknown-lines",
            "signature lines by keys that are not pinned are ignored",
            draft=Draft(items=None, note=cosigned(*lines)),
        ),
        case("note-64-lines", "64 signature lines", draft=Draft(items=None, note=cosigned(*lines[:1] * 63))),
        case(
            "note-signed-twice",
            "the log's signature twice",
            draft=Draft(items=None, note=cosigned(lambda body: note_line(body, LOG, ORIGIN))),
        ),
        case(
            "witness",
            "the pinned witness cosigned",
            draft=Draft(items=None, note=cosigned(seen_by_witness())),
            witnesses=BOTH_WITNESSES[:1],
        ),
        case(
            "witness-latest-time",
            "the latest time that a witness can state",
            draft=Draft(items=None, note=cosigned(seen_by_witness(2**63 - 1))),
            witnesses=BOTH_WITNESSES[:1],
        ),
        case(
            "witnesses-two",
            "each pinned witness cosigned",
            draft=Draft(
                items=None, note=cosigned(seen_by_witness(), seen_by_witness(7, OTHER_WITNESS_KEY, OTHER_WITNESS))
            ),
            witnesses=BOTH_WITNESSES,
        ),
    ]


def _histories() -> list[Vector]:
    issued, next_second = "2026-11-24T03:10:37Z", "2026-11-24T03:10:38Z"
    revoked = listed(revokedAt="2026-11-24T03:30:01Z", reason="stolen")
    seen = Draft(items=None, note=cosigned(seen_by_witness()))
    histories: list[tuple[str, str, bytes]] = [
        ("valid-from-issued", "valid from the second on in which it was issued", history(listed(validFrom=issued))),
        ("valid-until-next-second", "valid until the second after", history(listed(validUntil=next_second))),
        (
            "rotated",
            "another issuer key overlaps",
            history(listed(OLD_ISSUER, validUntil=next_second), listed(validFrom=issued)),
        ),
        (
            "as-log-too",
            "the same key stands once as issuer, and in another role",
            history(listed(), listed(role="log")),
        ),
        (
            "unknown",
            "unknown members, roles and makes of keys",
            history(
                listed(more=1),
                listed(role="auditor"),
                listed() | {"key": "a key of the future"},
                listed() | {"key": elliptic_pem()},
            ),
        ),
        (
            "other-revoked",
            "another key was revoked",
            history(listed(), listed(OLD_ISSUER, revokedAt="2026-01-02T00:00:00Z")),
        ),
    ]
    return [
        *(case(f"history-{name}", why, draft=slim(), history=given) for name, why, given in histories),
        case(
            "history-revoked-seen-before",
            "a pinned witness saw it a second before the key was revoked",
            draft=seen,
            history=history(revoked),
            witnesses=BOTH_WITNESSES[:1],
        ),
        case(
            "history-revoked-seen-by-one",
            "one of two pinned witnesses saw it in time",
            draft=Draft(
                items=None, note=cosigned(seen_by_witness(), seen_by_witness(2**40, OTHER_WITNESS_KEY, OTHER_WITNESS))
            ),
            history=history(revoked),
            witnesses=BOTH_WITNESSES,
        ),
    ]


def _logs() -> list[Vector]:
    other = sha256(b"something else")
    return [
        case(
            "log-retracts-another-digest",
            "a retraction counts when index and hash match",
            draft=slim(),
            log=later(log_entry(f"retract {RECEIPT} wrong-figures", other)),
        ),
        case(
            "log-retracts-another-index",
            "a retraction counts when index and hash match",
            draft=slim(),
            log=later(lambda digest: log_entry(f"retract {RECEIPT - 1} wrong-figures", digest)),
        ),
        case(
            "log-voids-another-digest",
            "a void counts when index and hash match",
            draft=slim(),
            log=later(log_entry(f"void {PLAN} expired", other)),
        ),
        case(
            "log-voids-another-index",
            "a void counts when index and hash match",
            draft=slim(),
            log=later(log_entry(f"void {PLAN - 1} expired", PLAN_DIGEST)),
        ),
        case(
            "log-of-other-plans",
            "receipts of other plans and entries of unknown kinds say nothing",
            draft=slim(),
            log=later(
                log_entry(f"receipt {PLAN + 1}", other),
                log_entry("receipt -", other),
                b"not an entry\xff",
                log_entry(f"receipt 0{PLAN}", other),
                log_entry(f"void {PLAN}", PLAN_DIGEST),
                b"",
            ),
        ),
        case(
            "log-over-runs-twice",
            "statements over runs have no plan that could end twice",
            draft=over_runs(),
            log=later(lambda digest: log_entry("receipt -", digest)),
        ),
        case(
            "log-of-300",
            "a log of more than one entry bundle",
            draft=Draft(items=None, size=290),
            log=later(*(log_entry("state", sha256(b"%d" % number)) for number in range(9))),
        ),
        case(
            "log-of-256",
            "a full entry bundle",
            draft=slim(),
            log=later(*(log_entry("state", sha256(b"%d" % number)) for number in range(244))),
        ),
    ]


def _figures() -> list[Vector]:
    issued = "2026-11-24T03:10:37Z"
    two = [
        part(evidence="all-versions-deleted", purged=1, held=1),
        part("redact", redacted=3),
        part("tombstone", "hidden", tombstoned=1),
    ]
    untouched = [part("redact", "absent-from-live-files")]
    return [
        case(
            "times-equal",
            "started, finished and issued in one second",
            draft=slim(),
            before=[put("predicate.run.startedAt", issued), put("predicate.run.finishedAt", issued)],
        ),
        case(
            "examined-equals-due",
            "a full scan in which all was due",
            draft=slim(),
            before=[put("annex.parts.0.examined", 4)],
        ),
        case(
            "evidence-weakest",
            "the weakest part that removes counts; hidden ones do not",
            draft=slim(),
            before=[put("annex.parts", two)],
        ),
        case(
            "evidence-of-no-part",
            "nothing was removed, so the evidence is hidden",
            draft=slim(),
            before=[
                put("annex.parts", untouched),
                put("annex.held", []),
                put("annex.residue", None),
                put("predicate.evidence", "hidden"),
            ],
        ),
        case(
            "parts-none",
            "a run that had nothing to do",
            draft=slim(),
            before=[
                put("annex.parts", []),
                put("annex.held", []),
                put("annex.residue", None),
                put("predicate.evidence", "hidden"),
            ],
        ),
        case(
            "approvals",
            "a plan that people approved",
            draft=slim(),
            before=[put("predicate.run.approvals", {"sha256": "0f" * 32})],
        ),
        case(
            "runs-none",
            "a closure of an account that had no records",
            draft=over_runs("erasure"),
            before=[put("annex.runs", []), put("predicate.runs", {"count": 0, "sha256": sha256(b"[]")})],
        ),
    ]
