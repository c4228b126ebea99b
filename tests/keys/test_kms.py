"""Keys in AWS KMS, against a service of the tests that is held to botocore's description of the real one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from retentiond.engine import keyverbs
from retentiond.errors import KeyFileError, KeyServiceError, RetentiondError
from retentiond.keys import kms
from retentiond.verify import verify
from tests.deploy.iam import policy
from tests.engine.office import Office, carry, make_office
from tests.servers.kms import Kms, kms_server


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kms]:
    kms.kms_signer.cache_clear()
    with kms_server() as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", made.url)
        yield made
    kms.kms_signer.cache_clear()


def test_a_key_of_kms_signs_as_any_other(service: Kms) -> None:
    signer = kms.kms_signer(service.add("1a2b", alias="issuer"))
    assert signer.public_key == service.keys["1a2b"].public_key().public_bytes_raw()
    for message in (b"", b"DSSEv1 \x00", b"m" * 4096):
        Ed25519PublicKey.from_public_bytes(signer.public_key).verify(signer.sign(message), message)
    with pytest.raises(KeyServiceError, match="at most 4096 bytes"):
        signer.sign(b"m" * 4097)
    assert service.calls == ["GetPublicKey", "Sign", "Sign", "Sign"]


def test_what_passes_is_tried_again_and_what_does_not_is_told(service: Kms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setattr(kms, "_READ_SECONDS", 0.2)
    signer = kms.kms_signer(service.add("k"))
    service.failures = ["ThrottlingException", "KMSInternalException", "ThrottlingException"]
    assert len(signer.sign(b"m")) == 64
    told = {
        "=ThrottlingException": "the next run tries again",
        "=AccessDeniedException": "allow kms:Sign",
        "=DisabledException": "enable the key",
        "=KMSInvalidStateException": "cancel the key's deletion",
        "=hang": "the next run tries again",
    }
    for code, remedy in told.items():
        service.failures = [code]
        with pytest.raises(KeyServiceError, match="KMS does not sign") as caught:
            signer.sign(b"m")
        assert remedy in caught.value.remedy
        assert caught.value.where == "awskms:k"


def test_what_is_no_key_of_ed25519_or_not_there_is_refused(service: Kms) -> None:
    service.specs["curve"] = "ECC_NIST_P256"
    with pytest.raises(KeyFileError, match="does not sign with Ed25519: ECC_NIST_P256") as caught:
        kms.kms_signer(service.add("curve"))
    assert "ECC_NIST_EDWARDS25519" in caught.value.remedy
    with pytest.raises(KeyServiceError, match="NotFoundException"):
        kms.kms_signer("awskms:nowhere")


def test_an_alias_that_points_at_another_key_by_now_signs_nothing(service: Kms) -> None:
    signer = kms.kms_signer(service.add("first", alias="a"))
    service.add("second", alias="a")
    with pytest.raises(KeyServiceError, match="not one of the key that was there at the start"):
        signer.sign(b"m")


def test_receipts_signed_by_kms_verify_and_without_it_nothing_is_removed(service: Kms, tmp_path: Path) -> None:
    office = make_office(tmp_path)
    issuer, log = service.add("k-issuer", alias="issuer"), service.add("k-log")
    pins = [(office.root / "keys" / name).read_text() for name in ("issuer.pem", "log.vkey")]
    due(office, "before")
    office.edit("retentiond.yaml", "keys: ../keys", f"keys: {{directory: ../keys, issuer: '{issuer}', log: '{log}'}}")
    for role in ("issuer", "log"):
        with office.open() as ctx:
            keyverbs.rotate(ctx, role, "7 days", None, destroy=False)
    due(office, "after")
    pins += [(office.root / "log" / "keys" / name).read_text() for name in ("issuer.pem", "log.vkey")]
    history = (office.root / "log" / "keys" / "history.json").read_bytes()
    bundles = [path.read_bytes() for path in sorted((office.root / "receipts").glob("*.bundle.json"))]
    log_there = str(office.root / "log")
    assert {f"kms:{call}" for call in service.calls} == {each.action for each in policy("signing")}
    assert [verify(each, pins, history=history, log=log_there).reason for each in bundles] == [None, None]
    assert [verify(each, pins[2:], history=history).valid for each in bundles] == [False, True]

    service.failures = ["=AccessDeniedException"]
    with pytest.raises(RetentiondError, match="AccessDenied"):
        due(office, "denied")
    assert office.rows() == {"denied"}
    assert len(list((office.root / "receipts").glob("*.bundle.json"))) == 2
    service.failures = []
    carry(office)
    assert office.rows() == set()


def due(office: Office, key: str) -> None:
    office.clock.at += timedelta(hours=1)  # receipts of one moment have no order
    office.request(key, 3, account="acct-zero")
    carry(office)
