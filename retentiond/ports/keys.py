"""The ports to keys. No key material ever passes through them."""

from __future__ import annotations

from typing import Protocol


class Signer(Protocol):
    """An Ed25519 private key."""

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature (RFC 8032)."""
        ...


class Sealer(Protocol):
    """Authenticated encryption under the wrapping key."""

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Return the sealed bytes; the same context opens them."""
        ...

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return the plain bytes.

        Raises:
            KeyFileError: They were sealed under another key or context, or altered.
        """
        ...


class Committer(Protocol):
    """Keyed commitments under the replay key: equal values have equal ones, and only the key's holder can tell."""

    def commit(self, label: str, value: str) -> str:
        """Return the commitment, lower-case hex."""
        ...
