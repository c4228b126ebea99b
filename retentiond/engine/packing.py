"""Columns as bytes: what a batch's records look like in the ledger.

Integers stand as their differences, in as few bytes as the largest of them needs; of texts with few different values
each stands once. All else is JSON. This runs for every record several times, so there is no loop over values in Python.
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from itertools import accumulate, islice
from operator import attrgetter, sub
from typing import Any
from uuid import UUID

from retentiond.domain.records import Same

_FAST = 1
_LENGTH_BYTES = 4
_UUID_BYTES = 16
_SIGNED, _UNSIGNED = "bhiq", "BHI"
_TEXTS = frozenset((str, type(None)))


def pack(count: int, columns: Mapping[str, Sequence[Any]]) -> bytes:
    """Return columns of `count` values each: whole numbers, texts, UUIDs, and whatever else JSON can hold."""
    specs: dict[str, Any] = {}
    pieces: list[bytes] = []
    for name, column in columns.items():
        specs[name], piece = _packed(column)
        pieces.append(piece)
    head = zlib.compress(json.dumps({"count": count, "columns": specs}, separators=(",", ":")).encode(), _FAST)
    return b"".join((len(head).to_bytes(_LENGTH_BYTES), head, *pieces))


def unpack(data: bytes) -> dict[str, Sequence[Any]]:
    """Read what pack() wrote."""
    start = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES])
    head = json.loads(zlib.decompress(data[_LENGTH_BYTES:start]))
    count: int = head["count"]
    columns: dict[str, Sequence[Any]] = {}
    for name, spec in head["columns"].items():
        columns[name], size = _unpacked(spec, count, memoryview(data)[start:])
        start += size
    return columns


def _packed(column: Sequence[Any]) -> tuple[Any, bytes]:
    """Return how a column is written, and its bytes."""
    if isinstance(column, Same):
        return {"all": column.value}, b""
    kinds = {*map(type, column)}
    if len(kinds) == 1 and column[0] == column[-1] and column.count(column[0]) == len(column):
        kind = kinds.pop()
        return ({"all": column[0]} if kind is not UUID else {"uuid": 1}), (b"" if kind is not UUID else _uuids(column))
    if kinds == {int}:
        return _integers(column)
    if kinds == {UUID}:
        return {"uuid": 1}, _uuids(column)
    if kinds <= _TEXTS:
        return _texts(column)
    return list(column), b""


def _unpacked(spec: Any, count: int, data: memoryview) -> tuple[Sequence[Any], int]:  # noqa: ANN401 - JSON
    """Return a column, and how many bytes it took."""
    if isinstance(spec, list):
        return spec, 0
    if "all" in spec:
        return Same(spec["all"], count), 0
    if "uuid" in spec:
        size = count * _UUID_BYTES
        return [UUID(bytes=bytes(data[at : at + _UUID_BYTES])) for at in range(0, size, _UUID_BYTES)], size
    if "of" in spec:
        numbers = _array(spec["as"], count, data)
        return list(map(spec["of"].__getitem__, numbers)), count * numbers.itemsize
    numbers = _array(spec["as"], count - 1, data)
    return list(accumulate(numbers, initial=spec["from"])), (count - 1) * numbers.itemsize


def _integers(column: Sequence[int]) -> tuple[Any, bytes]:
    steps = list(map(sub, islice(column, 1, None), column))
    most = max(max(steps), -1 - min(steps))  # noqa: PLW3301 - five thousand arguments are no call
    for code in _SIGNED:
        if not most >> (8 * array(code).itemsize - 1):
            return {"from": column[0], "as": code}, _bytes(array(code, steps))
    return list(column), b""


def _texts(column: Sequence[str | None]) -> tuple[Any, bytes]:
    numbers = {value: number for number, value in enumerate(dict.fromkeys(column))}
    if 2 * len(numbers) > len(column):
        return list(column), b""
    code = next(code for code in _UNSIGNED if not len(numbers) >> (8 * array(code).itemsize))
    return {"of": list(numbers), "as": code}, _bytes(array(code, map(numbers.__getitem__, column)))


def _uuids(column: Sequence[UUID]) -> bytes:
    return b"".join(map(attrgetter("bytes"), column))


def _bytes(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _array(code: str, count: int, data: memoryview) -> array[int]:
    numbers: array[int] = array(code)
    numbers.frombytes(data[: count * numbers.itemsize])
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
