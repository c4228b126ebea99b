"""Bundles and envelopes: what is handed out reads back as what went in, and half a disclosure is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from retentiond.errors import ReceiptError
from retentiond.evidence.bundle import AccountDisclosure, Bundle, ItemDisclosure
from retentiond.evidence.commitment import ItemAction
from retentiond.evidence.envelope import Envelope, key_id, pae, sign

KEY = b"\x00\xff'; DROP TABLE requests; --\n\xe2\x80\xae\xf0\x9f\x97\x91" + b"k" * 1024


class TestKey:
    """An Ed25519 key as the envelope asks for it."""

    __test__ = False

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes(32))

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def test_pae_counts_bytes_and_not_characters() -> None:
    # The example of the DSSE protocol, and one that is longer in bytes than in characters.
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("é", "é".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xa9"


def test_a_signature_is_over_the_pae() -> None:
    key = TestKey()
    envelope = sign(b'{"a":1}', key)
    (signature,) = envelope.signatures
    public = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    public.verify(signature.sig, b'DSSEv1 28 application/vnd.in-toto+json 7 {"a":1}')
    assert signature.keyid == key_id(key.public_key)
    assert Envelope.from_json(json.loads(json.dumps(envelope.to_json()))) == envelope


@pytest.mark.parametrize(
    "value",
    [{}, {"payload": "e30=", "payloadType": "x"}, {"payload": "*", "payloadType": "x", "signatures": []},
     {"payload": "e30=", "payloadType": "x", "signatures": [{"sig": "e30="}]},
     {"payload": None, "payloadType": "x", "signatures": []}],
)  # fmt: skip
def test_a_damaged_envelope_is_an_error_and_no_envelope(value: dict[str, object]) -> None:
    with pytest.raises(ReceiptError, match="cannot be read"):
        Envelope.from_json(value)


def test_a_customer_s_bundle_has_no_annex_and_says_whose_it_is_only_with_the_salt() -> None:
    bundle = Bundle(sign(b"{}", TestKey()), "proof\n", account=AccountDisclosure(b"leaf", 3, [bytes(32)]))
    found = json.loads(bundle.encode())
    assert found["annex"] is None
    assert found["account"] == {"id": None, "salt": None, "leaf": "bGVhZg==", "index": 3, "path": ["00" * 32]}
    halves: tuple[dict[str, Any], ...] = ({"id": "acct"}, {"salt": bytes(32)})
    for half in halves:
        with pytest.raises(ReceiptError, match="id and its salt"):
            AccountDisclosure(b"leaf", 3, [], **half)


def test_the_account_of_no_bytes_can_be_disclosed() -> None:
    assert AccountDisclosure(b"leaf", 3, [], "", bytes(32)).to_json()["id"] == ""


def test_hostile_keys_stand_in_a_bundle_byte_by_byte() -> None:
    item = ItemDisclosure("r\u202e\"'<b>", KEY, b"\x00", ItemAction.KEY_DESTROYED, bytes(32), 0, [])
    account = AccountDisclosure(b"leaf", 0, [])
    (found,) = json.loads(Bundle(sign(b"{}", TestKey()), "", account=account, items=[item]).encode())["items"]
    assert base64.b64decode(found["key"]) == KEY
    assert (found["dataset"], found["action"]) == ("r\u202e\"'<b>", "keyDestroyed")


def test_items_need_their_account() -> None:
    item = ItemDisclosure("requests", KEY, b"", ItemAction.PURGE, bytes(32), 0, [])
    with pytest.raises(ReceiptError, match="without their account"):
        Bundle(sign(b"{}", TestKey()), "", items=[item])
