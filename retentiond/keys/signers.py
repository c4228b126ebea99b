"""Ed25519 keys that sign: one in memory, and whichever is in use, as long as the history of keys has it count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from retentiond.errors import KeyFileError, KeyNotInForce
from retentiond.evidence.canonical import rfc3339
from retentiond.evidence.envelope import key_id
from retentiond.evidence.keyhistory import KeyRecord, KeyRole, find, pem_of_raw
from retentiond.ports.keys import Signer

_RESTORE = "restore it from its backup"
_SHOWN = 16


class LocalSigner:
    """An Ed25519 private key in memory. Implements the port `Signer`."""

    __slots__ = ("_key", "_public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = key.public_key().public_bytes_raw()

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes."""
        return self._public

    @property
    def keyid(self) -> str:
        """Lower-case hex SHA-256 of the SubjectPublicKeyInfo."""
        return key_id(self.public_key)

    @property
    def public_pem(self) -> str:
        """The public key as PEM (SubjectPublicKeyInfo)."""
        return pem_of_raw(self._public)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature (RFC 8032)."""
        return self._key.sign(message)


def read_private_pem(pem: bytes, where: str) -> LocalSigner:
    """Read a private key.

    Raises:
        KeyFileError: It is not an Ed25519 key in PEM without a password; nothing of it is shown.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without the cause, which may show what was given.
        raise KeyFileError("not a private key in PEM without a password", where=where, remedy=_RESTORE) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError("not an Ed25519 key", where=where, remedy=_RESTORE)
    return LocalSigner(key)


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """Return a private key as its file holds it (PKCS #8 in PEM)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class InForce:
    """Whichever key of a role is in use; it signs only while the history of keys says that it counts.

    Implements the port `Signer`.
    """

    __slots__ = ("_current", "_now", "_records", "_role")

    def __init__(
        self,
        role: KeyRole,
        current: Callable[[], Signer],
        records: Callable[[], Sequence[KeyRecord]],
        now: Callable[[], datetime],
    ) -> None:
        self._role = role
        self._current = current
        self._records = records
        self._now = now

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes."""
        return self._current().public_key

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature (RFC 8032).

        Raises:
            KeyNotInForce: The key was revoked, has ended, or is not in the history: it signs nothing.
        """
        self.check()
        return self._current().sign(message)

    def check(self) -> None:
        """Raise KeyNotInForce where the key may not sign."""
        public, now = self.public_key, self._now()
        record = find(self._records(), self._role, public)
        if record is not None and self._role == "log":
            # A checkpoint has no time, and a hold is to be logged whatever the clock says.
            now = max(now, record.valid_from)
        if record is None or not record.counts_at(now):
            raise KeyNotInForce(
                f"the {self._role} key {key_id(public)[:_SHOWN]} {_why(record, now)}: nothing is signed with it",
                guard="key-not-in-force",
                where="keys",
                remedy=self._remedy(record, now),
            )

    def _remedy(self, record: KeyRecord | None, now: datetime) -> str:
        if record is not None and now < record.valid_from:
            return "set the machine's clock right, or wait until then"
        return (
            f"`retentiond keys rotate {self._role}` puts another in its place; where that was done on another machine, "
            "copy its keys here"
        )


def _why(record: KeyRecord | None, now: datetime) -> str:
    if record is None:
        return "is not in the history of keys"
    if record.revoked_at is not None:
        return f"was revoked as of {rfc3339(record.revoked_at)}"
    if now < record.valid_from:
        return f"counts from {rfc3339(record.valid_from)} on"
    return f"counted until {rfc3339(record.valid_until or now)}"
