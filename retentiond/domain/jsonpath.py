"""Paths into JSON: one value inside a text that a column holds.

The grammar is narrow on purpose, so that every store reads it alike: `$`, then `.name`, `."any name"` or `[0]`. There
are no wildcards, filters or negative indexes. What a path does not lead to is missing; a text that is no JSON (RFC
8259), or in which a name of the path stands twice (who could say which counts?), is unreadable, which is another thing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

_STEP = re.compile(
    r'\.(?P<name>[^.\[\]"\\\s$*@?(){},:\x00-\x1f\x7f]+)|\."(?P<quoted>[^"\\\x00-\x1f]*)"|\[(?P<index>[0-9]+)\]'
)
_MOST_STEPS = 16
_MOST_DIGITS = 9


class Unreadable(ValueError):
    """A value that is there and cannot be told; its text is never shown."""


class Members(list[tuple[str, Any]]):
    """A JSON object as its members in order, so that a name that stands twice can be seen."""


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A path.

    Attributes:
        text: As it was written, such as `$.meta.created`.
        steps: Names of members, and indexes of elements; empty for the whole document.
    """

    text: str
    steps: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """Read a path.

        Raises:
            ValueError: It is none; the message says why.
        """
        if not text.startswith("$"):
            message = f"{text!r} does not begin with $, the whole document"
            raise ValueError(message)
        at, steps = 1, []
        while at < len(text):
            step = _STEP.match(text, at)
            if step is None or len(step["index"] or "") > _MOST_DIGITS:
                message = f"{text!r} cannot be read from {text[at:]!r} on"
                raise ValueError(message)
            steps.append(int(step["index"]) if step["index"] else step["name"] or step["quoted"])
            at = step.end()
        if len(steps) > _MOST_STEPS:
            message = f"{text!r} has more than {_MOST_STEPS} steps"
            raise ValueError(message)
        return cls(text, tuple(steps))

    def read(self, document: str) -> object:
        """Return the value in a text of JSON; None where there is none, or null.

        Raises:
            Unreadable: The text is no JSON, or a name of the path stands twice in its object.
        """
        value = parse_json(document)
        for step in self.steps:
            value = _member(value, step)
        return value


def parse_json(document: str) -> Any:  # noqa: ANN401 -- JSON
    """Return a text of JSON as Python has it, but for objects, which are `Members`.

    Raises:
        Unreadable: It is no JSON (RFC 8259), or nested or long beyond what can be read.
    """
    try:
        return json.loads(document, object_pairs_hook=Members, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        message = "no JSON"
        raise Unreadable(message) from error


def _refuse_constant(_word: str) -> NoReturn:
    message = "NaN and Infinity are no JSON"
    raise Unreadable(message)


def _member(value: Any, step: str | int) -> object:  # noqa: ANN401 -- JSON
    if isinstance(step, int):
        is_array = isinstance(value, list) and not isinstance(value, Members)
        return value[step] if is_array and step < len(value) else None
    if not isinstance(value, Members):
        return None
    found = [inner for name, inner in value if name == step]
    if len(found) > 1:
        message = "a name of the path stands twice"
        raise Unreadable(message)
    return found[0] if found else None
