"""Content windows as operators write them: parts of a record that go sooner than the record."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from retentiond.domain.content import Target
from retentiond.domain.jsonpath import JsonPath
from retentiond.evidence.canonical import MAX_INTEGER
from retentiond.settings.parts_model import PromiseModel, When
from retentiond.settings.problems import refuse, shown
from retentiond.settings.values import Declared, MaybePeriod, Name, PeriodValue, Text

_INSIDE = ".$"
_CONSTANT = "write a text, a whole number, true or false, [] or {}; a list of columns leaves nothing"
_EXAMPLE = 'write [messages, "metadata.$.prompt"], or {messages: "[redacted]"}'


def read_target(written: str, constant: object = None) -> Target:
    """Return a target as people write it: a column, or a column and a path into its JSON, such as `meta.$.prompt`.

    Raises:
        ValueError: The path is none.
    """
    column, inside, rest = written.partition(_INSIDE)
    if not inside or not column:
        return Target(written, None, _constant(constant))
    return Target(column, JsonPath.parse("$" + rest), _constant(constant))


def _constant(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _redact(value: object) -> object:
    if isinstance(value, list):
        value = dict.fromkeys(_texts(value))
    if not isinstance(value, dict) or not value:
        raise refuse(f"{shown(value)} does not say what is redacted", _EXAMPLE)
    for name, constant in value.items():
        _check_constant(constant)
        try:
            target = read_target(_texts([name])[0])
        except ValueError as error:
            raise refuse(str(error), "write it like metadata.$.prompt or metadata.$.parts[0].text") from error
        if target.json is not None and not target.json.steps:
            raise refuse(f"{name!r} is the whole of the column", f"write {target.column!r}")
    return value


def _texts(values: list[object]) -> list[str]:
    for value in values:
        if not isinstance(value, str) or not value or "\x00" in value:
            raise refuse(f"{shown(value)} is no column", _EXAMPLE)
    found = [str(value) for value in values]
    if len(set(found)) < len(found):
        raise refuse("a column is named twice", "name each once")
    return found


def _check_constant(value: object) -> None:
    if isinstance(value, str) and not value.isprintable():
        raise refuse(f"{shown(value)} holds signs that cannot be seen", _CONSTANT)
    known = value is None or isinstance(value, bool | str) or value in ([], {})
    if not known and not (isinstance(value, int) and abs(value) <= MAX_INTEGER):
        raise refuse(f"{shown(value)} cannot stand in a column's place", _CONSTANT)


def _as_written(value: dict[str, object]) -> object:
    """Return a list where nothing has a constant: canonical forms that are read again leave out what says nothing."""
    return value if any(constant is not None for constant in value.values()) else list(value)


Redact = Annotated[
    dict[str, Any],
    BeforeValidator(_redact),
    PlainSerializer(_as_written),
    WithJsonSchema(
        {
            "description": "Columns, or places in their JSON, that become empty; or each with what it becomes.",
            "anyOf": [
                {"type": "array", "minItems": 1, "items": {"type": "string"}},
                {"type": "object", "minProperties": 1},
            ],
        }
    ),
]


class ContentModel(Declared):
    """A part of a record that goes sooner than the record."""

    when: When = None
    redact: Redact | None = None
    pseudonymise: Annotated[list[Text], Field(min_length=1)] | None = None
    after: PeriodValue
    keys: MaybePeriod = None
    datasets: Annotated[list[Name], Field(min_length=1)] | None = None
    promise: PromiseModel | None = None

    @model_validator(mode="after")
    def _apart(self) -> ContentModel:
        if (self.redact is None) == (self.pseudonymise is None):
            raise refuse("a content window needs exactly one of redact, pseudonymise", _EXAMPLE)
        if self.keys and self.redact:
            raise refuse("`keys` says how long a key of pseudonyms lasts", "remove it: nothing is pseudonymised here")
        for number, target in enumerate(self.targets):
            for other in self.targets[:number]:
                if target.overlaps(other):
                    raise refuse(f"{target.name!r} and {other.name!r} are of one place", "name the outer one only")
        return self

    @property
    def targets(self) -> tuple[Target, ...]:
        """What is redacted, or pseudonymised."""
        if self.pseudonymise is not None:
            return tuple(Target(name, pseudonym=True) for name in self.pseudonymise)
        return tuple(read_target(name, constant) for name, constant in (self.redact or {}).items())

    @property
    def word(self) -> str:
        """The field that says what is done."""
        return "redact" if self.pseudonymise is None else "pseudonymise"
