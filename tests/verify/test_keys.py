"""The keys of the verifier's own side: each is recognised by what it is, and answers only for its own role."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from retentiond.verify import UsageError, verify
from retentiond.verify.ed25519 import holds, is_weak
from retentiond.verify.keyring import fingerprint

from .builder import (
    ISSUER,
    LOG,
    ORIGIN,
    STRANGER,
    TRUSTED,
    WITNESS,
    WITNESS_1,
    Draft,
    b64,
    cosign,
    history,
    listed,
    pem,
    raw,
    seal,
    sign_note,
    vkey,
)
from .changes import cases

ISSUER_PEM, LOG_VKEY = TRUSTED
PRIVATE = ISSUER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
SPKI = PublicFormat.SubjectPublicKeyInfo
P256 = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.PEM, SPKI).decode()
ED448 = ed448.Ed448PrivateKey.generate().public_key().public_bytes(Encoding.PEM, SPKI).decode()
OTHER_ID = LOG_VKEY.replace(LOG_VKEY.split("+")[1], "00000000")
HOSTILE = "name\u202e'; DROP TABLE--<script>+00000000+AAAA"


@pytest.mark.parametrize(
    ("keys", "said"),
    cases(
        [
            ("none", [], "issuer"),
            ("the issuer's alone", [ISSUER_PEM], "log"),
            ("the log's alone", [LOG_VKEY], "issuer"),
            ("the issuer's twice", [ISSUER_PEM, ISSUER_PEM, LOG_VKEY], "role issuer is given twice"),
            ("the log's twice", [ISSUER_PEM, LOG_VKEY, LOG_VKEY], "role log is given twice"),
            ("empty file", [ISSUER_PEM, LOG_VKEY, ""], "neither"),
            ("not text", [ISSUER_PEM, b"\xff\xfe"], "not text"),
            ("a private key", [PRIVATE, LOG_VKEY], "private"),
            ("a P-256 key", [P256, LOG_VKEY], "not Ed25519"),
            ("an Ed448 key", [ED448, LOG_VKEY], "not Ed25519"),
            ("two keys in one file", [ISSUER_PEM + pem(STRANGER), LOG_VKEY], "exactly one"),
            ("a truncated PEM", [ISSUER_PEM[:60], LOG_VKEY], "not a public key in PEM"),
            ("a PEM of nothing", ["-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", LOG_VKEY], "PEM"),
            ("a vkey of another id", [ISSUER_PEM, OTHER_ID], "key id"),
            ("a vkey of a witness", [ISSUER_PEM, vkey(WITNESS, raw(WITNESS_1), 4)], "signature type 0x04"),
            ("a vkey of an unknown type", [ISSUER_PEM, vkey(ORIGIN, raw(LOG), 6)], "signature type 0x06"),
            ("a vkey of 31 bytes", [ISSUER_PEM, vkey(ORIGIN, raw(LOG)[:31])], "signature type"),
            ("a vkey without name", [ISSUER_PEM, vkey("", raw(LOG))], "form"),
            ("a vkey with a space", [ISSUER_PEM, vkey("a b", raw(LOG))], "form"),
            ("a hostile vkey", [ISSUER_PEM, HOSTILE], "neither"),
            ("a vkey without base64", [ISSUER_PEM, f"{ORIGIN}+00000000+===="], "base64"),
            ("a bundle as a key", [ISSUER_PEM, LOG_VKEY, "{}"], "neither"),
        ],
    ),
)
def test_keys_that_cannot_be_used_are_a_usage_error_with_a_remedy(keys: Any, said: str) -> None:
    with pytest.raises(UsageError) as error:
        verify(b"", keys)
    assert said in error.value.what
    assert error.value.remedy


@pytest.mark.parametrize("witness", [LOG_VKEY, ISSUER_PEM, "", vkey(WITNESS, raw(WITNESS_1), 6)])
def test_a_witness_key_has_to_be_one(witness: str) -> None:
    with pytest.raises(UsageError):
        verify(b"", TRUSTED, witnesses=[witness])


def test_a_witness_counts_once() -> None:
    with pytest.raises(UsageError, match="twice"):
        verify(b"", TRUSTED, witnesses=[vkey(WITNESS, raw(WITNESS_1), 4), vkey("other.example", raw(WITNESS_1), 4)])


def test_white_space_around_a_key_does_not_matter() -> None:
    assert verify(seal(Draft()).data, [f"\n {LOG_VKEY}\r\n", f"\n{ISSUER_PEM}\n"]).valid


def test_exchanged_roles_are_refused() -> None:
    data = seal(Draft()).data
    assert verify(data, [pem(LOG), vkey(ORIGIN, raw(ISSUER))]).step == "signature"
    assert verify(data, [pem(LOG), LOG_VKEY]).step == "signature"
    assert verify(data, [ISSUER_PEM, vkey(ORIGIN, raw(ISSUER))]).step == "checkpoint"


def test_each_receipt_is_verified_with_its_own_of_several_keys() -> None:
    receipt = seal(Draft()).data
    others = [pem(STRANGER), vkey(ORIGIN, raw(STRANGER)), vkey("other.example", raw(STRANGER))]
    for keys in ([*others, *TRUSTED], [*TRUSTED, *others]):
        found = verify(receipt, keys)
        assert found.reason is None
        assert any(fingerprint(raw(ISSUER))[:16] in line for line in found.proven)
    without = verify(receipt, [*others, LOG_VKEY])
    assert (without.step, "pinned issuer key" in str(without.reason)) == ("signature", True)
    assert verify(receipt, [ISSUER_PEM, *others[1:]]).step == "checkpoint"
    both = verify(receipt, [pem(STRANGER), pem(LOG), LOG_VKEY])
    assert both.reason == "none of the 1 signatures is by one of the 2 pinned issuer keys"


def test_of_two_pinned_issuers_that_signed_one_has_to_be_in_force() -> None:
    receipt = seal(Draft(signers=(ISSUER, STRANGER))).data
    ended = listed(validUntil="2026-11-24T03:10:37Z")
    for records, step in (([ended, listed(STRANGER)], None), ([ended], "signature"), ([listed(STRANGER)], None)):
        assert verify(receipt, [*TRUSTED, pem(STRANGER)], history=history(*records)).step == step


def test_a_checkpoint_that_only_a_revoked_log_key_signed_takes_a_witness() -> None:
    revoked = {**listed(revokedAt="2026-12-01T00:00:00Z"), "role": "log", "key": LOG_VKEY}
    moment = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp())
    given = history(listed(), revoked, {**revoked, "key": "ML-DSA?"})
    assert verify(seal(Draft()).data, TRUSTED, history=given).step == "checkpoint"
    assert verify(seal(Draft()).data, TRUSTED).valid

    def judged(signed: Callable[[str], str], *more: str) -> str | None:
        draft = Draft(write_note=lambda body: f"{body}\n{sign_note(body)}{signed(body)}")
        witnesses = [vkey(WITNESS, raw(WITNESS_1), 4)] if not more else []
        return verify(seal(draft).data, [*TRUSTED, *more], history=given, witnesses=witnesses).step

    assert judged(lambda body: cosign(body, moment - 1)) is None
    assert judged(lambda body: cosign(body, moment)) == "checkpoint"
    assert judged(lambda body: sign_note(body, signer=STRANGER), vkey(ORIGIN, raw(STRANGER))) is None


# -------------------------------------------------------------------------------------------------------- small order

PRIME = 2**255 - 19
D = -121665 * pow(121666, -1, PRIME) % PRIME


def double(point: tuple[int, int]) -> tuple[int, int]:
    """Double a point of edwards25519, by the formula of RFC 8032, section 5.1.4, in affine coordinates."""
    x, y = point
    product = D * x * x * y * y % PRIME
    return (
        2 * x * y * pow(1 + product, -1, PRIME) % PRIME,
        (y * y + x * x) * pow(1 - product, -1, PRIME) % PRIME,
    )


def points(y: int) -> list[tuple[int, int]]:
    """All points with this y coordinate (RFC 8032, section 5.1.3)."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, PRIME) % PRIME
    root = pow(square, (PRIME + 3) // 8, PRIME)
    if root * root % PRIME != square:
        root = root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    return [(x, y % PRIME) for x in {root, -root % PRIME} if x * x % PRIME == square]


def has_small_order(y: int) -> bool:
    return any(double(double(double(point))) == (0, 1) for point in points(y))


# y of a point of order 8: y^2 = the roots of d*y^4 + 2*y^2 - 1 = 0, found by solving the doubling formula for (±i, 0).
def order_eight() -> list[int]:
    found = []
    root = pow(1 + D, (PRIME + 3) // 8, PRIME)
    if root * root % PRIME != (1 + D) % PRIME:
        root = root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    for square in ((-1 + root) * pow(D, -1, PRIME) % PRIME, (-1 - root) * pow(D, -1, PRIME) % PRIME):
        y = pow(square, (PRIME + 3) // 8, PRIME)
        for candidate in (y, y * pow(2, (PRIME - 1) // 4, PRIME) % PRIME):
            if candidate * candidate % PRIME == square:
                found += [candidate, -candidate % PRIME]
    return sorted(set(found))


SMALL = [0, 1, PRIME - 1, *order_eight()]
SPELLINGS = [
    (y + sign * 2**255).to_bytes(32, "little") for y in [*SMALL, PRIME, PRIME + 1, 2**255 - 1] for sign in (0, 1)
]


def test_the_small_points_are_what_they_are_said_to_be() -> None:
    assert len(SMALL) == 5
    assert all(map(has_small_order, SMALL))
    assert not has_small_order(int.from_bytes(raw(ISSUER), "little") & (2**255 - 1))


@pytest.mark.parametrize("key", SPELLINGS, ids=bytes.hex)
def test_a_key_of_small_order_answers_for_nothing(key: bytes) -> None:
    assert is_weak(key)
    # R = identity, S = 0 verifies for many messages under such a key where nobody looks.
    assert not holds(key, (1).to_bytes(32, "little") + bytes(32), b"anything")
    weak_pem = Ed25519PublicKey.from_public_bytes(key).public_bytes(Encoding.PEM, SPKI).decode()
    found = verify(seal(Draft()).data, [weak_pem, LOG_VKEY])
    assert found.step == "signature"
    assert "small order" in (found.reason or "")
    found = verify(seal(Draft()).data, [ISSUER_PEM, vkey(ORIGIN, key)])
    assert found.step == "checkpoint"
    assert "small order" in (found.reason or "")


def test_a_signature_that_everybody_can_make_for_a_small_key_is_refused() -> None:
    """With the identity as key, (R = identity, S = 0) is right for every message; the library alone accepts it."""
    identity = (1).to_bytes(32, "little")
    forged = identity + bytes(32)
    Ed25519PublicKey.from_public_bytes(identity).verify(forged, b"anything")
    weak_pem = Ed25519PublicKey.from_public_bytes(identity).public_bytes(Encoding.PEM, SPKI).decode()
    sealed = seal(Draft())
    sealed.bundle["dsseEnvelope"]["signatures"] = [{"sig": b64(forged)}]
    assert verify(sealed.data, [weak_pem, LOG_VKEY]).step == "signature"


@pytest.mark.parametrize("private", [ISSUER, LOG, STRANGER])
def test_an_honest_key_is_not_weak(private: Any) -> None:
    assert not is_weak(raw(private))
    assert holds(raw(private), private.sign(b"text"), b"text")
    assert not holds(raw(private), private.sign(b"text"), b"texts")


def test_the_signature_of_rfc_8032_holds() -> None:
    key = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    )
    assert holds(key, signature, b"\x72")
    order = 2**252 + 27742317777372353535851937790883648493
    malleable = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    assert not holds(key, malleable, b"\x72")
