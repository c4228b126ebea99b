"""Signed notes and their verifier keys (c2sp.org/signed-note), checkpoints (c2sp.org/tlog-checkpoint), cosignatures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from . import ed25519
from .encoding import from_base64
from .errors import FailedStepError
from .merkle import HASH_BYTES

LOG_KEY = 0x01
WITNESS_KEY = 0x04
MAX_SIGNATURES = 64
_ID_BYTES = 4
_TIME_BYTES = 8
_LATEST_TIME = 2**63 - 1
_EM_DASH = "\N{EM DASH}"
_BODY_LINES = 3
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,17}")
_VKEY = re.compile(r"([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A verifier key: who signs, and how. `kind` is the signature type, `key` the 32 bytes of an Ed25519 key."""

    name: str
    key_id: bytes
    kind: int
    key: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the signer's name, its key id (4 bytes), and what the signature is made of."""

    name: str
    key_id: bytes
    blob: bytes

    def is_by(self, key: NoteKey) -> bool:
        """Say whether this line claims to be by the key. That it is remains to be verified."""
        return (self.name, self.key_id) == (key.name, key.key_id)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint whose signatures nobody has looked at yet.

    Attributes:
        origin: the log's name.
        size: how many entries the tree has.
        root: its root hash.
        extensions: the lines after the third.
        body: what is signed, to its last newline.
        signature_lines: the rest, as text.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...]
    body: str
    signature_lines: str


def read_decimal(text: str) -> int:
    """Read a number without leading zeros, below 10^18; ValueError otherwise."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError("not a decimal number without leading zeros")
    return int(text)


def read_key(text: str) -> NoteKey:
    """Read a verifier key `name+hex+base64`.

    Raises:
        ValueError: it has another form, another signature type than Ed25519 or cosignature/v1, or another key id
            than its name and key give.
    """
    found = _VKEY.fullmatch(text)
    if not found:
        raise ValueError("not of the form name+hex+base64")
    name, key_id, material = found[1], bytes.fromhex(found[2]), from_base64(found[3])
    kind, key = material[0], material[1:]
    if kind not in (LOG_KEY, WITNESS_KEY) or len(key) != ed25519.KEY_BYTES:
        raise ValueError(f"a key of signature type 0x{kind:02x}, not Ed25519 (0x01) or cosignature/v1 (0x04)")
    if hashlib.sha256(name.encode() + b"\n" + material).digest()[:_ID_BYTES] != key_id:
        raise ValueError("its key id is not that of its name and key")
    return NoteKey(name, key_id, kind, key)


def read_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint's lines; its signatures are left for `require_log` and `witness_times`.

    Raises:
        ValueError: it is not a note, or its first three lines are not origin, size and root hash.
    """
    if any(char < " " and char != "\n" for char in text):
        raise ValueError("a note with a control character")
    body, blank_line, signature_lines = text.rpartition("\n\n")
    lines = body.split("\n")
    if not blank_line or len(lines) < _BODY_LINES or not lines[0]:
        raise ValueError("not a note of at least three lines, a blank line, and signatures")
    root = from_base64(lines[2])
    if len(root) != HASH_BYTES:
        raise ValueError("a root hash that is not 32 bytes")
    extensions = tuple(lines[_BODY_LINES:])
    return Checkpoint(lines[0], read_decimal(lines[1]), root, extensions, body + "\n", signature_lines)


def require_log(checkpoint: Checkpoint, pinned: Sequence[NoteKey]) -> list[NoteKey]:
    """Demand that a pinned key of the log signed this checkpoint, under its own name, without extension lines.

    Returns:
        Those of the pinned keys that signed.

    Raises:
        FailedStepError: none did, or one of the signatures under a pinned key's name and id is wrong.
    """
    keys = [key for key in pinned if key.name == checkpoint.origin]
    if not keys:
        names = ", ".join(dict.fromkeys(ascii(key.name) for key in pinned))
        raise FailedStepError(f"its origin is {checkpoint.origin!a}, the pinned log key's name is {names}")
    if checkpoint.extensions:
        raise FailedStepError("it has extension lines, which nobody audits")
    if any(ed25519.is_weak(key.key) for key in keys):
        raise FailedStepError("the pinned log key is of small order: a signature under it proves nothing")
    signatures = [(key, each.blob) for each in _signatures(checkpoint) for key in keys if each.is_by(key)]
    if not signatures:
        raise FailedStepError(f"the pinned log key of {checkpoint.origin!a} did not sign it")
    if not all(ed25519.holds(key.key, blob, checkpoint.body.encode()) for key, blob in signatures):
        raise FailedStepError("a signature under the pinned log key's name and id is wrong")
    return [key for key, _ in signatures]


def witness_times(checkpoint: Checkpoint, key: NoteKey) -> list[int]:
    """Give the times (POSIX seconds) at which this witness says that it saw the checkpoint; empty when it says nothing.

    Source: c2sp.org/tlog-cosignature, Ed25519 (cosignature/v1).

    Raises:
        FailedStepError: a cosignature under the witness's name and id is wrong.
    """
    blobs = [signature.blob for signature in _signatures(checkpoint) if signature.is_by(key)]
    return [_witnessed_at(checkpoint, key, blob) for blob in blobs]


def _witnessed_at(checkpoint: Checkpoint, key: NoteKey, blob: bytes) -> int:
    seconds = int.from_bytes(blob[:_TIME_BYTES], "big")
    message = f"cosignature/v1\ntime {seconds}\n{checkpoint.body}".encode()
    if seconds > _LATEST_TIME or not ed25519.holds(key.key, blob[_TIME_BYTES:], message):
        raise FailedStepError(f"the cosignature of the witness {key.name!a} is wrong")
    return seconds


def _signatures(checkpoint: Checkpoint) -> list[Signature]:
    *lines, rest = checkpoint.signature_lines.split("\n")
    if rest or not lines or len(lines) > MAX_SIGNATURES:
        raise FailedStepError(f"it does not end with 1 to {MAX_SIGNATURES} signature lines")
    return [_signature(line) for line in lines]


def _signature(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    try:
        blob = from_base64(encoded)
    except ValueError as error:
        raise FailedStepError(f"a signature line is {error}") from error
    if dash != _EM_DASH or not name or "+" in name or any(map(str.isspace, name)) or len(blob) <= _ID_BYTES:
        raise FailedStepError("a signature line is not of the form em dash, name, base64")
    return Signature(name, blob[:_ID_BYTES], blob[_ID_BYTES:])
