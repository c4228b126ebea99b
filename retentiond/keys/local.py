"""The four keys in local files: issuer and log (Ed25519), wrapping (AES-256-GCM) and replay (keyed BLAKE2b)."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from retentiond.errors import KeyFileError, LogIntegrityError
from retentiond.evidence.envelope import key_id
from retentiond.evidence.vkey import VerifierKey
from retentiond.keys import files
from retentiond.keys.history import KeyRecord, encode_history

ISSUER_KEY = "issuer.key"
LOG_KEY = "log.key"
WRAPPING_KEY = "wrapping.key"
REPLAY_KEY = "replay.key"
ISSUER_PEM = "issuer.pem"
LOG_VKEY = "log.vkey"
HISTORY = "history.json"

_SECRET_BYTES = 32
_NONCE_BYTES = 12
_SEALED_V1 = b"\x01"
_COMMITMENT = b"retentiond/replay/v1\x00"
_HEX_SECRET = re.compile(rb"[0-9a-f]{64}\n?")
_RESTORE = "restore it from its backup"


class LocalSigner:
    """An Ed25519 private key in memory. Implements the port `Signer`."""

    __slots__ = ("_key", "_public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = key.public_key()

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes."""
        return self._public.public_bytes_raw()

    @property
    def keyid(self) -> str:
        """Lower-case hex SHA-256 of the SubjectPublicKeyInfo."""
        return key_id(self.public_key)

    @property
    def public_pem(self) -> str:
        """The public key as PEM (SubjectPublicKeyInfo)."""
        return self._public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature (RFC 8032)."""
        return self._key.sign(message)


class LocalSealer:
    """AES-256-GCM under a key in memory. Implements the port `Sealer`.

    Sealed bytes are a version byte, 12 random bytes, ciphertext and tag; the context is authenticated with them.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Return the sealed bytes; the same context opens them."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _SEALED_V1 + nonce + self._cipher.encrypt(nonce, plain, _SEALED_V1 + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return the plain bytes.

        Raises:
            KeyFileError: They were sealed under another key or context, or altered.
        """
        version, nonce, rest = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            # The version is authenticated: bytes of another one do not open.
            return self._cipher.decrypt(nonce, rest, version + context)
        except (InvalidTag, ValueError) as error:
            raise KeyFileError(
                "sealed bytes were sealed under another wrapping key or for another use, or were altered",
                where=context.decode(errors="backslashreplace"),
                remedy=f"restore the {WRAPPING_KEY} that belongs to this ledger",
            ) from error


class LocalCommitter:
    """Keyed BLAKE2b-256 under a key in memory. Implements the port `Committer`."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def commit(self, label: str, value: str) -> str:
        """Return the commitment to a value under a label, lower-case hex."""
        name, text = label.encode(), value.encode(errors="surrogatepass")
        message = _COMMITMENT + len(name).to_bytes(4) + name + text
        return hashlib.blake2b(message, key=self._key, digest_size=32).hexdigest()


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys of an instance.

    Attributes:
        vkey: The log's verifier key (`name+hex+base64`).
        history: `history.json` as it is published.
    """

    issuer: LocalSigner = field(repr=False)
    log: LocalSigner = field(repr=False)
    wrapping: LocalSealer = field(repr=False)
    replay: LocalCommitter = field(repr=False)
    vkey: str
    history: bytes = field(repr=False)


def create_all(directory: Path, origin: str, now: datetime) -> None:
    """Make all keys of a new instance, each private file for its owner only.

    Args:
        directory: Where they go; made if it is not there.
        origin: The log's name, which the log's key signs under.
        now: From when on the keys are valid.

    Raises:
        KeyFileError: One of the files is there already (then none is made), or something cannot be written.
        LogIntegrityError: The origin cannot name a key.
    """
    issuer_key, log_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    issuer, log = LocalSigner(issuer_key), LocalSigner(log_key)
    vkey = VerifierKey(origin, log.public_key).encode()
    records = (KeyRecord("issuer", issuer.public_pem, now), KeyRecord("log", vkey, now))
    private = {
        ISSUER_KEY: _pem(issuer_key),
        LOG_KEY: _pem(log_key),
        WRAPPING_KEY: _new_secret(),
        REPLAY_KEY: _new_secret(),
    }
    public = {
        ISSUER_PEM: issuer.public_pem.encode(),
        LOG_VKEY: f"{vkey}\n".encode(),
        HISTORY: encode_history(records, log),
    }
    files.make_directory(directory)
    for name in (*private, *public):
        if (directory / name).is_symlink() or (directory / name).exists():
            raise files.already_there(directory / name)
    for name, data in private.items():
        files.create(directory / name, data, files.PRIVATE_MODE)
    for name, data in public.items():
        files.create(directory / name, data, files.PUBLIC_MODE)
    files.sync_directory(directory)


def load_keys(directory: Path, origin: str) -> Keys:
    """Read all keys of an instance and check that they belong together.

    Raises:
        KeyFileError: One is missing, can be read by others, is not the kind of key that it must be, or the published
            half does not fit the private one or the origin. The error says what to do.
    """
    issuer, log = _load_signer(directory / ISSUER_KEY), _load_signer(directory / LOG_KEY)
    if issuer.public_key == log.public_key:
        remedy = "make new keys; one key must not sign both receipts and log"
        raise KeyFileError("issuer and log key are the same", where=str(directory), remedy=remedy)
    _check_published(directory / ISSUER_PEM, issuer.public_pem)
    vkey = _vkey(directory / LOG_KEY, origin, log)
    _check_published(directory / LOG_VKEY, vkey)
    wrapping = LocalSealer(_load_secret(directory / WRAPPING_KEY))
    replay = LocalCommitter(_load_secret(directory / REPLAY_KEY))
    return Keys(issuer, log, wrapping, replay, vkey, files.read_public(directory / HISTORY))


def _load_signer(path: Path) -> LocalSigner:
    pem = files.read_private(path)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError("not a private key in PEM without a password", where=str(path), remedy=_RESTORE) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError("not an Ed25519 key", where=str(path), remedy=_RESTORE)
    return LocalSigner(key)


def _load_secret(path: Path) -> bytes:
    text = files.read_private(path)
    if not _HEX_SECRET.fullmatch(text):
        raise KeyFileError("not a key of 64 lower-case hex digits", where=str(path), remedy=_RESTORE)
    return bytes.fromhex(text.decode())


def _vkey(path: Path, origin: str, log: LocalSigner) -> str:
    try:
        return VerifierKey(origin, log.public_key).encode()
    except LogIntegrityError as error:
        what = f"the origin {origin!r} cannot name the log's key"
        raise KeyFileError(what, where=str(path), remedy=error.remedy) from error


def _check_published(path: Path, expected: str) -> None:
    if files.read_public(path).strip() != expected.strip().encode():
        raise KeyFileError(
            "this is not the public half of the private key beside it, under the configured origin",
            where=str(path),
            remedy="set `origin` back to the name in log.vkey, or restore private and public keys from one backup",
        )


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _new_secret() -> bytes:
    return secrets.token_hex(_SECRET_BYTES).encode() + b"\n"
