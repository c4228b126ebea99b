"""Values that operators write, as pydantic types: each says how to write it when it is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)

from retentiond.domain.jsonpath import JsonPath
from retentiond.domain.period import Period
from retentiond.evidence.canonical import MAX_INTEGER, rfc3339
from retentiond.settings.problems import refuse, shown

NAME_BYTES = 64
WHAT_BYTES = 40

_WRITE_PERIOD = "write a number and a unit, such as '30 days', or ISO 8601, such as 'P30D'"
_LONGEST_DAYS = 1000 * 366
_MONTH_DAYS = 31
_NUMBER = re.compile(r"[-+]?[0-9_]*\.?[0-9]+", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


class Declared(BaseModel):
    """Base of everything that operators declare: unknown fields are errors, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    later: ClassVar[Mapping[str, str]] = {}
    """Fields that the format has and that nothing supports yet: what each would be."""

    newer: ClassVar[frozenset[str]] = frozenset()
    """Fields that came after the first release: canonical forms that do not use them stay as they were."""

    @model_serializer(mode="wrap")
    def _without_unused(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = plain(self)
        return {name: value for name, value in found.items() if name not in self.newer or value is not None}


def empty_if_blank(empty: Callable[[], object], shape: Any) -> BeforeValidator:  # noqa: ANN401 -- a type for the schema
    """Return a validator that takes a top-level mapping or list of which every line is commented out as empty."""
    return BeforeValidator(lambda value: empty() if value is None else value, json_schema_input_type=shape | None)


def shortest_seconds(period: Period) -> int:
    """Return the least seconds that a period can last: 12 months have 365 days at least, and one month 28."""
    years, months = divmod(period.months, 12)
    return (years * 365 + months * 28 + period.days) * 86400 + period.seconds


def longest_seconds(period: Period) -> int:
    """Return the most seconds that a period can last."""
    years, months = divmod(period.months, 12)
    return (years * 366 + months * _MONTH_DAYS + period.days) * 86400 + period.seconds


def read_period(value: object) -> Period:
    """Return a period as people write it.

    Raises:
        PydanticCustomError: It is none, or longer than a thousand years.
    """
    if isinstance(value, Period):
        return value
    if value is None or (isinstance(value, str) and not value.strip()):
        raise refuse("a period is blank here", _WRITE_PERIOD)
    if isinstance(value, bool | list | dict):
        raise refuse(f"{shown(value)} is not a period", _WRITE_PERIOD)
    text = str(value).strip()
    if _NUMBER.fullmatch(text) and float(text.replace("_", "")) > 0:
        raise refuse(f"{text} has no unit", _WRITE_PERIOD)
    if _NUMBER.fullmatch(text) or text.startswith("-"):
        raise refuse(f"{text} is no period, which is never zero or negative", _WRITE_PERIOD)
    try:
        period = Period.parse(text)
    except ValueError as error:
        what = str(error).split(": write", maxsplit=1)[0]
        raise refuse(what if repr(text) in what else f"{text!r}: {what}", _WRITE_PERIOD) from error
    if longest_seconds(period) > _LONGEST_DAYS * 86400:
        raise refuse(f"{text!r} is longer than a thousand years", "write a shorter period")
    return period


def _grace(value: object) -> Period | None:
    return None if value == "none" else read_period(value)


def read_fixed_period(value: object) -> Period:
    """Return a period that lasts equally long whenever it begins.

    Raises:
        PydanticCustomError: It is no period, or has months.
    """
    period = read_period(value)
    if period.months:
        raise refuse(f"{period} has no fixed length", "write it in weeks, days, hours or minutes")
    return period


def _day_period(value: object) -> Period:
    period = read_period(value)
    if period.seconds:
        raise refuse(f"{period} is no number of whole days", "write it in days, weeks, months or years")
    return period


def _iso(period: Period | None) -> str | None:
    return None if period is None else period.iso()


def _some_text(value: str) -> str:
    if not value:
        raise refuse("this text is blank", "write what it is")
    if "\x00" in value:
        raise refuse(f"{shown(value)} holds a NUL character", "remove it")
    return value


def check_name(value: str) -> str:
    """Return a name that can be shown anywhere.

    Raises:
        PydanticCustomError: It is blank, longer than 64 bytes, or holds what cannot be seen.
    """
    if not value or value != value.strip() or not value.isprintable():
        raise refuse(
            f"{value!r} cannot be a name", "use letters, digits and signs that can be seen, and no outer spaces"
        )
    if len(value.encode()) > NAME_BYTES:
        raise refuse(f"{shown(value)} is longer than {NAME_BYTES} bytes", "choose a shorter name")
    return value


def _label(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise refuse(f"{value!r} says nothing that can be read", "write it in plain words, on one line")
    return value


def _what(value: str) -> str:
    if len(_label(value).encode()) > WHAT_BYTES:
        raise refuse(f"{shown(value)} is longer than {WHAT_BYTES} bytes", "shorten it: every receipt repeats it")
    return value


def _column(value: str) -> str:
    if ".$." in _some_text(value):
        remedy = "name a column of the table; a clock or an owner inside it is {column: …, json: $.…}"
        raise refuse(f"{value!r} is a path into JSON, and this is the place of a column", remedy)
    return value


def _json_path(value: object) -> JsonPath:
    remedy = 'write it like $.meta.created, $."any name".id or $.owners[0]'
    if not isinstance(value, str):
        raise refuse(f"{shown(value)} is no path into JSON", remedy)
    try:
        return JsonPath.parse(value)
    except ValueError as error:
        raise refuse(str(error), remedy) from error


def _zone(value: str) -> str:
    if value == "UTC":
        return value
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        remedy = "write an IANA name, such as Europe/Berlin; the machine's tzdata must know it"
        raise refuse(f"{value!r} is no time zone that this machine knows", remedy) from error
    return value


def _moment(value: object) -> datetime:
    remedy = "write a date, such as 2023-01-01, or a time, such as 2023-01-01T00:00:00Z"
    if not isinstance(value, str) or not (_DATE.fullmatch(value) or _TIME.fullmatch(value)):
        raise refuse(f"{shown(value)} is neither a date nor a time with its zone", remedy)
    try:
        if _DATE.fullmatch(value):
            day = date.fromisoformat(value)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise refuse(f"{value!r} is no real date or time", remedy) from error


def _count(value: int) -> int:
    if not 0 < value <= MAX_INTEGER:
        raise refuse(f"{value} is not a count", "write a whole number from 1")
    return value


def _percent(value: Any) -> float:  # noqa: ANN401 -- anything may stand in a file
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 100:  # noqa: PLR2004 -- percent
        raise refuse(f"{shown(value)} is not a percentage", "write a number above 0 and up to 100, without a sign")
    return float(value)


_PERIOD_SCHEMA = WithJsonSchema({"type": "string", "examples": ["30 days", "2 years", "15 minutes", "P30D"]})
_OPTIONAL_PERIOD_SCHEMA = WithJsonSchema({"type": ["string", "null"], "examples": ["5 days", "P5D", "none"]})
_PERIOD_TEXT = PlainSerializer(_iso, return_type=str | None)

PeriodValue = Annotated[Period, PlainValidator(read_period), _PERIOD_TEXT, _PERIOD_SCHEMA]
MaybePeriod = Annotated[Period | None, PlainValidator(read_period), _PERIOD_TEXT, _PERIOD_SCHEMA]
FixedPeriod = Annotated[Period, PlainValidator(read_fixed_period), _PERIOD_TEXT, _PERIOD_SCHEMA]
MaybeFixedPeriod = Annotated[Period | None, PlainValidator(read_fixed_period), _PERIOD_TEXT, _PERIOD_SCHEMA]
DayPeriod = Annotated[Period, PlainValidator(_day_period), _PERIOD_TEXT, _PERIOD_SCHEMA]
MaybeDayPeriod = Annotated[Period | None, PlainValidator(_day_period), _PERIOD_TEXT, _PERIOD_SCHEMA]
Grace = Annotated[Period | None, PlainValidator(_grace), _PERIOD_TEXT, _OPTIONAL_PERIOD_SCHEMA]
Name = Annotated[str, AfterValidator(check_name)]
Text = Annotated[str, AfterValidator(_some_text)]
Label = Annotated[str, AfterValidator(_label)]
What = Annotated[str, AfterValidator(_what)]
Column = Annotated[str, AfterValidator(_column)]
JsonPathValue = Annotated[
    JsonPath,
    PlainValidator(_json_path),
    PlainSerializer(lambda path: path.text if path else None, return_type=str | None),
    WithJsonSchema({"type": "string", "pattern": r"^\$", "examples": ["$.meta.created", "$.owners[0]"]}),
]
Zone = Annotated[str, AfterValidator(_zone)]
Count = Annotated[int, AfterValidator(_count)]
Moment = Annotated[
    datetime,
    PlainValidator(_moment),
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["2023-01-01", "2023-01-01T00:00:00Z"]}),
]
Percent = Annotated[
    float,
    PlainValidator(_percent),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 100}),
]
