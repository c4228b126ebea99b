"""The keys of an instance: issuer and log (Ed25519), wrapping (AES-256-GCM) and replay (keyed BLAKE2b).

`issuer.pem` and `log.vkey` say which keys were in use when that was last written down. What the history of keys has of
a newer key that is at hand goes before that: a rotation that was interrupted goes on with what it had logged.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from retentiond.errors import KeyFileError, LogIntegrityError
from retentiond.evidence.envelope import key_id
from retentiond.evidence.keyhistory import KeyRecord, KeyRole, decode_history, of_role, pem_of_raw, raw_of_pem
from retentiond.evidence.vkey import VerifierKey
from retentiond.keys import files
from retentiond.keys.rings import LocalCommitter, LocalSealer
from retentiond.keys.signers import InForce, LocalSigner, private_pem
from retentiond.keys.sources import Held, KeySources, RingFile, file_id, held_signers, read_secret, ring
from retentiond.ports.keys import Signer

ISSUER_PEM = "issuer.pem"
LOG_VKEY = "log.vkey"
HISTORY = "history.json"
ROLES: tuple[KeyRole, ...] = ("issuer", "log")
_PUBLIC: dict[KeyRole, str] = {"issuer": ISSUER_PEM, "log": LOG_VKEY}
_SHOWN = 16


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What keys are told of the world.

    Attributes:
        logged: Reads the history that was logged last; None for the copy beside the keys.
        now: Reads the time.
    """

    logged: Callable[[], bytes | None]
    now: Callable[[], datetime]


class Lost:
    """A key of which only the public half is left. Implements the port `Signer`."""

    def __init__(self, role: KeyRole, public_key: bytes, directory: Path) -> None:
        self._role = role
        self._directory = directory
        self.public_key = public_key

    def sign(self, _message: bytes) -> bytes:
        """Raise KeyFileError: nobody can."""
        raise KeyFileError(
            f"the {self._role} key is missing, and nothing can be signed with it",
            where=str(self._directory),
            remedy="restore it from its backup; docs/keys.md says what its loss means, and what is left to do",
        )


class LocalKeys:
    """All keys of an instance. Implements the port `KeyStore`.

    Args:
        origin: The log's name, which the log's key signs under.
        around: None where nothing is signed.
        mending: Whether keys may be missing, since others are to take their place.

    Attributes:
        wrapping: Seals and opens.
        replay: Commits.
        pseudonym: Makes pseudonyms of accounts.

    Raises:
        KeyFileError: A key is missing, can be read by others, is not the kind of key that it must be, or the published
            half does not fit a private one or the origin. The error says what to do.
    """

    def __init__(
        self,
        sources: KeySources,
        origin: str,
        around: Surroundings | None = None,
        *,
        mending: bool = False,
    ) -> None:
        self._sources = sources
        self._origin = origin
        self._around = around
        self._held = {role: held_signers(sources, role, may_miss=mending) for role in ROLES}
        _require_different(sources.directory, self._held)
        self._in_use: dict[KeyRole, Signer] = {role: self._written_down(role, may_miss=mending) for role in ROLES}
        watched = RingFile(sources, "wrapping"), RingFile(sources, "replay"), RingFile(sources, "pseudonym")
        self.wrapping = LocalSealer(*ring(sources, "wrapping", may_miss=mending), newer=watched[0])
        self.replay = LocalCommitter(*ring(sources, "replay", may_miss=mending), newer=watched[1])
        # One is made when it is first needed, and most instances never need one.
        self.pseudonym = LocalCommitter(*ring(sources, "pseudonym", may_miss=True), newer=watched[2])
        self._history_file = files.read_public(sources.directory / HISTORY)
        self._known: dict[bytes, tuple[KeyRecord, ...]] = {}

    @property
    def issuer(self) -> Signer:
        """The issuer's key in use."""
        return self._in_use["issuer"]

    @property
    def log(self) -> Signer:
        """The log's key in use."""
        return self._in_use["log"]

    @property
    def vkey(self) -> str:
        """The newest verifier key (`name+hex+base64`) of the log."""
        return of_role(self.records(), "log")[-1].key

    @property
    def issuer_pem(self) -> str:
        """The newest public key of the issuer."""
        return of_role(self.records(), "issuer")[-1].key

    @property
    def history(self) -> bytes:
        """`history.json` as it was logged last."""
        return (self._around.logged() if self._around else None) or self._history_file

    def records(self) -> tuple[KeyRecord, ...]:
        """Return the history of the public keys as it was logged last.

        Raises:
            LogIntegrityError: It cannot be read.
        """
        return self._read(self.history)

    def parse(self, history: str | None) -> tuple[KeyRecord, ...]:
        """Read a history as the ledger has it; None is the copy beside the keys.

        Raises:
            LogIntegrityError: It cannot be read.
        """
        return decode_history(history.encode() if history else self._history_file)

    def settle(self) -> None:
        """Take what the history has of newer keys, where they are at hand: a rotation logged them."""
        records = self.records()
        for role in ROLES:
            places = {record.public_key: place for place, record in enumerate(records) if record.role == role}
            newest = max(
                (each.signer for each in self._held[role]),
                key=lambda each: places.get(each.public_key, -1),
                default=self._in_use[role],
            )
            own = places.get(self._in_use[role].public_key)  # None in a ledger that went back in time
            if own is not None and places.get(newest.public_key, -1) > own:
                self._in_use[role] = newest

    def guarded(self, role: KeyRole) -> InForce:
        """Return whichever key of a role is in use, which signs only while it is in force."""
        return self._guarded(role, self.records)

    def check(self) -> None:
        """Raise KeyNotInForce where a key that signs is not in force."""
        records = self.records()
        for role in ROLES:
            self._guarded(role, lambda: records).check()

    def log_signers(self) -> Sequence[Signer]:
        """Return the keys that sign checkpoints now: the one in use, and those before it that count still."""
        return [self.guarded("log"), *self._log_cosigners()]

    def log_verifiers(self) -> Sequence[VerifierKey]:
        """Return the keys under which checkpoints of this log are known: all but those that were revoked."""
        records = [*self.records(), *self._read(self._history_file)]
        revoked = {record.key for record in records if record.revoked_at is not None}
        texts = (record.key for record in of_role(records, "log") if record.key not in revoked)
        own = VerifierKey(self._origin, self.log.public_key)
        return list(dict.fromkeys((own, *map(VerifierKey.parse, texts))))

    def in_use(self, role: KeyRole) -> Signer:
        """Return the key that signs."""
        return self._in_use[role]

    def held(self, role: KeyRole) -> Sequence[Signer]:
        """Return every key of a role that is at hand: first what was made to come next, then what is configured."""
        return [each.signer for each in self._held[role]]

    def is_elsewhere(self, role: KeyRole) -> bool:
        """Tell whether the key in use comes from the environment or a key service, where none can be made."""
        found = [each for each in self._held[role] if self._is_in_use(role, each)]
        return bool(found) and all(each.path is None for each in found)

    def make(self, role: KeyRole) -> Signer:
        """Make the next key of a role; one that was made before and never used is returned again.

        Raises:
            KeyFileError: It cannot be written.
        """
        path = self._sources.next_path(role)
        known = next((each.signer for each in self._held[role] if each.path == path), None)
        if known is not None:
            return known
        key = Ed25519PrivateKey.generate()
        files.create(path, private_pem(key), files.PRIVATE_MODE)
        files.sync_directory(self._sources.directory)
        self._held[role].insert(0, Held(LocalSigner(key), path))
        return self._held[role][0].signer

    def use(self, role: KeyRole, signer: Signer) -> None:
        """Sign with another of the keys at hand from now on, in this process."""
        self._in_use[role] = signer

    def is_kept(self, role: KeyRole) -> bool:
        """Tell whether it is written down which key of a role is in use."""
        text = files.read_public(self._sources.directory / _PUBLIC[role])
        coming = self._sources.next_path(role)
        return text == self._public_text(role).encode() and not any(
            each.path == coming and self._is_in_use(role, each) for each in self._held[role]
        )

    def has(self, kind: str) -> bool:
        """Tell whether there is a wrapping or replay key."""
        return bool(ring(self._sources, kind, may_miss=True))

    def keep(self, role: KeyRole) -> None:
        """Write down which key is in use, and set the one before it aside.

        Raises:
            KeyFileError: It cannot be written.
        """
        directory, path, coming = self._sources.directory, self._sources.path(role), self._sources.next_path(role)
        text = self._public_text(role).encode()
        if files.read_public(directory / _PUBLIC[role]) != text:
            files.replace(directory / _PUBLIC[role], text)
        if any(each.path == coming and self._is_in_use(role, each) for each in self._held[role]):
            before = next((each for each in self._held[role] if each.path == path), None)
            if before is not None:
                files.move(path, self._sources.directory / f"{role}-{key_id(before.signer.public_key)[:_SHOWN]}.key")
            files.move(coming, path)
            self._held[role] = held_signers(self._sources, role)

    def keep_history(self, data: bytes) -> None:
        """Keep a copy of `history.json` beside the keys.

        Raises:
            KeyFileError: It cannot be written.
        """
        if data != self._history_file:
            files.replace(self._sources.directory / HISTORY, data)
            self._history_file = data

    def kept_history(self) -> bytes:
        """Return the copy of `history.json` beside the keys."""
        return self._history_file

    def files(self) -> dict[str, bytes]:
        """Return the newest public keys, and their history, as they are published beside the log, by path."""
        return {
            "keys/issuer.pem": self.issuer_pem.encode(),
            "keys/log.vkey": f"{self.vkey}\n".encode(),
            "keys/history.json": self.history,
        }

    def turn(self, kind: str) -> str:
        """Make a new wrapping or replay key, which seals or commits from now on; return its id.

        Raises:
            KeyFileError: It cannot be written, or the keys come from the environment.
        """
        path = self._sources.path(kind)
        if self._sources.variable(kind):
            raise KeyFileError(
                f"the {kind} keys come from the environment, where none can be made",
                where=f"RETENTIOND_KEY_{kind.upper()}",
                remedy="put a new one before the others there (`openssl rand -hex 32`), then ask again",
            )
        new, coming = secrets.token_bytes(32), self._sources.next_path(kind)
        if path.exists():
            before = read_secret(path)
            aside = self._sources.directory / f"{kind}-{file_id(before)}.key"
            if not aside.exists():
                files.create(aside, f"{before.hex()}\n".encode(), files.PRIVATE_MODE)
        files.remove(coming)  # of a rotation that was interrupted before it was used
        files.create(coming, f"{new.hex()}\n".encode(), files.PRIVATE_MODE)
        files.move(coming, path)
        ring_of: dict[str, LocalSealer | LocalCommitter] = {
            "wrapping": self.wrapping, "replay": self.replay, "pseudonym": self.pseudonym,
        }  # fmt: skip
        ring_of[kind].turn(new)
        return file_id(new)

    def older(self, kind: str) -> Sequence[str]:
        """Return the ids of keys that were set aside."""
        return list(self._sources.aside(kind))

    def destroy(self, kind: str, key: str) -> None:
        """Remove the file of a key that was set aside.

        Raises:
            KeyFileError: It cannot be removed.
        """
        files.remove(self._sources.aside(kind)[key])

    def _guarded(self, role: KeyRole, records: Callable[[], tuple[KeyRecord, ...]]) -> InForce:
        return InForce(role, lambda: self._in_use[role], records, self._time)

    def _read(self, history: bytes) -> tuple[KeyRecord, ...]:
        if history not in self._known:
            self._known = {self._history_file: decode_history(self._history_file), history: decode_history(history)}
        return self._known[history]

    def _log_cosigners(self) -> list[Signer]:
        records, now = self.records(), self._time()
        counting = {each.public_key for each in records if each.role == "log" and each.counts_at(now)}
        found = {each.public_key: each for each in self.held("log") if each.public_key in counting}
        found.pop(self.log.public_key, None)
        return list(found.values())

    def _is_in_use(self, role: KeyRole, each: Held) -> bool:
        return each.signer.public_key == self._in_use[role].public_key

    def _time(self) -> datetime:
        if self._around is None:
            raise LogIntegrityError("nobody said what time it is", remedy="report it")
        return self._around.now()

    def _vkey(self, public_key: bytes) -> str:
        return _vkey(self._sources.path("log"), self._origin, public_key)

    def _written_down(self, role: KeyRole, *, may_miss: bool) -> Signer:
        """Return the key whose public half stands beside the private ones."""
        path = self._sources.directory / _PUBLIC[role]
        written = files.read_public(path).strip()
        for each in self.held(role):
            if self._text_of(role, each.public_key).strip().encode() == written:
                return each
        if may_miss and not self._sources.path(role).exists():
            return Lost(role, _public_of(role, written), self._sources.directory)
        raise KeyFileError(
            "this is not the public half of the private key beside it, under the configured origin",
            where=str(path),
            remedy="set `origin` back to the name in log.vkey, or restore private and public keys from one backup; "
            f"where another key is to take its place, name it before this one, then `retentiond keys rotate {role}`",
        )

    def _text_of(self, role: KeyRole, public_key: bytes) -> str:
        return pem_of_raw(public_key) if role == "issuer" else f"{self._vkey(public_key)}\n"

    def _public_text(self, role: KeyRole) -> str:
        return self._text_of(role, self._in_use[role].public_key)


def _public_of(role: KeyRole, written: bytes) -> bytes:
    text = written.decode(errors="replace")
    return raw_of_pem(text) if role == "issuer" else VerifierKey.parse(text).public_key


def _vkey(path: Path, origin: str, public_key: bytes) -> str:
    try:
        return VerifierKey(origin, public_key).encode()
    except LogIntegrityError as error:
        what = f"the origin {origin!r} cannot name the log's key"
        raise KeyFileError(what, where=str(path), remedy=error.remedy) from error


def _require_different(directory: Path, held: dict[KeyRole, list[Held]]) -> None:
    issuers, logs = ({each.signer.public_key for each in held[role]} for role in ROLES)
    if issuers & logs:
        remedy = "make new keys; one key must not sign both receipts and log"
        raise KeyFileError("issuer and log key are the same", where=str(directory), remedy=remedy)
