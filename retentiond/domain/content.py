"""Content windows' targets: parts of a record that go, or change, sooner than the record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from retentiond.domain.jsonpath import JsonPath, Unreadable, parse_json

Content = bool | None
PSEUDONYM = "pseudonym-"
PSEUDONYM_DIGITS = 32
_UUID_VERSION = "8"
_UUID_VARIANT = "8"


@dataclass(frozen=True)
class Target:
    """One column of a row, or one place in the JSON that it holds.

    Attributes:
        json: Where in the column's JSON; None for the column itself.
        constant: The JSON text of what stands there afterwards; None for nothing: NULL, or `null` inside JSON.
        pseudonym: Whether a pseudonym of the account that stands there takes its place.
    """

    column: str
    json: JsonPath | None = None
    constant: str | None = None
    pseudonym: bool = False

    @property
    def name(self) -> str:
        """As people write it, such as `metadata.$.prompt`."""
        return f"{self.column}.{self.json.text}" if self.json else self.column

    @cached_property
    def value(self) -> bool | int | str | None:
        """What a plain column holds afterwards: the constant, arrays and objects as the text of their JSON."""
        found = json.loads(self.constant) if self.constant is not None else None
        return found if found is None or isinstance(found, bool | int | str) else self.constant

    def overlaps(self, other: Target) -> bool:
        """Whether a change of one touches the other."""
        if self.column != other.column:
            return False
        if self.json is None or other.json is None:
            return True
        return all(mine == theirs for mine, theirs in zip(self.json.steps, other.json.steps, strict=False))

    def stands_in(self, document: str) -> Content:
        """Tell whether the JSON of the column has something to remove at the path; None where it cannot be read."""
        try:
            found = self.json.read(document) if self.json else parse_json(document)
            return found is not None and (self.constant is None or not _same(found, parse_json(self.constant)))
        except Unreadable:
            return None

    def rewritten(self, document: str) -> str:
        """Return the JSON of the column with what shall stand at the path, the rest byte for byte.

        Raises:
            Unreadable: It cannot be read.
        """
        if not self.json or not self.stands_in(document):
            return document
        start, end = self.json.span(document)
        return document[:start] + (self.constant or "null") + document[end:]

    def part(self, value: object) -> object:
        """Return what of a column's value the target is; JSON as its text, None where there is nothing."""
        if self.json is None or not isinstance(value, str):
            return value if self.json is None else None
        try:
            start, end = self.json.span(value)
        except Unreadable:
            return None
        found = value[start:end]
        return json.loads(found) if found.startswith('"') else found


@dataclass(frozen=True, slots=True)
class Change:
    """What one content window does to a row.

    Attributes:
        required: Whether a table without any of the columns is an error, and not simply one that has no such content.
    """

    targets: tuple[Target, ...]
    required: bool = True

    @property
    def pseudonymises(self) -> bool:
        """Whether accounts give way to pseudonyms."""
        return any(target.pseudonym for target in self.targets)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it changes, each once."""
        return tuple(dict.fromkeys(target.column for target in self.targets))

    @property
    def names(self) -> tuple[str, ...]:
        """Its targets as people write them."""
        return tuple(target.name for target in self.targets)

    def overlaps(self, other: Change) -> bool:
        """Whether the two have a target in common."""
        return any(mine.overlaps(theirs) for mine in self.targets for theirs in other.targets)

    def going(self, values: Mapping[str, object]) -> Iterator[object]:
        """Yield what goes from a row of these values, by column; JSON stands there as text."""
        return (target.part(values[target.column]) for target in self.targets)

    def staying(self, values: Mapping[str, object]) -> Iterator[object]:
        """Yield what is left of a row's values."""
        inside = self.in_columns()
        for name, value in values.items():
            targets = inside.get(name)
            if targets is None:
                yield value
            elif targets[0].json is not None and isinstance(value, str):
                yield rewritten(value, targets)

    def in_columns(self) -> dict[str, list[Target]]:
        """Return the targets by their columns."""
        found: dict[str, list[Target]] = {}
        for target in self.targets:
            found.setdefault(target.column, []).append(target)
        return found


def as_uuid(pseudonym: str) -> str:
    """Return a pseudonym as a UUID of version 8 (RFC 9562), for columns that hold nothing else."""
    digits = pseudonym.removeprefix(PSEUDONYM)
    digits = digits[:12] + _UUID_VERSION + digits[13:16] + _UUID_VARIANT + digits[17:]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def rewritten(document: str, targets: Iterable[Target]) -> str:
    """Return a column's JSON after the changes of all targets in it.

    Raises:
        Unreadable: It cannot be read.
    """
    for target in targets:
        document = target.rewritten(document)
    return document


def _same(one: object, other: object) -> bool:
    """Tell whether two JSON values are the same: 1 is not true, and an empty array no empty object."""
    return type(one) is type(other) and one == other
