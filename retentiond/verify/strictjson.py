"""A strict reading of JSON: what two parsers could understand differently is refused."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import chain
from typing import Any, NoReturn

MAX_BYTES = 16 * 1024 * 1024
MAX_OPEN_BRACKETS = 64
MAX_INTEGER = 2**53 - 1
_BOM = b"\xef\xbb\xbf"
# A text, closed or not, or a bracket outside of one; possessive, so that it never looks back.
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


class NotStrictError(ValueError):
    """The bytes are not JSON, or are JSON that is open to more than one reading; the message goes on from `it`."""


def parse(data: bytes) -> Any:  # noqa: ANN401 - JSON holds anything
    """Parse one JSON document.

    Args:
        data: UTF-8 without a byte order mark, at most `MAX_BYTES` bytes.

    Returns:
        dict, list, str, int, bool or None; numbers are integers from 0 to 2^53 - 1.

    Raises:
        NotStrictError: for anything else: a name twice in one object, a fraction, NaN, a lone surrogate,
            more than `MAX_OPEN_BRACKETS` brackets open at once.
    """
    text = _decode(data)
    try:
        value = _load(text)
    except NotStrictError:
        # What is nested too deeply is called that, whatever else is wrong with it: not every parser gets further.
        _refuse_depth(text)
        raise
    _inspect(value)
    return value


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise NotStrictError(f"is longer than {MAX_BYTES} bytes")
    if data.startswith(_BOM):
        raise NotStrictError("begins with a byte order mark")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotStrictError(f"is not UTF-8 at byte {error.start}") from error


def _load(text: str) -> Any:  # noqa: ANN401 - JSON holds anything
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except json.JSONDecodeError as error:
        # Where and how it is not differs from one release of Python to the next.
        raise NotStrictError("is not JSON") from error
    except RecursionError as error:
        raise NotStrictError(_too_deep()) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
    raise NotStrictError(f"has the name {json.dumps(twice)[:80]} twice in one object")


def _integer(digits: str) -> int:
    # The length is looked at first: converting a million digits takes seconds.
    if digits.startswith("-") or len(digits) > len(str(MAX_INTEGER)) or int(digits) > MAX_INTEGER:
        raise NotStrictError(f"has the number {digits[:40]}, which is not between 0 and 2^53 - 1")
    return int(digits)


def _refuse_number(literal: str) -> NoReturn:
    raise NotStrictError(f"has the number {literal[:40]}, which is not an integer without point or exponent")


def _inspect(root: object) -> None:
    """Refuse what `json` lets through: deep nesting and lone surrogates. Level by level, so without recursion."""
    levels: list[list[object]] = []
    level: list[object] = [root]
    while level:
        levels.append(level)
        containers = [value for value in level if isinstance(value, (dict, list))]
        if containers and len(levels) > MAX_OPEN_BRACKETS:
            raise NotStrictError(_too_deep())
        level = list(chain.from_iterable(map(_contents, containers)))
    for level in levels:
        _refuse_surrogates(level)


def _refuse_depth(text: str) -> None:
    """Refuse too many open brackets in what may not be JSON."""
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > MAX_OPEN_BRACKETS:
            raise NotStrictError(_too_deep())


def _contents(container: dict[str, Any] | list[Any]) -> list[Any]:
    return [*container.keys(), *container.values()] if isinstance(container, dict) else container


def _refuse_surrogates(values: list[object]) -> None:
    for value in values:
        if isinstance(value, str) and not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise NotStrictError(f"has a lone surrogate in the text {json.dumps(value)[:80]}")


def _too_deep() -> str:
    return f"has more than {MAX_OPEN_BRACKETS} brackets open at once"
