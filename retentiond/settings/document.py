"""YAML 1.2 with places: plain values, and the line and column that each of them came from.

The file is read as ruamel.yaml's stream of events, so that nothing is built before it is judged: duplicate keys, tags,
aliases, a second document and other YAML versions are refused where they stand. Plain scalars follow the core schema
(YAML 1.2.2, section 10.3), but for two things: counts may be written `5_000_000`, and keys are always text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from retentiond.errors import ConfigError

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
Trail: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 1 << 20
_MAX_DEPTH = 40
_MAX_DIGITS = 18
_CORRECT = "correct the YAML at this place; indent with spaces, and put text with special characters in quotes"
_INTEGER = re.compile(r"[-+]?[0-9]+(?:_[0-9]+)*", re.ASCII)
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class Document:
    """One file, read.

    Attributes:
        name: The file's name, as places give it.
        root: Its mapping; an empty one for a file that says nothing.
    """

    name: str
    root: Mapping[str, Value]
    _values: Mapping[Trail, tuple[int, int]]
    _keys: Mapping[Trail, tuple[int, int]]

    def position(self, path: Trail, *, key: bool = False) -> tuple[int, int]:
        """Return line and column, from 1, of the value at a path, or of its key; else of the nearest thing around it.

        Args:
            path: Keys and indexes from the root; words that are not in the file are passed over.
        """
        known: Trail = ()
        for part in path:
            if (*known, part) in self._values:
                known = (*known, part)
        is_key = key and known[-1:] == path[-1:] and known in self._keys
        marks = self._keys if is_key else self._values
        return marks.get(known, (1, 1))

    def place(self, path: Trail, *, key: bool = False) -> str:
        """Return `name:line:column` of a path."""
        line, column = self.position(path, key=key)
        return f"{self.name}:{line}:{column}"


def read_document(path: Path) -> Document:
    """Read a file of YAML whose root is a mapping.

    Raises:
        ConfigError: It cannot be read, is too large, no UTF-8, no YAML or no mapping, or uses what is refused.
    """
    return parse_document(path.name, read_bytes(path))


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Return a file's bytes.

    Raises:
        ConfigError: It cannot be read, or is longer than the limit.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise ConfigError("there is no such file", where=str(path), remedy="`retentiond init` writes one") from error
    except OSError as error:
        remedy = "make it a file that this user may read"
        raise ConfigError(f"it cannot be read: {error.strerror}", where=str(path), remedy=remedy) from error
    if len(data) > limit:
        raise ConfigError(
            f"it is longer than {limit:,} bytes", where=path.name, remedy="shorten it, or put its long lists into files"
        )
    return data


def parse_document(name: str, data: bytes) -> Document:
    """Read YAML from bytes, as read_document does from a file.

    Raises:
        ConfigError: As there.
    """
    text = decode(name, data)
    try:
        return _Builder(name, YAML(typ="rt", pure=True).parse(text)).build()
    except MarkedYAMLError as error:
        raise _syntax_error(name, error) from error
    except YAMLError as error:
        position = getattr(error, "position", 0)
        place = place_of_offset(name, text, position)
        raise ConfigError("it holds a character that YAML does not allow", where=place, remedy=_CORRECT) from error


def decode(name: str, data: bytes) -> str:
    """Return bytes as text; a byte order mark is dropped.

    Raises:
        ConfigError: They are no UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8-sig", "replace")
        place = place_of_offset(name, good, len(good))
        raise ConfigError("it is not UTF-8", where=place, remedy="save the file as UTF-8") from error


def place_of_offset(name: str, text: str, offset: int) -> str:
    """Return `name:line:column` of a character of a text."""
    before = text[:offset]
    return f"{name}:{before.count(chr(10)) + 1}:{offset - (before.rfind(chr(10)) + 1) + 1}"


def _syntax_error(name: str, error: MarkedYAMLError) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    problem = (error.problem or "something unexpected").splitlines()[0].strip()
    while_ = f", {error.context.splitlines()[0].strip()}" if error.context else ""
    return ConfigError(f"this is not YAML: {problem}{while_}", where=where, remedy=_CORRECT)


class _Builder:
    """Builds a document from events."""

    def __init__(self, name: str, events: Iterator[Event]) -> None:
        self._name = name
        self._events = events
        self._values: dict[Trail, tuple[int, int]] = {}
        self._keys: dict[Trail, tuple[int, int]] = {}

    def build(self) -> Document:
        """Return the document, which must be the stream's only one."""
        value: Value = None
        start = next(event for event in self._events if isinstance(event, DocumentStartEvent | StreamEndEvent))
        if isinstance(start, DocumentStartEvent):
            if start.version not in (None, (1, 2)):
                raise self._refusal(start, "another version of YAML is asked for", "remove the %YAML line")
            root = next(self._events)
            value = self._value(root, ())
            if value is not None and not isinstance(value, dict):
                raise self._refusal(root, "the file is not a mapping", "write `name: value` lines at its left margin")
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                raise self._refusal(event, "a second YAML document begins here", "keep one document: remove the `---`")
        return Document(self._name, value if isinstance(value, dict) else {}, self._values, self._keys)

    def _value(self, event: Event, path: Trail) -> Value:
        self._values[path] = _position(event)
        self._check(event, path)
        if isinstance(event, ScalarEvent):
            return self._text(event) if event.style else _plain(event.value)
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        return self._sequence(path)

    def _check(self, event: Any, path: Trail) -> None:  # noqa: ANN401 -- as in _position
        if isinstance(event, AliasEvent):
            raise self._refusal(event, "anchors and aliases are not used here", "write the value out where it counts")
        if event.tag is not None:
            raise self._refusal(event, f"the tag {event.tag} is not used here", "remove the tag")
        if len(path) > _MAX_DEPTH:
            raise self._refusal(event, f"brackets lie more than {_MAX_DEPTH} deep", "flatten what is nested here")

    def _mapping(self, path: Trail) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            self._check(event, path)
            if not isinstance(event, ScalarEvent):
                raise self._refusal(event, "a name is a text, not a list or a mapping", _CORRECT)
            key = self._text(event)
            if key == "<<" and not event.style:
                raise self._refusal(event, "merge keys are not used here", "write the values out where they count")
            inner = (*path, key)
            if key in found:
                line, column = self._keys[inner]
                what = f"{key!r} stands twice in one mapping; first at line {line}, column {column}"
                raise self._refusal(event, what, "keep one of the two")
            self._keys[inner] = _position(event)
            value = next(self._events)
            found[key] = self._value(value, inner)
            if isinstance(value, ScalarEvent) and not (value.value or value.style):
                self._values[inner] = self._keys[inner]  # a blank has no place of its own
        return found

    def _sequence(self, path: Trail) -> list[Value]:
        found: list[Value] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            found.append(self._value(event, (*path, len(found))))
        return found

    def _text(self, event: ScalarEvent) -> str:
        """Return a scalar's text; escapes of two surrogates, as JSON writes them, are one character."""
        text = str(event.value)
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError as error:
            what, remedy = "this text holds half a character", "remove the escape of a lone surrogate"
            raise self._refusal(event, what, remedy) from error

    def _refusal(self, event: Event, what: str, remedy: str) -> ConfigError:
        line, column = _position(event)
        return ConfigError(what, where=f"{self._name}:{line}:{column}", remedy=remedy)


def _position(event: Any) -> tuple[int, int]:  # noqa: ANN401 -- ruamel.yaml does not type its marks
    return event.start_mark.line + 1, event.start_mark.column + 1


def _plain(text: str) -> Value:
    """Return what a plain scalar means; numbers too long for any use here stay text."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if len(text) > _MAX_DIGITS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text.replace("_", ""))
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text
