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
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class NotStrictError(ValueError):
    """The bytes are not JSON, or are JSON that is open to more than one reading."""


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
    # What has few brackets is not nested deeply.
    if text.count("[") + text.count("{") > MAX_OPEN_BRACKETS:
        _refuse_depth(text)
    value = _load(text)
    # Only an escape can name a lone surrogate: UTF-8 has none.
    if _SURROGATE.search(text):
        _refuse_surrogates(value)
    return value


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise NotStrictError(f"longer than {MAX_BYTES} bytes")
    if data.startswith(_BOM):
        raise NotStrictError("begins with a byte order mark")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotStrictError("not UTF-8") from error


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
        # What the library says of it differs from one Python to the next; a reason has to be the same everywhere.
        raise NotStrictError("not JSON") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
    raise NotStrictError(f"the name {json.dumps(twice)[:80]} stands twice in one object")


def _integer(digits: str) -> int:
    # The length is looked at first: converting a million digits takes seconds.
    if digits.startswith("-") or len(digits) > len(str(MAX_INTEGER)) or int(digits) > MAX_INTEGER:
        raise NotStrictError(f"the number {digits[:40]} is not between 0 and 2^53 - 1")
    return int(digits)


def _refuse_number(literal: str) -> NoReturn:
    raise NotStrictError(f"the number {literal[:40]} is not an integer without point or exponent")


def _refuse_depth(text: str) -> None:
    """Refuse too many open brackets, also in what is not JSON: not every parser would get to see what else is wrong."""
    depth = 0
    for found in _BRACKETS.finditer(text):
        bracket = found[0]
        if bracket in "[{":
            depth += 1
            if depth > MAX_OPEN_BRACKETS:
                raise NotStrictError(f"more than {MAX_OPEN_BRACKETS} brackets are open at once")
        elif bracket in "]}":
            depth -= 1


def _refuse_surrogates(root: object) -> None:
    """Refuse lone surrogates, level by level: of several, every verifier names the same."""
    level: list[object] = [root]
    while level:
        for value in level:
            if isinstance(value, str) and not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
                raise NotStrictError(f"the text {json.dumps(value)[:80]} has a lone surrogate")
        containers = [value for value in level if isinstance(value, (dict, list))]
        level = list(chain.from_iterable(map(_contents, containers)))


def _contents(container: dict[str, Any] | list[Any]) -> list[Any]:
    return [*container.keys(), *container.values()] if isinstance(container, dict) else container
