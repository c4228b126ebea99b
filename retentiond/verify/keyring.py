"""The keys that the verifier's own side trusts, told apart by what they are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .errors import UsageError
from .note import LOG_KEY, WITNESS_KEY, NoteKey, read_key

_Key = TypeVar("_Key")
_ISSUER_REMEDY = "give the issuer's public key (keys/issuer.pem) with --key"
_LOG_REMEDY = "give the log's verifier key (keys/log.vkey) with --key"


@dataclass(frozen=True, slots=True)
class PinnedKeys:
    """The keys for each role, and each answers only for its own: `issuers` are raw Ed25519 keys of 32 bytes.

    There is one of each, or more where a rotation put another in its place.
    """

    issuers: tuple[bytes, ...]
    logs: tuple[NoteKey, ...]


def pin(contents: Sequence[str | bytes]) -> PinnedKeys:
    """Tell the issuer's keys and the log's keys apart.

    Args:
        contents: what stands in the key files, in any order.

    Raises:
        UsageError: one is missing, given twice, or unusable.
    """
    issuers: list[bytes] = []
    logs: list[NoteKey] = []
    for text in map(_as_text, contents):
        if "-----BEGIN" in text:
            issuers.append(_read_issuer(text))
        else:
            logs.append(_read_note_key(text, LOG_KEY, "a log's verifier key", _LOG_REMEDY))
    return PinnedKeys(_some(issuers, "issuer", _ISSUER_REMEDY), _some(logs, "log", _LOG_REMEDY))


def pin_witnesses(contents: Sequence[str | bytes]) -> tuple[NoteKey, ...]:
    """Read the verifier keys of witnesses (cosignature/v1); UsageError where one is unusable or given twice."""
    remedy = "give a witness's verifier key (signature type 0x04) with --witness"
    keys = tuple(_read_note_key(_as_text(item), WITNESS_KEY, "a witness's verifier key", remedy) for item in contents)
    if len({key.key for key in keys}) != len(keys):
        raise UsageError("a witness is given twice", remedy="name each witness once")
    return keys


def issuer_key(pem: str) -> bytes:
    """Read an Ed25519 public key (SubjectPublicKeyInfo in PEM) as its raw 32 bytes; ValueError otherwise."""
    if pem.count("-----BEGIN") != 1:
        raise ValueError("not exactly one public key in PEM")
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("not a public key in PEM") from error
    if isinstance(key, Ed25519PublicKey):
        return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    raise ValueError("a public key, but not Ed25519")


def fingerprint(key: bytes) -> str:
    """Give the `keyid` of a raw Ed25519 key: lower-case hex SHA-256 of its SubjectPublicKeyInfo (DER)."""
    public = Ed25519PublicKey.from_public_bytes(key)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(public.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def _as_text(content: str | bytes) -> str:
    if isinstance(content, str):
        return content.strip()
    try:
        return content.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise UsageError("a key file is not text", remedy=f"{_ISSUER_REMEDY}, and {_LOG_REMEDY}") from error


def _read_issuer(text: str) -> bytes:
    if "PRIVATE KEY" in text:
        raise UsageError(
            "a private key was given; verifying needs the public one, and nobody else should have the private one",
            remedy=_ISSUER_REMEDY,
        )
    try:
        return issuer_key(text)
    except ValueError as error:
        raise UsageError(f"the issuer's key is unusable: it is {error}", remedy=_ISSUER_REMEDY) from error


def _read_note_key(text: str, kind: int, what_it_is: str, remedy: str) -> NoteKey:
    try:
        key = read_key(text)
    except ValueError as error:
        raise UsageError(
            f"a key is neither a public key in PEM nor {what_it_is}: {error}", where=ascii(text[:80]), remedy=remedy
        ) from error
    if key.kind != kind:
        raise UsageError(
            f"the key of {key.name!a} has signature type 0x{key.kind:02x}: it is not {what_it_is}",
            where=ascii(text[:80]),
            remedy=remedy,
        )
    return key


def _some(keys: list[_Key], role: str, remedy: str) -> tuple[_Key, ...]:
    if not keys:
        raise UsageError(f"0 keys for the role {role}, where one is needed", remedy=remedy)
    if len(set(keys)) != len(keys):
        raise UsageError(f"a key for the role {role} is given twice", remedy="name each key once")
    return tuple(keys)
