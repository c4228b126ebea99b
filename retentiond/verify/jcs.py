"""JSON Canonicalization Scheme (RFC 8785), for the values that `strictjson` lets through."""

from __future__ import annotations

import json

# One encoder for all: made anew, it would take longer than what it encodes. The standard library escapes exactly what
# RFC 8785, section 3.2.2.2 asks for, in the same spelling.
_scalar = json.JSONEncoder(ensure_ascii=False).encode


def canonical(value: object) -> bytes:
    """Give the one canonical serialisation (RFC 8785, section 3.2) of a value that `strictjson.parse` returned."""
    return _text(value).encode("utf-8")


def _text(value: object) -> str:
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: _utf16(member[0]))
        return "{" + ",".join(f"{_scalar(name)}:{_text(inner)}" for name, inner in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    # What is left is text, an integer, true, false or null; all but text have one spelling in JSON.
    return _scalar(value)


def _utf16(name: str) -> bytes:
    """Order names by UTF-16 code units (RFC 8785, section 3.2.3)."""
    return name.encode("utf-16-be")
