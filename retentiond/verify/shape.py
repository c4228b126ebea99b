"""Says which members a JSON object must have, and finds the ones that nobody announced."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NoReturn

from .encoding import from_base64, from_hex, from_rfc3339

Json = dict[str, Any]
_HASH_BYTES = 32
_SHOWN_UNKNOWN = 20
_SHOWN_CHARACTERS = 80


class MisshapenError(ValueError):
    """A document lacks a member, or a member has a value that it may not have; says which."""


@dataclass(slots=True)
class Unknown:
    """The members that no shape names: accepted, counted, and the first of them kept to be shown."""

    shown: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, path: str, name: str, value: object) -> None:
        """Count one, and keep it as `path.name = value`, in ASCII and cut to a readable length."""
        self.total += 1
        if len(self.shown) < _SHOWN_UNKNOWN:
            shown = f"{json.dumps(name)[:_SHOWN_CHARACTERS]} = {json.dumps(value)[:_SHOWN_CHARACTERS]}"
            self.shown.append(f"{path}: {shown}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a document a check stands, for the message it may have to write."""

    path: str
    unknown: Unknown

    def inside(self, name: str | int) -> Place:
        """Give the place of a member or an element of what stands here."""
        return Place(f"{self.path}[{name}]" if isinstance(name, int) else f"{self.path}.{name}", self.unknown)

    def refuse(self, why: str) -> NoReturn:
        """Raise MisshapenError for what stands here."""
        raise MisshapenError(f"{self.path} {why}")


Shape = Callable[[Any, Place], None]
_NOTHING: Mapping[str, Shape] = MappingProxyType({})


def record(required: Mapping[str, Shape], optional: Mapping[str, Shape] = _NOTHING) -> Shape:
    """Ask for an object with these members; others are accepted and remembered as unknown."""

    def check(value: Any, place: Place) -> None:  # noqa: ANN401 - JSON holds anything
        if not isinstance(value, dict):
            place.refuse("is not an object")
        for name, shape in required.items():
            if name not in value:
                place.refuse(f"has no member {name!r}")
            shape(value[name], place.inside(name))
        for name, inner in value.items():
            if name in optional:
                optional[name](inner, place.inside(name))
            elif name not in required:
                place.unknown.add(place.path, name, inner)

    return check


def table_of(shape: Shape) -> Shape:
    """Ask for an object with any names, each value of one shape."""

    def check(value: Any, place: Place) -> None:  # noqa: ANN401 - JSON holds anything
        if not isinstance(value, dict):
            place.refuse("is not an object")
        for inner in value.values():
            shape(inner, place)

    return check


def list_of(shape: Shape) -> Shape:
    """Ask for an array whose elements all have one shape."""

    def check(value: Any, place: Place) -> None:  # noqa: ANN401 - JSON holds anything
        if not isinstance(value, list):
            place.refuse("is not an array")
        for index, element in enumerate(value):
            shape(element, place.inside(index))

    return check


def pair(first: Shape, second: Shape) -> Shape:
    """Ask for an array of exactly two elements."""

    def check(value: Any, place: Place) -> None:  # noqa: ANN401 - JSON holds anything
        if not isinstance(value, list) or len(value) != len((first, second)):
            place.refuse("is not an array of two")
        first(value[0], place.inside(0))
        second(value[1], place.inside(1))

    return check


def nullable(shape: Shape) -> Shape:
    """Ask for null or the shape."""

    def check(value: Any, place: Place) -> None:  # noqa: ANN401 - JSON holds anything
        if value is not None:
            shape(value, place)

    return check


def one_of(*words: str) -> Shape:
    """Ask for one of these texts."""

    def check(value: Any, place: Place) -> None:  # noqa: ANN401 - JSON holds anything
        if not isinstance(value, str) or value not in words:
            place.refuse(f"is {json.dumps(value)[:_SHOWN_CHARACTERS]}, not {' or '.join(words)}")

    return check


def _of_type(kind: type, name: str) -> Shape:
    def check(value: Any, place: Place) -> None:  # noqa: ANN401 - JSON holds anything
        # Exactly: in Python True is an int, in JSON it is no number.
        if type(value) is not kind:
            place.refuse(f"is not {name}")

    return check


def _spelled(decode: Callable[[str], object]) -> Shape:
    def check(value: Any, place: Place) -> None:  # noqa: ANN401 - JSON holds anything
        text(value, place)
        try:
            decode(value)
        except ValueError as error:
            place.refuse(f"is {error}")

    return check


def anything(_value: object, _place: Place) -> None:
    """Accept every value."""


text = _of_type(str, "text")
integer = _of_type(int, "an integer")
flag = _of_type(bool, "true or false")
table = _of_type(dict, "an object")
time = _spelled(from_rfc3339)
base64_bytes = _spelled(from_base64)
hash_hex = _spelled(lambda value: from_hex(value, _HASH_BYTES))
