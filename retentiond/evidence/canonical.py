"""The one spelling of every value that is hashed or signed: JSON by RFC 8785 (JCS), times by RFC 3339."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import rfc8785

from retentiond.errors import ReceiptError

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"

MAX_INTEGER = 2**53 - 1
_TELL = "this is a defect of retentiond or damage to the ledger; nothing was signed"


def canonical_json(value: Json) -> bytes:
    """Return the RFC 8785 form of a value, as UTF-8.

    Raises:
        ReceiptError: A number is no integer from 0 to 2^53-1, a text holds a lone surrogate, or a type has no JSON.
    """
    try:
        return rfc8785.dumps(_checked(value))
    except ValueError as error:
        raise ReceiptError(f"a value has no canonical form: {error}", remedy=_TELL) from error


def rfc3339(moment: datetime) -> str:
    """Return an aware time as `YYYY-MM-DDThh:mm:ssZ` in UTC; fractions of a second are cut off (RFC 3339).

    Raises:
        ReceiptError: The time has no zone.
    """
    if moment.tzinfo is None:
        raise ReceiptError(f"a time without a zone cannot stand in a receipt: {moment.isoformat()}", remedy=_TELL)
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def optional_rfc3339(moment: datetime | None) -> str | None:
    """Return a time as rfc3339() does, or None for None."""
    return None if moment is None else rfc3339(moment)


# rfc8785 takes dicts and lists only, and would let floats and negative numbers pass.
def _checked(value: Json) -> Any:  # noqa: ANN401 - rfc8785 does not export its type
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, Mapping):
        return {name: _checked(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_checked(inner) for inner in value]
    raise ReceiptError(f"a value of type {type(value).__name__} has no place in a receipt", remedy=_TELL)


def _integer(value: int) -> int:
    if not 0 <= value <= MAX_INTEGER:
        raise ReceiptError(f"a number in a receipt lies outside 0 to 2^53-1: {value}", remedy=_TELL)
    return value
