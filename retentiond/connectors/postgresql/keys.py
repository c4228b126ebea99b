"""Keys as operators type them, read for the types that a table's columns have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import product
from uuid import UUID

from retentiond.connectors.postgresql.catalog import Column, Family
from retentiond.connectors.postgresql.dialect import is_storable
from retentiond.connectors.postgresql.fields import LARGEST, SMALLEST
from retentiond.domain.dataset import Dataset
from retentiond.domain.record import Key, KeyPart
from retentiond.errors import UsageError

_LONGEST_INTEGER = len(str(SMALLEST))
_BYTES = ("\\x", "x'", "X'")


def typed_keys(typed: str, dataset: Dataset, columns: Sequence[Column]) -> list[Key]:
    r"""Return the keys that a text may mean: none where no row can have such a key.

    A key of several columns is a JSON array of texts. Bytes are hexadecimals, alone or as `\x…` or `x'…'`.

    Raises:
        UsageError: The key has several columns, and this is no JSON array of as many.
    """
    parts: list[object] = [typed]
    if len(columns) > 1:
        parts = _array(typed, dataset)
    return list(product(*(_readings(part, column) for part, column in zip(parts, columns, strict=True))))


def _array(typed: str, dataset: Dataset) -> list[object]:
    try:
        parts = json.loads(typed)
    except ValueError:
        parts = None
    if not isinstance(parts, list) or len(parts) != len(dataset.key):
        raise UsageError(
            f"{typed!r} is no key of {dataset.name}, which has {len(dataset.key)} columns",
            where=dataset.name,
            remedy=f"write a JSON array: {json.dumps(list(dataset.key))}",
        )
    return parts


def _readings(part: object, column: Column) -> list[KeyPart]:
    if isinstance(part, bool) or not isinstance(part, str | int):
        return []
    text = str(part)
    if not is_storable(text):
        return []
    try:
        reading = _reading(text, column)
    except (ValueError, OverflowError, InvalidOperation):
        return []
    return [] if reading is None else [reading]


def _reading(text: str, column: Column) -> KeyPart | None:
    match column.family:
        case Family.INTEGER:
            return _integer(text)
        case Family.UUID:
            return UUID(text)
        case Family.BYTES:
            return bytes.fromhex(text[2:].removesuffix("'") if text.startswith(_BYTES) else text)
        case Family.NUMERIC:
            return str(Decimal(text)) if text.isascii() and "_" not in text else None
        case Family.BOOLEAN:
            return text if text in ("true", "false") else None
        case Family.DATE:
            return date.fromisoformat(text).isoformat()
        case Family.TIMESTAMP | Family.TIMESTAMPTZ:
            return datetime.fromisoformat(text).isoformat(" ")
        case _:
            return text


def _integer(text: str) -> int | None:
    if len(text) > _LONGEST_INTEGER or not text.isascii() or not text.removeprefix("-").isdecimal():
        return None
    number = int(text)
    return number if str(number) == text and SMALLEST <= number <= LARGEST else None
