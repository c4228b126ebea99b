"""Approvals by keys that lie in a security key (FIDO), which signs only when somebody touches it.

No such key is in a test machine. What one signs is known (OpenSSH PROTOCOL.u2f), so that this one is played: the digest
of its application, its flags, its counter, and the digest of what it is asked to sign.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from retentiond.engine import approvals, sshsig
from retentiond.engine.running import apply_plan
from retentiond.errors import ApprovalError
from tests.engine.office import Office, make_office, plan

TOUCHED = 0x01
APPLICATION = b"ssh:"


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


def number(value: int) -> bytes:
    return string(value.to_bytes(value.bit_length() // 8 + 1))


@dataclass(frozen=True)
class SecurityKey:
    """A key of a kind, its flags as it would set them, and a pen that writes with it."""

    kind: str
    flags: int = TOUCHED
    application: bytes = APPLICATION

    @property
    def offered(self) -> Sequence[tuple[str, str]]:
        return [(self.kind, base64.b64encode(self.public).decode())]

    @property
    def public(self) -> bytes:
        if "ed25519" in self.kind:
            point = ED25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            return string(self.kind.encode()) + string(point) + string(APPLICATION)
        point = P256.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return string(self.kind.encode()) + string(b"nistp256") + string(point) + string(APPLICATION)

    def sign(self, text: str, public: tuple[str, str]) -> str:
        """Sign as `ssh-keygen -Y sign` has a security key sign (OpenSSH PROTOCOL.sshsig)."""
        assert public == self.offered[0]
        kind = string(b"retentiond") + string(b"") + string(b"sha512")
        asked = b"SSHSIG" + kind + string(hashlib.sha512(text.encode()).digest())
        counter = (7).to_bytes(4)
        head = hashlib.sha256(self.application).digest() + bytes([self.flags]) + counter
        signed = head + hashlib.sha256(asked).digest()
        if "ed25519" in self.kind:
            raw = ED25519.sign(signed)
        else:
            r, s = decode_dss_signature(P256.sign(signed, ec.ECDSA(hashes.SHA256())))
            raw = number(r) + number(s)
        signature = string(self.kind.encode()) + string(raw) + bytes([self.flags]) + counter
        blob = b"SSHSIG" + (1).to_bytes(4) + string(self.public) + kind + string(signature)
        lines = base64.encodebytes(blob).decode()
        return f"-----BEGIN SSH SIGNATURE-----\n{lines}-----END SSH SIGNATURE-----\n"


ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256 = ec.derive_private_key(1234567890123456789, ec.SECP256R1())
KINDS = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = make_office(tmp_path, single_operator=False)
    made.feedback(1, 40)
    return made


def approve(office: Office, key: SecurityKey, options: str = "") -> str:
    """Have alice approve what is due with a security key, and return the plan's id."""
    kind, public = key.offered[0]
    (office.config / "approvers").write_text(f"alice {options}{kind} {public}\n", "ascii")
    with office.open() as ctx:
        planned = plan(ctx).plan
        assert planned is not None
        assert approvals.approve(replace(ctx, pen=key), planned.id, None) == 0
    return planned.id


@pytest.mark.parametrize("kind", KINDS)
def test_an_approval_by_a_security_key_counts(office: Office, kind: str) -> None:
    plan_id = approve(office, SecurityKey(kind))
    with office.open() as ctx:
        apply_plan(ctx, plan_id)
    assert office.rows("feedback") == set()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "other", [{"application": b"https://evil.example"}, {"flags": 0}], ids=["elsewhere", "untouched"]
)
def test_a_signature_for_something_else_or_without_a_touch_is_refused(
    office: Office, kind: str, other: dict[str, object]
) -> None:
    with pytest.raises(ApprovalError):
        approve(office, replace(SecurityKey(kind), **other))
    assert office.rows("feedback") == {1}


@pytest.mark.parametrize("kind", [*KINDS, "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"])
@pytest.mark.parametrize(("flags", "touched"), [(0, False), (0x04, False), (TOUCHED, True), (0x05, True)])
def test_a_touch_is_read_whichever_way_the_key_was_asked(kind: str, flags: int, *, touched: bool) -> None:
    more = string(b"https://example.com") + string(b"{}") + string(b"") if kind.startswith("webauthn") else b""
    made = string(kind.encode()) + string(b"signature") + bytes([flags]) + (7).to_bytes(4) + more
    assert sshsig._was_touched(made) is touched


def test_a_key_that_a_program_holds_needs_no_touch() -> None:
    assert sshsig._was_touched(string(b"ssh-ed25519") + string(b"signature"))
