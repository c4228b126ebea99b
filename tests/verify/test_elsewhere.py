"""What securesystemslib and in-toto-attestation say of receipts, altered in ways that the page does not show."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as Message
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from .builder import IN_TOTO, ISSUER, STRANGER, Draft, b64, envelope, over_runs, seal, tombstone
from .changes import Change, cases, drop, put

KEY = SSlibKey.from_crypto(ISSUER.public_key(), "hint")


def accepted(given: dict[str, Any]) -> Any:
    """Verify and read, as the page does."""
    read = Envelope.from_dict(given)
    read.verify([KEY], threshold=1)
    statement = Statement.copy_from_pb(Parse(read.payload, Message()))
    statement.validate()
    return statement


@pytest.mark.parametrize("make", [Draft, over_runs, tombstone])
def test_they_accept_receipts(make: Callable[[], Draft]) -> None:
    statement = accepted(seal(make()).bundle["dsseEnvelope"])
    assert statement.pb.predicate_type == "urn:retentiond:deletion-receipt:v1"
    assert len(statement.pb.subject[0].digest["sha256"]) == 64


@pytest.mark.parametrize(
    "change",
    cases(
        [
            ("another body", put("payload", value=b64(b"{}"))),
            ("another type", put("payloadType", value="text/plain")),
            ("another signature", put("signatures", 0, "sig", value=b64(bytes(64)))),
            ("a stranger's", put("signatures", value=envelope(IN_TOTO, b"{}", STRANGER)["signatures"])),
        ]
    ),
)
def test_securesystemslib_refuses_what_was_altered(change: Change) -> None:
    given = seal(Draft()).bundle["dsseEnvelope"]
    change(given)
    with pytest.raises(VerificationError):
        accepted(given)


@pytest.mark.parametrize(
    "change",
    cases(
        [
            ("another form", put("_type", value="https://in-toto.io/Statement/v2")),
            ("no subject", put("subject", value=[])),
            ("no digest", drop("subject", 0, "digest")),
            ("no predicate type", drop("predicateType")),
        ]
    ),
)
def test_in_toto_refuses_a_signed_statement_of_another_form(change: Change) -> None:
    statement = json.loads(base64.b64decode(seal(Draft()).bundle["dsseEnvelope"]["payload"]))
    change(statement)
    with pytest.raises(ValueError, match=r"Wrong statement type|At least one|Predicate type required"):
        accepted(envelope(IN_TOTO, json.dumps(statement).encode(), ISSUER))
