"""Vectors that are refused at `canonical` and `signature`: who signed, and was the key in force."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from .crafting import (
    OF_ORDER_8,
    ORDER,
    b64,
    challenge,
    jcs,
    pae,
    raw,
    scalar,
    seed_scalar,
    sha256,
    sign_by_hand,
    signature,
)
from .drafts import (
    ISSUER,
    LOG,
    OLD_ISSUER,
    STATEMENT_TYPE,
    STRANGER,
    WITNESSED_AT,
    Draft,
    Json,
    cosigned,
    history,
    seen_by_witness,
)
from .valid import BOTH_WITNESSES
from .vectors import (
    MIXED_ISSUER,
    SMALL_POINTS,
    Vector,
    case,
    edit,
    listed,
    put,
    slim,
    swap,
    written,
)

Row = tuple[Any, ...]
ISSUED = "2026-11-24T03:10:37Z"


def unsigned() -> list[Vector]:
    return [*_not_canonical(), *_signatures(), *_odd_curves(), *_histories()]


def _not_canonical() -> list[Vector]:
    def by_code_point(statement: Any) -> bytes:
        """Names in the order of code points, which is not that of UTF-16 units."""
        statement["predicate"] |= {"\U0001f600": 1, "\uffee": 2}
        pair = ('"\U0001f600":1'.encode(), '"\uffee":2'.encode())
        return jcs(statement).replace(b",".join(pair), b",".join(reversed(pair)))

    rows: list[Row] = [
        ("space", "a space after a colon", written(swap(b'"kind":"run"', b'"kind": "run"'))),
        ("newline", "a newline after the statement", written(lambda body: body + b"\n")),
        (
            "order",
            "names that are not sorted",
            lambda value: (
                jcs(dict(reversed(value.items())))
                .replace(b'"_type":"https://in-toto.io/Statement/v1",', b"")
                .replace(b"}]}", b'}],"_type":"https://in-toto.io/Statement/v1"}')
            ),
        ),
        ("order-of-code-points", "names sorted by code points and not by UTF-16 units", by_code_point),
        ("escaped-letter", "a letter that is escaped for nothing", written(swap(b'"kind"', b'"\\u006bind"'))),
        ("escaped-slash", "a slash that is escaped", written(swap(b"vendor.example/", b"vendor.example\\/"))),
        (
            "escaped-other",
            "a letter beyond ASCII that is escaped",
            written(swap(b'"instance":"vectors"', b'"instance":"\\u00e9"')),
        ),
        (
            "escape-long",
            "\\u000a where \\n is the canonical spelling",
            written(swap(b'"instance":"vectors"', b'"instance":"\\u000a"')),
        ),
        (
            "escape-upper-case",
            "\\u001F where \\u001f is the canonical spelling",
            written(swap(b'"instance":"vectors"', b'"instance":"\\u001F"')),
        ),
    ]
    return [
        case(f"canonical-{name}", why, "canonical", draft=Draft(items=None, write_body=write))
        for name, why, write in rows
    ]


def _signatures() -> list[Vector]:
    def by(*keys: Any) -> Callable[[bytes], list[Json]]:
        return lambda message: [signature(key, message) for key in keys]

    def of(how: Callable[[bytes], bytes]) -> Callable[[bytes], list[Json]]:
        """By the issuer, over something else than the PAE."""
        return lambda message: [signature(ISSUER, how(message))]

    def spoiled(how: Callable[[bytes], bytes]) -> Callable[[bytes], list[Json]]:
        return lambda message: [{"sig": b64(how(ISSUER.sign(message)))}]

    def body(message: bytes) -> bytes:
        return message.split(b" ", 4)[4]

    def above_order(made: bytes) -> bytes:
        return made[:32] + (int.from_bytes(made[32:], "little") + ORDER).to_bytes(32, "little")

    rows: list[Row] = [
        ("none", "no signature", by()),
        ("17", "17 signatures, the issuer's the first", by(ISSUER, *[STRANGER] * 16)),
        ("stranger", "signed by somebody else, who claims the issuer's keyid",
         lambda message: [signature(STRANGER, message) | {"keyid": signature(ISSUER, message)["keyid"]}]),
        ("log-key", "the log's key does not answer for the issuer", by(LOG)),
        ("bare-statement", "over the statement, without the pre-authentication encoding", of(body)),
        ("other-type", "over the statement as another type", of(lambda message: pae("application/json",
            body(message)))),
        ("other-length", "over an encoding with a wrong length", of(lambda message: pae(STATEMENT_TYPE,
            body(message)).replace(b" 28 ", b" 028 "))),
        ("digest", "over the SHA-256 of what is to be signed", of(lambda message: bytes.fromhex(sha256(message)))),
        ("bit", "one bit is another", spoiled(lambda made: bytes([made[0] ^ 1]) + made[1:])),
        ("63-bytes", "a byte too few", spoiled(lambda made: made[:-1])),
        ("65-bytes", "a byte too many", spoiled(lambda made: made + b"\0")),
        ("empty", "no bytes", spoiled(lambda _: b"")),
        ("hex", "the signature's hex, in base64", spoiled(lambda made: made.hex().encode())),
        ("zeros", "64 zero bytes", spoiled(lambda _: bytes(64))),
        ("above-order", "S is not below the group's order", spoiled(above_order)),
        ("halves-exchanged", "S before R", spoiled(lambda made: made[32:] + made[:32])),
    ]  # fmt: skip
    return [
        *(case(f"signature-{name}", why, "signature", draft=Draft(items=None, signatures=make)) for name, why,
            make in rows),
        case("signature-of-another", "a statement that was exchanged under its signature", "signature", draft=slim(),
            after=[
            edit("dsseEnvelope.payload", lambda text: b64(swap(b'"complete"', b'"partial"')(base64.b64decode(text))))]),
        case("signature-keys-in-bundle", "keys in the bundle are not believed", "signature", draft=Draft(
            items=None, signatures=by(STRANGER)), after=[put("keys", {"issuer": "see the other key file"})]),
        case("signature-of-the-pinned-stranger", "the issuer signed, and another key is pinned", "signature",
            draft=slim(),
             keys=("stranger.pem", "log.vkey")),
        case("signature-roles-exchanged", "the issuer's and the log's key are pinned in each other's role",
            "signature", draft=slim(),
             keys=("log-key-as-issuer.pem", "issuer-key-as-log.vkey")),
    ]  # fmt: skip


def _odd_curves() -> list[Vector]:
    def for_everything(point: str) -> Callable[[bytes], list[Json]]:
        """R is the key's own point or the identity, S is 0: under a key of small order it fits many messages."""
        public = bytes.fromhex(point)
        identity = (1).to_bytes(32, "little")
        return lambda _: [{"sig": b64(start + bytes(32))} for start in (identity, public)]

    def with_small_part(message: bytes) -> list[Json]:
        secret = seed_scalar(ISSUER)
        return [{"sig": b64(sign_by_hand(secret, raw(ISSUER), message, scalar("nonce"), OF_ORDER_8))}]

    def by_mixed_key(message: bytes) -> list[Json]:
        """Only with the cofactor does it hold: the challenge is not divisible by 8."""
        secret = seed_scalar(ISSUER)
        for number in range(64):
            made = sign_by_hand(secret, MIXED_ISSUER, message, scalar(f"nonce {number}"))
            if challenge(made[:32], MIXED_ISSUER, message) % 8:
                return [{"sig": b64(made)}]
        raise ValueError("no nonce gives such a challenge")

    return [
        *(
            case(f"small-{name}", "a pinned key of small order, or spelled so that RFC 8032 does not decode it",
                 "signature", draft=Draft(items=None, signatures=for_everything(point)), keys=(f"small-{name}.pem",
                     "log.vkey"))
            for name, point in SMALL_POINTS.items()
        ),
        case("mixed-order-r", "R has a part of small order: it holds with the cofactor only", "signature",
             draft=Draft(items=None, signatures=with_small_part)),
        case("mixed-order-key", "the pinned key has a part of small order: it holds with the cofactor only",
            "signature",
             draft=Draft(items=None, signatures=by_mixed_key), keys=("mixed-order.pem", "log.vkey")),
    ]  # fmt: skip


def _histories() -> list[Vector]:
    revoked = listed(revokedAt="2026-11-24T03:30:01Z", reason="stolen")
    at_issue = listed(revokedAt=ISSUED)
    one, both = BOTH_WITNESSES[:1], BOTH_WITNESSES
    seen, late = cosigned(seen_by_witness()), cosigned(seen_by_witness(WITNESSED_AT + 1))
    forged = cosigned(seen_by_witness(key=STRANGER))
    rows: list[Row] = [
        ("without-the-key", "the pinned key does not stand in it", history(listed(OLD_ISSUER))),
        ("of-no-keys", "a history without keys", history()),
        ("key-twice", "the pinned key stands in it twice", history(listed(), listed())),
        ("key-twice-otherwise", "the pinned key stands in it twice, once with other line ends and revoked",
         history(listed(), revoked | {"key": listed()["key"].replace("\n", "\r\n")})),
        ("key-of-log-only", "the pinned key stands in it, but not as issuer", history(listed(role="log"))),
        ("role-case", "roles are case-sensitive", history(listed(role="Issuer"))),
        ("before-valid", "issued a second before the key was valid", history(listed(validFrom="2026-11-24T03:10:38Z"))),
        ("until-issued", "issued in the second in which the key's validity ended", history(listed(validUntil=ISSUED))),
        ("after-valid", "issued after the key's validity", history(listed(validUntil="2026-11-01T00:00:00Z"))),
        ("revoked-unseen", "the key was revoked later, and no witness is pinned", history(revoked)),
        ("not-canonical", "a history that is not its own JCS", history(listed(),
            write=written(lambda body: body + b" "))),
        ("by-issuer", "a history that the issuer's key signed and not the log's", history(listed(), signer=ISSUER)),
        ("by-stranger", "a history that somebody else signed", history(listed(), signer=STRANGER)),
        ("of-17", "17 signatures", swap(b'"signatures": [',
            b'"signatures": [' + b'{"sig": ""},' * 16)(history(listed()))),
    ]  # fmt: skip
    notes: list[Row] = [
        ("revoked-unpinned", "a witness saw it before, and nobody pinned that one", revoked, seen, ()),
        ("revoked-seen-late", "the witness saw it in the second of the revocation", revoked, late, one),
        ("revoked-forged", "somebody else signed for the witness", revoked, forged, one),
        ("revoked-by-other", "another pinned witness than the one that saw it", revoked, seen, both[1:]),
        (
            "revoked-at-issue",
            "issued in the second of the revocation: no witness helps",
            at_issue,
            cosigned(seen_by_witness(7)),
            one,
        ),
        (
            "revoked-before",
            "issued after the revocation: no witness helps",
            listed(revokedAt="2026-11-24T03:10:36Z"),
            cosigned(seen_by_witness(7)),
            one,
        ),
    ]
    return [
        *(case(f"history-{name}", why, "signature", draft=slim(), history=given) for name, why, given in rows),
        *(
            case(
                f"history-{name}",
                why,
                "signature",
                draft=Draft(items=None, note=note),
                history=history(key),
                witnesses=pinned,
            )
            for name, why, key, note, pinned in notes
        ),
    ]
