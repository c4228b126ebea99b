"""The spellings that a receipt may use for bytes and times; each has exactly one."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime

_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_GROUP = 4
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z")


def from_base64(text: str) -> bytes:
    """Decode standard, padded base64 (RFC 4648, section 4) whose pad bits are zero.

    Raises:
        ValueError: any other spelling of the same bytes.
    """
    if len(text) % _GROUP or not _BASE64.fullmatch(text):
        raise ValueError("not standard padded base64")
    data = base64.b64decode(text)
    if base64.b64encode(data).decode("ascii") != text:
        raise ValueError("base64 with pad bits that are not zero")
    return data


def from_hex(text: str, size_bytes: int) -> bytes:
    """Decode lower-case hex of exactly `size_bytes` bytes; ValueError otherwise."""
    if len(text) != 2 * size_bytes or not _HEX.fullmatch(text):
        raise ValueError(f"not {2 * size_bytes} lower-case hex digits")
    return bytes.fromhex(text)


def from_rfc3339(text: str) -> datetime:
    """Read `YYYY-MM-DDThh:mm:ssZ`, a date that exists, seconds up to 59; ValueError otherwise."""
    found = _TIME.fullmatch(text)
    if not found:
        raise ValueError("not a time of the form YYYY-MM-DDThh:mm:ssZ")
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise ValueError("a date or a time of day that does not exist") from error


def sha256_hex(data: bytes) -> str:
    """Give the SHA-256 of bytes as lower-case hex."""
    return hashlib.sha256(data).hexdigest()
