"""Many values in one: keys and times go to the server as array texts, and come back as arrays or strings of bytes.

One row with thousands of values costs a third of thousands of rows with one.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from retentiond.connectors.postgresql.catalog import Column, Family
from retentiond.connectors.postgresql.fields import SMALLEST, Field, Kind
from retentiond.domain.record import KeyPart, Value

Decode: TypeAlias = Callable[[Any], Sequence[Any]]

_EPOCH_2000 = 946_684_800_000_000  # PostgreSQL counts microseconds from 2000-01-01
_NONE = "'\\x8000000000000000'::bytea"
_UUID_BYTES = 16
_ARRAY_TYPES = {
    Family.INTEGER: "int8",
    Family.NUMERIC: "numeric",
    Family.UUID: "uuid",
    Family.BYTES: "bytea",
    Family.BOOLEAN: "bool",
    Family.TIMESTAMPTZ: "timestamptz",
    Family.TIMESTAMP: "timestamp",
    Family.DATE: "date",
}


@dataclass(frozen=True, slots=True)
class Bulk:
    """How a column of a subquery comes back: an aggregate over its name, and what makes a list of the answer."""

    aggregate: str
    decode: Decode


def numbers(raw: bytes | None) -> Sequence[int]:
    """Return integers of eight bytes each, as int8send writes them."""
    return struct.unpack(f">{len(raw) // 8}q", raw) if raw else ()


def _times(raw: bytes | None) -> list[int | None]:
    return [None if each == SMALLEST else each + _EPOCH_2000 for each in numbers(raw)]


def _micros(raw: bytes | None) -> list[int | None]:
    return [None if each == SMALLEST else each for each in numbers(raw)]


def _uuids(raw: bytes | None) -> list[UUID]:
    raw = raw or b""
    return [UUID(bytes=raw[at : at + _UUID_BYTES]) for at in range(0, len(raw), _UUID_BYTES)]


def _list(raw: Sequence[Any] | None) -> Sequence[Any]:
    return raw or ()


def integers(expression: str) -> Bulk:
    """Return how integers that are never NULL come back."""
    return Bulk(f"string_agg(int8send({expression}), ''::bytea)", numbers)


def times(field: Field, name: str) -> Bulk:
    """Return how times come back: microseconds since the epoch, or None."""
    if field.kind is Kind.TIME:
        return Bulk(f"string_agg(coalesce(timestamptz_send({name}), {_NONE}), ''::bytea)", _times)
    return Bulk(f"string_agg(coalesce(int8send({name}), {_NONE}), ''::bytea)", _micros)


def values(name: str) -> Bulk:
    """Return how values of any type come back, None among them."""
    return Bulk(f"array_agg({name})", _list)


def lists(name: str) -> Bulk:
    """Return how arrays of texts come back, None among them: an array of them would need equal lengths."""
    return Bulk(f"array_agg(array_to_json({name})::text)", _lists)


def _lists(raw: Sequence[str | None] | None) -> list[list[str] | None]:
    return [None if each is None else json.loads(each) for each in raw or ()]


def key_part(column: Column, name: str) -> Bulk:
    """Return how a part of a key comes back."""
    if column.family is Family.INTEGER:
        return integers(name)
    if column.family is Family.UUID:
        return Bulk(f"string_agg(uuid_send({name}), ''::bytea)", _uuids)
    return values(name)


def key_sql(column: Column) -> str:
    """Return a part of a key of row `t` as `key_part` takes it: what is no integer, uuid or bytea as text."""
    if column.family is Family.INTEGER:
        return f"{column.of}::int8"
    return column.of if column.family in (Family.UUID, Family.BYTES) else f"{column.of}::text"


def array_type(column: Column) -> str:
    """Return the type of elements that are compared with a column; never one that cuts a value off."""
    if column.base == "bpchar":
        return "bpchar"
    if column.family is Family.TEXT:
        return "text"
    return _ARRAY_TYPES.get(column.family, column.type)


def array_text(parts: Iterable[KeyPart]) -> str:
    """Return values as the text of an array."""
    parts = list(parts)
    elements = map(str, parts) if {*map(type, parts)} == {int} else map(_element, parts)
    return "{" + ",".join(elements) + "}"


def _element(part: KeyPart) -> str:
    if isinstance(part, str):
        return '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f'"\\\\x{part.hex()}"' if isinstance(part, bytes) else str(part)


def attribute(value: object) -> Value:
    """Return an attribute's value as records bear it."""
    return value if isinstance(value, bool | int | str) else None
