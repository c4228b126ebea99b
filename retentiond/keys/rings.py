"""Wrapping keys (AES-256-GCM) and replay keys (keyed BLAKE2b): rings, the newest of which is used for what is new."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from retentiond.errors import KeyFileError

ID_BYTES = 8
_NONCE_BYTES = 12
_V1, _V2 = b"\x01", b"\x02"
_ID = b"retentiond/secret-id/v1\x00"
_COMMITMENT = b"retentiond/replay/v1\x00"


Newer: TypeAlias = Callable[[], Sequence[bytes]]
"""Gives the keys of a ring where they changed since it was asked last; else nothing."""


def secret_id(key: bytes) -> bytes:
    """Return the id of a secret key, 8 bytes; it tells nothing of the key."""
    return hashlib.sha256(_ID + key).digest()[:ID_BYTES]


class LocalSealer:
    """AES-256-GCM under keys in memory, the newest first. Implements the port `Sealer`.

    Sealed bytes are a version byte, the key's id, 12 random bytes, ciphertext and tag; version, id and context are
    authenticated with them. Version 1, of older programs, has no id: each key is tried.
    """

    __slots__ = ("_known", "_newer")

    def __init__(self, *keys: bytes, newer: Newer = tuple) -> None:
        self._known = {secret_id(key): AESGCM(key) for key in keys}
        self._newer = newer

    @property
    def _ciphers(self) -> dict[bytes, AESGCM]:
        if keys := self._newer():  # another process rotated: nothing may be sealed any more under a key that may go
            self._known = {secret_id(key): AESGCM(key) for key in keys}
        return self._known

    @property
    def mark(self) -> bytes:
        """What all bytes begin with that are sealed now: version and id of the newest key."""
        if not self._ciphers:
            raise KeyFileError("there is no wrapping key", remedy="restore it from its backup: see docs/keys.md")
        return _V2 + next(iter(self._ciphers))

    @property
    def count(self) -> int:
        """How many keys open."""
        return len(self._ciphers)

    def turn(self, key: bytes) -> None:
        """Seal under a new key from now on."""
        self._known = {secret_id(key): AESGCM(key)} | self._known

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Return the sealed bytes; the same context opens them."""
        mark, nonce = self.mark, secrets.token_bytes(_NONCE_BYTES)
        return mark + nonce + self._ciphers[mark[1:]].encrypt(nonce, plain, mark + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return the plain bytes.

        Raises:
            KeyFileError: They were sealed under another key or context, or altered.
        """
        found = self._opened(sealed, context)
        if found is None:
            raise KeyFileError(
                "sealed bytes were sealed under another wrapping key or for another use, or were altered",
                where=context.decode(errors="backslashreplace"),
                remedy="restore the wrapping keys that belong to this ledger: wrapping.key and every wrapping-*.key",
            )
        return found[1]

    def key_of(self, sealed: bytes, context: bytes) -> str:
        """Return the id of the key that opens sealed bytes; empty where none does."""
        found = self._opened(sealed, context)
        return found[0].hex() if found else ""

    def _opened(self, sealed: bytes, context: bytes) -> tuple[bytes, bytes] | None:
        version, key = sealed[:1], sealed[1 : 1 + ID_BYTES]
        if version == _V2:
            ids = [key] if key in self._ciphers else []
            head = sealed[: 1 + ID_BYTES]
        else:
            ids, head = list(self._ciphers) if version == _V1 else [], version
        for each in ids:
            plain = _decrypted(self._ciphers[each], head, sealed[len(head) :], context)
            if plain is not None:
                return each, plain
        return None


class LocalCommitter:
    """Keyed BLAKE2b-256 under keys in memory, the newest first. Implements the port `Committer`."""

    __slots__ = ("_known", "_newer")

    def __init__(self, *keys: bytes, newer: Newer = tuple) -> None:
        self._known: Sequence[bytes] = keys
        self._newer = newer

    @property
    def _keys(self) -> Sequence[bytes]:
        self._known = self._newer() or self._known
        return self._known

    def turn(self, key: bytes) -> None:
        """Commit under a new key from now on."""
        self._known = (key, *self._known)

    def commit(self, label: str, value: str) -> str:
        """Return the commitment to a value under a label by the newest key, lower-case hex."""
        return _commitment(self._keys[0], label, value)

    def commitments(self, label: str, value: str) -> Sequence[str]:
        """Return the commitments under every key, the newest key's first."""
        return [_commitment(key, label, value) for key in self._keys]


def _decrypted(cipher: AESGCM, head: bytes, rest: bytes, context: bytes) -> bytes | None:
    try:
        return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], head + context)
    except (InvalidTag, ValueError):  # said by whoever asked to open them
        return None


def _commitment(key: bytes, label: str, value: str) -> str:
    name, text = label.encode(), value.encode(errors="surrogatepass")
    message = _COMMITMENT + len(name).to_bytes(4) + name + text
    return hashlib.blake2b(message, key=key, digest_size=32).hexdigest()
