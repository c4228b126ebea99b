"""Texts that are said twice: whether what goes from one place of a record stands in another one, too.

What goes is searched for by samples: the first characters of each text. Too short a text is no evidence, since any
column may say the same by chance; nor is a word inside a JSON document (`assistant`, a model's name, an id), which
other columns have in their own right. docs/connectors.md says the same to people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from retentiond.domain.jsonpath import Members, Unreadable, parse_json

Stored: TypeAlias = object
"""A value as a database hands it out: text, bytes, a number, or None."""

SAMPLE = 64
LEAST, LEAST_INSIDE = 8, 16
_OPENS = ("{", "[")
_DEEPEST = 3
_READS_LIKE_TEXT = re.compile(r"\S\s+\S|[^\x00-\x7f]")
_LETTERS = 8


def samples(value: Stored) -> frozenset[str]:
    """Return samples of the texts of a value that goes."""
    text = _text(value)
    inside = _inside(text, 0)
    if not inside:
        return frozenset((text[:SAMPLE],)) if len(text) >= LEAST else frozenset()
    return frozenset(each[:SAMPLE] for each in inside if _is_telling(each))


def stands_in(found: Iterable[str], values: Iterable[Stored]) -> bool:
    """Tell whether any of the samples stands in any of the values, as it is or inside JSON."""
    wanted = tuple(dict.fromkeys(form for sample in found for form in _forms(sample)))
    if not wanted:
        return False
    return any(sample in text for value in values for text in _texts(value) for sample in wanted)


def _forms(sample: str) -> tuple[str, ...]:
    """Return a sample as it is, and as it stands in a text of JSON that is cut off or damaged."""
    return (sample, json.dumps(sample)[1:-1], json.dumps(sample, ensure_ascii=False)[1:-1])


def _texts(value: Stored) -> Iterator[str]:
    text = _text(value)
    yield text
    yield from _inside(text, 0)


def _text(value: Stored) -> str:
    if value is None:
        return ""
    return bytes(value).decode(errors="replace") if isinstance(value, bytes | bytearray | memoryview) else str(value)


def _inside(text: str, depth: int) -> list[str]:
    """Return the strings inside a text that is a JSON array or object, those of texts inside it included."""
    if not text.lstrip()[:1].startswith(_OPENS) or depth >= _DEEPEST:
        return []
    try:
        return [string for leaf in _strings(parse_json(text)) for string in (leaf, *_inside(leaf, depth + 1))]
    except Unreadable:
        return []


def _strings(value: Any) -> Iterator[str]:  # noqa: ANN401 -- JSON
    if isinstance(value, str):
        yield value
    elif isinstance(value, Members):
        for _, inner in value:
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _is_telling(text: str) -> bool:
    letters = sum(each.isalpha() for each in text[:SAMPLE])
    return len(text) >= LEAST_INSIDE and letters >= _LETTERS and bool(_READS_LIKE_TEXT.search(text))
