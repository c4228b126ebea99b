"""Keys in AWS KMS: `ECC_NIST_EDWARDS25519`, signed with as `ED25519_SHA_512` over raw messages. They never leave it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from retentiond.errors import KeyFileError, KeyServiceError
from retentiond.evidence.envelope import spki

SCHEME = "awskms:"
_SPEC = "ECC_NIST_EDWARDS25519"
_ALGORITHM = "ED25519_SHA_512"
_MOST_MESSAGE_BYTES = 4096
_RAW_BYTES = 32
_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5, 10, 4
_ARN_PARTS = 6


class _Client(Protocol):
    """What is used of KMS."""

    def get_public_key(self, *, KeyId: str) -> dict[str, Any]: ...  # noqa: N803 - as boto3 has it

    def sign(self, *, KeyId: str, Message: bytes, MessageType: str, SigningAlgorithm: str) -> dict[str, Any]: ...  # noqa: N803


class KmsSigner:
    """A key in KMS. Implements the port `Signer`.

    Args:
        key: Its id, its ARN, or `alias/NAME`.

    Raises:
        KeyFileError: It is not a key that signs with Ed25519.
        KeyServiceError: KMS does not say which it is.
    """

    def __init__(self, key: str, client: _Client) -> None:
        self._key = key
        self._client = client
        self._public = self._asked_for()

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature (RFC 8032), once it has been verified here.

        Raises:
            KeyServiceError: KMS did not sign, or with another key than the one that was there at the start.
        """
        if len(message) > _MOST_MESSAGE_BYTES:
            raise KeyServiceError(
                f"KMS signs at most {_MOST_MESSAGE_BYTES} bytes, and this has {len(message)}",
                where=SCHEME + self._key,
                remedy="the history of keys has become too long for a log key in KMS: see docs/keys.md",
            )
        try:
            answer = self._client.sign(KeyId=self._key, Message=message, MessageType="RAW", SigningAlgorithm=_ALGORITHM)
        except (BotoCoreError, ClientError) as error:
            raise _failed(self._key, "sign", error) from error
        signature: bytes = answer.get("Signature", b"")
        try:
            Ed25519PublicKey.from_public_bytes(self._public).verify(signature, message)
        except InvalidSignature as error:
            raise KeyServiceError(
                "KMS gave a signature that is not one of the key that was there at the start",
                where=SCHEME + self._key,
                remedy="name the key by its id; an alias that points at another key by now needs `keys rotate`",
            ) from error
        return signature

    def _asked_for(self) -> bytes:
        try:
            answer = self._client.get_public_key(KeyId=self._key)
        except (BotoCoreError, ClientError) as error:
            raise _failed(self._key, "show its public key", error) from error
        der: bytes = answer.get("PublicKey", b"")
        raw = der[-_RAW_BYTES:]
        signs = _ALGORITHM in answer.get("SigningAlgorithms", ())
        if answer.get("KeySpec") != _SPEC or not signs or der != spki(raw):
            raise KeyFileError(
                f"a key of KMS that does not sign with Ed25519: {answer.get('KeySpec')}, {answer.get('KeyUsage')}",
                where=SCHEME + self._key,
                remedy=f"make one with --key-spec {_SPEC} --key-usage SIGN_VERIFY",
            )
        return raw


@lru_cache(maxsize=16)
def kms_signer(source: str) -> KmsSigner:
    """Return a key of KMS; asked once in the life of a process, and every signature is verified.

    Args:
        source: `awskms:` and the key's id, its ARN or `alias/NAME`. An ARN says its region; else the platform does.
    """
    key = source.removeprefix(SCHEME)
    parts = key.split(":")
    region = parts[3] if len(parts) == _ARN_PARTS else None
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    try:
        client = boto3.client("kms", region_name=region, config=config)
    except BotoCoreError as error:
        raise _failed(key, "be reached", error) from error
    return KmsSigner(key, cast("_Client", client))


def _failed(key: str, verb: str, error: BotoCoreError | ClientError) -> KeyServiceError:
    code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
    remedies = {
        "AccessDeniedException": "allow kms:Sign and kms:GetPublicKey on this key: see deploy/aws/signing.json",
        "NotFoundException": "name a key that is there, in its region",
        "DisabledException": "enable the key, or `retentiond keys rotate` to another one",
        "KMSInvalidStateException": "cancel the key's deletion, or `retentiond keys rotate` to another one",
    }
    remedy = remedies.get(code, "nothing was signed; the next run tries again")
    return KeyServiceError(f"KMS does not {verb}: {error}", where=SCHEME + key, remedy=remedy)
