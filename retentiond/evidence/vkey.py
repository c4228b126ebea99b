"""Verifier keys: the public half of the log's key, as text (C2SP signed-note, Ed25519, signature type 0x01)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from retentiond.errors import LogIntegrityError
from retentiond.evidence.envelope import from_base64, to_base64

KEY_ID_BYTES = 4
_ED25519 = b"\x01"
_KEY_BYTES = 32
_NAME = re.compile(r"[^\s+\x00-\x1f]+")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a note key: the log's origin and its raw Ed25519 key (32 bytes).

    Raises:
        LogIntegrityError: The name is empty or has spaces or `+`, or the key is not 32 bytes.
    """

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.public_key) != _KEY_BYTES:
            raise LogIntegrityError(
                f"not a note key: {self.name!r}", remedy="an origin has neither spaces nor `+`, such as example.com/log"
            )

    @property
    def id(self) -> bytes:
        """The key's id, 4 bytes."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:KEY_ID_BYTES]

    def encode(self) -> str:
        """Return the verifier key as text: `name+hex+base64`."""
        return f"{self.name}+{self.id.hex()}+{to_base64(_ED25519 + self.public_key)}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read a verifier key.

        Raises:
            LogIntegrityError: It is no Ed25519 verifier key, or its id is not the one that follows from it.
        """
        try:
            name, _hex, key = text.split("+", 2)
            found = cls(name, from_base64(key)[1:])
        except ValueError as error:
            raise LogIntegrityError(
                f"not a verifier key: {text[:80]!r}",
                remedy="take `log.vkey` again from where the log's keys are published",
            ) from error
        if found.encode() != text:
            raise LogIntegrityError(
                f"not an Ed25519 verifier key: {text[:80]!r}",
                remedy="take `log.vkey` again from where the log's keys are published",
            )
        return found
