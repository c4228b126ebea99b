"""Step `signature` with the issuer's key history: was the key in force, and did somebody see the receipt in time?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from retentiond.verify import Verdict, verify

from .builder import (
    IN_TOTO,
    ISSUER,
    KEYS,
    LOG,
    ORIGIN,
    STRANGER,
    TRUSTED,
    WITNESS,
    WITNESS_1,
    Draft,
    cosign,
    entry,
    envelope,
    history,
    listed,
    pem,
    raw,
    seal,
    sha256,
    sign_note,
    vkey,
    write_log,
)
from .changes import cases

ISSUED = "2026-11-24T03:10:37Z"
REVOKED = "2026-12-01T00:00:00Z"
REVOKED_SECONDS = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp())
PINNED = [vkey(WITNESS, raw(WITNESS_1), 4)]
LOG_ENTRY = {**listed(), "role": "log", "key": vkey(ORIGIN, raw(LOG))}


def verdict(given: bytes, draft: Draft | None = None, **trusted: Any) -> Verdict:
    return verify(seal(draft or Draft()).data, TRUSTED, history=given, **trusted)


def witnessed(*times: int) -> Draft:
    draft = Draft()
    draft.write_note = lambda body: f"{body}\n{sign_note(body)}" + "".join(cosign(body, time) for time in times)
    return draft


HISTORIES: list[tuple[str, bytes]] = [
    ("listed, without end", history(listed())),
    ("beside the log's key", history(LOG_ENTRY, listed())),
    ("beside other issuer keys", history(listed(STRANGER), listed(), listed(LOG))),
    ("beside a key of an unknown make", history({**listed(), "key": "ML-DSA?"}, listed())),
    ("the same key in another role", history({**listed(), "role": "log"}, listed())),
    ("beside an unknown role", history({**listed(), "role": "wrapping"}, listed())),
    ("valid from that second", history(listed(validFrom=ISSUED))),
    ("valid until a second later", history(listed(validUntil="2026-11-24T03:10:38Z"))),
    ("with unknown members", history({**listed(), "colour": 1})),
    ("another key revoked", history(listed(STRANGER, revokedAt="2026-01-02T00:00:00Z"), listed())),
]


@pytest.mark.parametrize("given", cases(HISTORIES))
def test_a_key_that_was_in_force_is_accepted(given: bytes) -> None:
    found = verdict(given)
    assert found.reason is None
    assert any("in force" in line for line in found.proven)
    assert not any("--history" in line for line in found.not_proven)


def spaced(signer: Any = LOG) -> bytes:
    body = json.dumps({"keys": [listed()]}).encode()
    return json.dumps(envelope(KEYS, body, signer)).encode()


REFUSED: list[tuple[str, bytes]] = [
    ("empty", history()),
    ("not listed", history(listed(STRANGER), LOG_ENTRY)),
    ("listed twice", history(listed(), listed(validFrom="2025-01-01T00:00:00Z"))),
    ("listed as the log's key only", history({**listed(), "role": "log"})),
    ("role in capitals", history({**listed(), "role": "Issuer"})),
    ("not yet valid", history(listed(validFrom="2026-11-24T03:10:38Z"))),
    ("ended that second", history(listed(validUntil=ISSUED))),
    ("revoked before", history(listed(revokedAt="2026-11-24T03:10:36Z"))),
    ("revoked that second", history(listed(revokedAt=ISSUED))),
    ("revoked later, no witness", history(listed(revokedAt=REVOKED))),
    ("signed by the issuer", history(listed(), signer=ISSUER)),
    ("signed by a stranger", history(listed(), signer=STRANGER)),
    ("not canonical", spaced()),
]


@pytest.mark.parametrize("given", cases(REFUSED))
def test_a_key_that_was_not_in_force_is_refused(given: bytes) -> None:
    assert verdict(given).step == "signature"


def test_a_revoked_key_keeps_what_a_pinned_witness_saw_before() -> None:
    given = history(listed(revokedAt=REVOKED, reason="stolen"))
    assert verdict(given, witnessed(REVOKED_SECONDS - 1), witnesses=PINNED).valid
    assert verdict(given, witnessed(REVOKED_SECONDS + 9, REVOKED_SECONDS - 1), witnesses=PINNED).valid


@pytest.mark.parametrize("seconds", [REVOKED_SECONDS, REVOKED_SECONDS + 1, 2**62])
def test_a_witness_that_saw_it_too_late_does_not_help(seconds: int) -> None:
    given = history(listed(revokedAt=REVOKED))
    assert verdict(given, witnessed(seconds), witnesses=PINNED).step == "signature"


def test_a_witness_that_nobody_pinned_does_not_help() -> None:
    given = history(listed(revokedAt=REVOKED))
    assert verdict(given, witnessed(REVOKED_SECONDS - 1)).step == "signature"


@pytest.mark.parametrize("revoked", [ISSUED, "2026-11-24T03:10:36Z"])
def test_a_witness_does_not_help_a_receipt_that_was_issued_after_the_revocation(revoked: str) -> None:
    assert verdict(history(listed(revokedAt=revoked)), witnessed(1), witnesses=PINNED).step == "signature"


def test_a_forged_cosignature_does_not_help() -> None:
    draft = Draft()
    draft.write_note = lambda body: f"{body}\n{sign_note(body)}{cosign(body + 'x', REVOKED_SECONDS - 1)}"
    assert verdict(history(listed(revokedAt=REVOKED)), draft, witnesses=PINNED).step == "signature"


MALFORMED: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("no JSON", b"keys"),
    ("a list", b"[]"),
    ("another payload type", history(listed(), kind=IN_TOTO)),
    ("no list of keys", json.dumps(envelope(KEYS, b"{}", LOG)).encode()),
    ("keys as text", json.dumps(envelope(KEYS, rfc8785.dumps({"keys": "none"}), LOG)).encode()),
    ("a name twice", json.dumps(envelope(KEYS, b'{"keys":[],"keys":[]}', LOG)).encode()),
    ("a byte order mark", b"\xef\xbb\xbf" + history(listed())),
    ("too long", history(listed()) + b" " * 16 * 1024 * 1024),
    ("65 brackets", json.dumps({**json.loads(history(listed())), "x": json.loads("[" * 64 + "]" * 64)}).encode()),
    *(
        (f"without {name}", history({key: value for key, value in listed().items() if key != name}))
        for name in listed()
    ),
    ("a validity that is no time", history(listed(validFrom="2026"))),
    ("a revocation that is no time", history(listed(revokedAt="soon"))),
]


@pytest.mark.parametrize("given", cases(MALFORMED))
def test_a_history_of_another_shape_is_not_well_formed(given: bytes) -> None:
    assert verdict(given).step == "well-formed"


def test_without_a_history_revocation_is_not_looked_at() -> None:
    assert verify(seal(Draft()).data, TRUSTED).valid


def test_a_newer_history_in_the_log_is_said(tmp_path: Path) -> None:
    given = history(listed())
    for number, (digest, said) in enumerate([(sha256(given), False), ("ab" * 32, True)]):
        draft = Draft()
        draft.further = {300: entry("key", "cd" * 32), 301: entry("key", digest)}
        sealed = seal(draft)
        log = write_log(tmp_path / str(number), sealed.entries)
        found = verify(sealed.data, TRUSTED, history=given, log=str(log))
        assert found.valid
        assert any("newer key history" in note for note in found.notes) is said


def test_a_pem_with_other_line_breaks_is_the_same_key() -> None:
    assert verdict(history({**listed(), "key": pem(ISSUER).replace("\n", "\r\n")})).valid
