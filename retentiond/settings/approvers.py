"""The approvers file: OpenSSH allowed_signers (ssh-keygen(1), ALLOWED SIGNERS), narrowed so that one person is one.

One plain principal a line. Patterns, lists, certificate authorities and a key that stands twice are errors: with them
one person could be two.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from retentiond.errors import ConfigError
from retentiond.settings.document import decode, read_bytes

_KEY_TYPES = frozenset(
    (
        "ssh-ed25519",
        "sk-ssh-ed25519@openssh.com",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "ssh-rsa",
    )
)
_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')
_OPTION = re.compile(r'([a-zA-Z-]+)(?:="([^"]*)")?(?:,|$)')
_VALIDITY = re.compile(r"\d{8}(?:\d{4}(?:\d{2})?)?Z?", re.ASCII)
_NAMESPACE = "retentiond"
_FEWEST_WORDS = 3
_FORM = "write `name ssh-ed25519 AAAA… comment`, as `ssh-keygen` prints the public key"


@dataclass(frozen=True, slots=True)
class Approver:
    """One person and one of their public keys (type, and base64 as in the file)."""

    name: str
    key_type: str
    key: str


@dataclass(frozen=True, slots=True)
class ApproversFile:
    """The approvers file.

    Attributes:
        sha256: Lower-case hex SHA-256 of its bytes; empty when there is no file.
        text: The whole file, for `ssh-keygen -Y verify`.
    """

    principals: tuple[Approver, ...] = ()
    sha256: str = ""
    text: str = ""


def load_approvers(path: Path) -> ApproversFile:
    """Read the approvers file; one that is not there names nobody.

    Raises:
        ConfigError: A line is wrong; `where` gives it.
    """
    return parse_approvers(path.name, read_bytes(path)) if path.exists() else ApproversFile()


def parse_approvers(name: str, data: bytes) -> ApproversFile:
    """Read an approvers file from its bytes.

    Args:
        name: The file's name, as places give it.

    Raises:
        ConfigError: As load_approvers.
    """
    text = decode(name, data)
    lines: dict[bytes, int] = {}
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{name}:{number}"
        approver = _line(line, where)
        earlier = lines.setdefault(base64.b64decode(approver.key), number)
        if earlier != number:
            what = f"the key of {approver.name!r} stands in line {earlier} already"
            raise ConfigError(what, where=f"{where}:1", remedy="give each person a key of their own, each once")
        found.append(approver)
    return ApproversFile(tuple(found), hashlib.sha256(data).hexdigest(), text)


def _line(line: str, where: str) -> Approver:
    words = [(word.start() + 1, word[0]) for word in _WORD.finditer(line)]
    if not line.replace("\t", " ").isprintable() or len(words) < _FEWEST_WORDS:
        raise ConfigError("this line names no principal and key", where=f"{where}:1", remedy=_FORM)
    column, principal = words[0]
    _check_principal(principal, f"{where}:{column}")
    rest = words[1:]
    if rest[0][1] not in _KEY_TYPES:
        _check_options(rest[0][1], f"{where}:{rest[0][0]}")
        rest = rest[1:]
    if len(rest) < _FEWEST_WORDS - 1:
        raise ConfigError("the line ends before its key", where=f"{where}:{rest[0][0]}", remedy=_FORM)
    (type_column, key_type), (key_column, key) = rest[:2]
    if key_type not in _KEY_TYPES:
        what = f"{key_type!r} is no type of key that can approve"
        raise ConfigError(what, where=f"{where}:{type_column}", remedy="use a plain SSH key, such as ssh-ed25519")
    _check_key(key_type, key, f"{where}:{key_column}")
    return Approver(principal, key_type, key)


def _check_principal(principal: str, where: str) -> None:
    if any(character in '*?!,"' for character in principal):
        what = f"{principal!r} is a pattern, a list or quoted: one person could be two"
        raise ConfigError(what, where=where, remedy="write one plain name, such as alice@example.com")


def _check_options(text: str, where: str) -> None:
    at = 0
    for option in _OPTION.finditer(text):
        if option.start() != at:
            break
        at = option.end()
        name, value = option[1].lower(), option[2]
        if name == "cert-authority":
            what = "a certificate authority could name anybody"
            raise ConfigError(what, where=where, remedy="name each person with their own key")
        good = value == _NAMESPACE if name == "namespaces" else bool(value and _VALIDITY.fullmatch(value))
        if not good or name not in ("namespaces", "valid-after", "valid-before"):
            break
    else:
        if at == len(text) and not text.endswith(","):
            return
    remedy = f'use no options, or namespaces="{_NAMESPACE}", valid-after="YYYYMMDD", valid-before="YYYYMMDD"'
    raise ConfigError(f"{text!r} is neither a type of key nor an option that is understood", where=where, remedy=remedy)


def _check_key(key_type: str, key: str, where: str) -> None:
    try:
        blob = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError("the key is not base64", where=where, remedy=_FORM) from error
    name = key_type.encode()
    if not blob.startswith(len(name).to_bytes(4, "big") + name) or len(blob) <= 2 * (4 + len(name)):
        raise ConfigError(f"the key is not of the type {key_type}, or is cut short", where=where, remedy=_FORM)
