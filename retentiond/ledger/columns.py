"""Column types: how texts, times, words and structures stand in the ledger, equally in SQLite and in PostgreSQL."""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from typing import Any

import rfc8785
from sqlalchemy import BigInteger, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from retentiond.domain.record import micros, moment

POSTGRESQL = "postgresql"
_TEXT = Text()
_TEXT_THERE = Text(collation="C")  # compares and sorts by code point, as SQLite does
_ESCAPE = "\x1a"
_NUL = "\x00"

Whole = Integer().with_variant(BigInteger(), POSTGRESQL)
"""A whole number of up to 64 bits, which SQLite's INTEGER is, too."""


class _Written(TypeDecorator[Any]):
    """Base of what stands as text."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the engine's own type."""
        return _TEXT_THERE if dialect.name == POSTGRESQL else _TEXT


class AnyText(_Written):
    """Any text. PostgreSQL's have no NUL character, so it stands there as U+001A and 0, and U+001A as U+001A and 1."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the text as the engine can store it."""
        if value is None or dialect.name != POSTGRESQL:
            return value
        return value.replace(_ESCAPE, _ESCAPE + "1").replace(_NUL, _ESCAPE + "0")

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the text as it was given."""
        if value is None or dialect.name != POSTGRESQL:
            return value
        return value.replace(_ESCAPE + "0", _NUL).replace(_ESCAPE + "1", _ESCAPE)


class Moment(TypeDecorator[datetime]):
    """An aware time, stored as whole microseconds since 1970-01-01T00:00:00Z."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Return the time as an integer; a time without a zone is a TypeError."""
        del dialect
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Return the integer as a time in UTC."""
        del dialect
        return None if value is None else moment(value)


class Word(_Written):
    """A member of an enumeration, stored as its value."""

    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        """Return the member's value."""
        del dialect
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        """Return the member; a value that is none is a ValueError."""
        del dialect
        return None if value is None else self.words(value)


class Structure(_Written):
    """Lists and mappings, stored as canonical JSON (RFC 8785), in which control characters are escaped."""

    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ANN401 - whatever JSON can say
        """Return the canonical text."""
        del dialect
        return None if value is None else canonical(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ANN401 - as above
        """Return the structure; lists for whatever sequences it was made of."""
        del dialect
        return None if value is None else json.loads(value)


class Reference(AnyText):
    """The id of another row, or the empty text where there is none: stored as NULL, so that foreign keys hold."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the id, or None for the empty text."""
        return super().process_bind_param(value, dialect) or None

    def process_result_value(self, value: str | None, dialect: Dialect) -> str:
        """Return the id, or the empty text for NULL."""
        return super().process_result_value(value, dialect) or ""


def canonical(value: Any) -> bytes:  # noqa: ANN401 - rfc8785 does not export its type
    """Return a structure as RFC 8785 spells it, in UTF-8.

    Raises:
        rfc8785.CanonicalizationError: An integer beyond 2^53-1, a lone surrogate, a type that JSON does not have.
    """
    return rfc8785.dumps(value)
