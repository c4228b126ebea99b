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

    def span(self, document: str) -> tuple[int, int]:
        """Return where in a text of JSON the value stands that `read` finds: its first character, and the one after.

        Raises:
            Unreadable: The text is no JSON, or has nothing there.
        """
        self.read(document)
        at = _after_blank(document, 0)
        for step in self.steps:
            at = _start_of(document, at, step)
        return at, _end_of(document, at)


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


_BLANK = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def _after_blank(document: str, at: int) -> int:
    found = _BLANK.match(document, at)
    return found.end() if found else at


def _end_of(document: str, at: int) -> int:
    return _DECODER.raw_decode(document, at)[1]


def _start_of(document: str, at: int, step: str | int) -> int:
    """Return where the value of a step begins, in the array or object that begins at a place of sound JSON."""
    number, opens = 0, "[" if isinstance(step, int) else "{"
    if document[at] == opens:
        at = _after_blank(document, at + 1)
        while document[at] not in "]}":
            name: str | int = number
            if opens == "{":
                name, at = _DECODER.raw_decode(document, at)
                at = _after_blank(document, _after_blank(document, at) + 1)
            if name == step:
                return at
            number, at = number + 1, _after_blank(document, _end_of(document, at))
            at = _after_blank(document, at + 1) if document[at] == "," else at
    message = "nothing stands there"
    raise Unreadable(message)
