"""JSON Canonicalization Scheme (RFC 8785), for the values that `strictjson` lets through."""

from __future__ import annotations

import json


def canonical(value: object) -> bytes:
    """Give the one canonical serialisation (RFC 8785, section 3.2) of a value that `strictjson.parse` returned."""
    return _text(value).encode("utf-8")


def _text(value: object) -> str:
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: _utf16(member[0]))
        return "{" + ",".join(f"{_string(name)}:{_text(inner)}" for name, inner in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, str):
        return _string(value)
    # What is left is an integer, true, false or null, which have one spelling in JSON.
    return json.dumps(value)


def _string(text: str) -> str:
    # The standard library escapes exactly what RFC 8785, section 3.2.2.2 asks for, in the same spelling.
    return json.dumps(text, ensure_ascii=False)


def _utf16(name: str) -> bytes:
    """Order names by UTF-16 code units (RFC 8785, section 3.2.3)."""
    return name.encode("utf-16-be")
