"""The ports to keys. No private key ever passes through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from retentiond.evidence.keyhistory import KeyRecord, KeyRole


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
    """Authenticated encryption under the wrapping keys: the newest seals, all of them open."""

    @property
    def mark(self) -> bytes:
        """What all bytes begin with that are sealed now: 9 bytes."""
        ...

    @property
    def count(self) -> int:
        """How many keys open."""
        ...

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Return the sealed bytes; the same context opens them."""
        ...

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return the plain bytes.

        Raises:
            KeyFileError: They were sealed under another key or context, or altered.
        """
        ...

    def key_of(self, sealed: bytes, context: bytes) -> str:
        """Return the id of the key that opens sealed bytes; empty where none does."""
        ...


class Committer(Protocol):
    """Keyed commitments under the replay keys: equal values have equal ones, and only the keys' holder can tell."""

    def commit(self, label: str, value: str) -> str:
        """Return the commitment under the newest key, lower-case hex."""
        ...

    def commitments(self, label: str, value: str) -> Sequence[str]:
        """Return the commitments under every key, the newest key's first: what may have been remembered."""
        ...


class KeyStore(Protocol):
    """Where the keys of an instance lie, and how others take their place."""

    def in_use(self, role: KeyRole) -> Signer:
        """Return the key that signs."""
        ...

    def held(self, role: KeyRole) -> Sequence[Signer]:
        """Return every key of a role that is at hand: first what is configured or was made to come next."""
        ...

    def check(self) -> None:
        """Check that the keys that sign are in force.

        Raises:
            KeyNotInForce: One was revoked, has ended, or is not in the history.
        """
        ...

    def records(self) -> tuple[KeyRecord, ...]:
        """Return the history of the public keys as it was logged last."""
        ...

    def parse(self, history: str | None) -> tuple[KeyRecord, ...]:
        """Read a history as the ledger has it; None is the copy beside the keys.

        Raises:
            LogIntegrityError: It cannot be read.
        """
        ...

    def log_signers(self) -> Sequence[Signer]:
        """Return the keys that sign checkpoints and histories now, the one in use first."""
        ...

    def is_kept(self, role: KeyRole) -> bool:
        """Tell whether it is written down which key of a role is in use."""
        ...

    def has(self, kind: str) -> bool:
        """Tell whether there is a wrapping or replay key."""
        ...

    def make(self, role: KeyRole) -> Signer:
        """Make the next key of a role; one that was made before and never used is returned again.

        Raises:
            KeyFileError: It cannot be written.
        """
        ...

    def is_elsewhere(self, role: KeyRole) -> bool:
        """Tell whether the key in use comes from the environment or a key service, where none can be made."""
        ...

    def use(self, role: KeyRole, signer: Signer) -> None:
        """Sign with another of the keys at hand from now on, in this process."""
        ...

    def keep(self, role: KeyRole) -> None:
        """Write down which key is in use, and set the one before it aside.

        Raises:
            KeyFileError: It cannot be written.
        """
        ...

    def keep_history(self, data: bytes) -> None:
        """Keep a copy of `history.json` beside the keys.

        Raises:
            KeyFileError: It cannot be written.
        """
        ...

    def kept_history(self) -> bytes:
        """Return the copy of `history.json` beside the keys."""
        ...

    def files(self) -> dict[str, bytes]:
        """Return the newest public keys, and their history, as they are published beside the log, by path."""
        ...

    def turn(self, kind: str) -> str:
        """Make a new wrapping or replay key, which seals or commits from now on; return its id.

        Args:
            kind: `wrapping` or `replay`.

        Raises:
            KeyFileError: It cannot be written, or the keys come from the environment.
        """
        ...

    def older(self, kind: str) -> Sequence[str]:
        """Return the ids of keys that were set aside, of `issuer`, `log`, `wrapping` or `replay`."""
        ...

    def destroy(self, kind: str, key: str) -> None:
        """Remove the file of a key that was set aside.

        Raises:
            KeyFileError: It cannot be removed.
        """
        ...
