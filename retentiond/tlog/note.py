"""Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint), with Ed25519 keys (signature type 0x01)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from retentiond.errors import LogIntegrityError
from retentiond.evidence.envelope import from_base64, to_base64
from retentiond.evidence.merkle import HASH_BYTES
from retentiond.evidence.vkey import KEY_ID_BYTES, VerifierKey
from retentiond.ports.keys import Signer

_MOST_SIGNATURES = 16
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_NAME = re.compile(r"[^\s+]+")
_REMEDY = "nothing was signed; compare the log's key and directory with the configuration"


def sign_note(text: str, name: str, *signers: Signer) -> bytes:
    """Return a note with a signature of each signer. The text ends in a newline."""
    lines = []
    for signer in signers:
        key = VerifierKey(name, signer.public_key)
        lines.append(f"— {name} {to_base64(key.id + signer.sign(text.encode()))}\n")
    return f"{text}\n{''.join(lines)}".encode()


def open_note(note: bytes, *keys: VerifierKey) -> str:
    """Return a note's text once the signatures of these keys have been verified; those of other keys are ignored.

    Raises:
        LogIntegrityError: It is no signed note, has no signature of one of the keys, or one that does not verify.
    """
    text, signatures = _split(note)
    known = {(key.name, key.id): key for key in keys}
    mine = [(known[name, key_id], sig) for name, key_id, sig in map(_signature, signatures) if (name, key_id) in known]
    if not mine:
        raise LogIntegrityError(f"a checkpoint is not signed by {keys[0].encode()}", remedy=_REMEDY)
    for key, signature in mine:
        try:
            Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, text.encode())
        except InvalidSignature as error:
            raise LogIntegrityError(f"a checkpoint's signature by {key.encode()} is false", remedy=_REMEDY) from error
    return text


def is_signed_by(note: bytes, keys: Iterable[VerifierKey]) -> bool:
    """Tell whether a note bears the name of each key; whether that is true is for `open_note` to say."""
    found = {(name, key_id) for name, key_id, _ in map(_signature, _split(note)[1])}
    return all((key.name, key.id) in found for key in keys)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's state: its origin, tree size and root hash."""

    origin: str
    size: int
    root: bytes

    def encode(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a checkpoint's text; extension lines are refused, this log never wrote any.

        Raises:
            LogIntegrityError: It is anything else.
        """
        try:
            origin, size, root, end = text.split("\n")
            found = cls(origin, int(size) if _SIZE.fullmatch(size) else -1, from_base64(root))
        except ValueError as error:
            raise LogIntegrityError(f"not a checkpoint: {text[:200]!r}", remedy=_REMEDY) from error
        if end or not origin or found.size < 0 or len(found.root) != HASH_BYTES or found.encode() != text:
            raise LogIntegrityError(f"not a checkpoint: {text[:200]!r}", remedy=_REMEDY)
        return found


def open_checkpoint(note: bytes, *keys: VerifierKey) -> Checkpoint:
    """Return the checkpoint of a note once it has been verified under one key of its log, or more.

    Raises:
        LogIntegrityError: The note does not verify, is no checkpoint, or is one of another log.
    """
    checkpoint = Checkpoint.parse(open_note(note, *keys))
    if checkpoint.origin != keys[0].name:
        what = f"a checkpoint is of the log {checkpoint.origin!r}, not {keys[0].name!r}"
        raise LogIntegrityError(what, remedy="set `origin` back, or begin a new log with a new key")
    return checkpoint


def _split(note: bytes) -> tuple[str, list[str]]:
    try:
        text, signatures = note.decode().rsplit("\n\n", 1)
    except ValueError as error:
        raise LogIntegrityError("a checkpoint is not a signed note", remedy=_REMEDY) from error
    lines = signatures.split("\n")
    if _CONTROL.search(note.decode()) or lines.pop() or not 0 < len(lines) <= _MOST_SIGNATURES:
        raise LogIntegrityError("a checkpoint is not a signed note", remedy=_REMEDY)
    return text + "\n", lines


def _signature(line: str) -> tuple[str, bytes, bytes]:
    try:
        dash, name, encoded = line.split(" ")
        raw = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as error:
        raise LogIntegrityError(f"a signature line cannot be read: {line[:200]!r}", remedy=_REMEDY) from error
    if dash != "—" or not _NAME.fullmatch(name) or len(raw) <= KEY_ID_BYTES:
        raise LogIntegrityError(f"a signature line cannot be read: {line[:200]!r}", remedy=_REMEDY)
    return name, raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:]
