"""Where columns turn into SQL: clocks, owners and attributes as expressions, each NULL where Python says unreadable.

The grammar of clocks is that of `retentiond.domain.instant`. No expression can fail for what a row holds, since an
error would end the statement for all rows: what is cast was matched before, inside a CASE, which is evaluated in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from retentiond.connectors.postgresql.catalog import Column, Family
from retentiond.domain.dataset import ClockFormat, ClockSource
from retentiond.domain.instant import FIRST_SECOND, LAST_SECOND, MICROSECONDS, UNITS_PER_SECOND

SMALLEST, LARGEST = -(2**63), 2**63 - 1
FIRST_TIME = "'0001-01-01 00:00:00+00'::timestamptz"
LAST_TIME = "'9999-12-31 23:59:59.999999+00'::timestamptz"
_TEXT = (
    "^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.]([0-9]{1,9}))?)?"
    "(Z|[+-][0-9]{2}:[0-9]{2})?)?$"
)
_DATE_ONLY = "^([0-9]{4})-([0-9]{2})-([0-9]{2})()()()()()$"


class Kind(StrEnum):
    """What an expression gives: a time, microseconds since the epoch, text, an integer, a truth value or many texts."""

    TIME = "time"
    MICROS = "micros"
    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXTS = "texts"


@dataclass(frozen=True, slots=True)
class Field:
    """An expression of row `t`.

    Attributes:
        costly: Whether it should be evaluated once for a row, and not for each comparison.
    """

    kind: Kind
    sql: str
    costly: bool = False

    @property
    def micros(self) -> str:
        """A time as microseconds since the epoch."""
        return f"(extract(epoch FROM {self.sql}) * 1000000)::int8" if self.kind is Kind.TIME else self.sql


NOTHING = Field(Kind.TEXT, "NULL::text")
NEVER = Field(Kind.TIME, "NULL::timestamptz")


def literal(text: str) -> str:
    """Return a text as it stands in a statement that has parameters."""
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"


def clock_field(column: Column, clock: ClockSource) -> Field | None:
    """Return a column read as a clock; None where its type does not fit the format."""
    units = UNITS_PER_SECOND.get(clock.format)
    if column.family is Family.INTEGER:
        return Field(Kind.MICROS, _integer(column.of, units)) if units else None
    if column.family is Family.NUMERIC:
        return Field(Kind.MICROS, read_number(column.of, units)) if units else None
    if column.family is Family.FLOAT:
        return Field(Kind.MICROS, _float(column.of)) if units == 1 else None
    if column.family is Family.TEXT:
        return read_text(column.of, clock) if clock.format in _WRITTEN else None
    if column.family is Family.DATE and clock.format in (ClockFormat.AUTO, ClockFormat.DATE):
        return Field(Kind.TIME, _date(column.of, clock.zone))
    if clock.format is not ClockFormat.AUTO:
        return None
    if column.family is Family.TIMESTAMPTZ:
        return Field(Kind.TIME, _within(column.of))
    return Field(Kind.TIME, _timestamp(column.of, clock.zone)) if column.family is Family.TIMESTAMP else None


_WRITTEN = (ClockFormat.AUTO, ClockFormat.TEXT, ClockFormat.DATE)


def account_field(column: Column) -> Field | None:
    """Return a column read as an owner: text as it is, integers in decimals, an empty text for none."""
    if column.family is Family.TEXT:
        return Field(Kind.TEXT, f"nullif({_exact(column)}, '')")
    if column.family in (Family.INTEGER, Family.UUID, Family.ENUM):
        return Field(Kind.TEXT, f"nullif({column.of}::text, '')")
    return None


def attribute_field(column: Column) -> Field | None:
    """Return a column read as an attribute."""
    if column.family is Family.TEXT:
        return Field(Kind.TEXT, _exact(column))
    if column.family in (Family.UUID, Family.ENUM):
        return Field(Kind.TEXT, f"{column.of}::text")
    if column.family is Family.INTEGER:
        return Field(Kind.INTEGER, f"{column.of}::int8")
    return Field(Kind.BOOLEAN, column.of) if column.family is Family.BOOLEAN else None


def _exact(column: Column) -> str:
    """Return a text in which equal means the same bytes; as the column itself, where its index can be used."""
    if column.base == "bpchar":
        return f"{column.of}::text"
    return column.of if column.plain else f'({column.of}::text COLLATE "C")'


def _within(expression: str) -> str:
    """Leave out times outside the years 1 to 9999, infinity too."""
    return f"(CASE WHEN {expression} BETWEEN {FIRST_TIME} AND {LAST_TIME} THEN {expression} END)"


def _timestamp(column: str, zone: str) -> str:
    """PostgreSQL takes the later of two times that a change of clocks makes ambiguous, as Python's reading does."""
    within = f"{column} BETWEEN '0001-01-01'::timestamp AND '9999-12-31 23:59:59.999999'::timestamp"
    return f"(CASE WHEN {within} THEN {_within(f'({column} AT TIME ZONE {literal(zone)})')} END)"


def _date(column: str, zone: str) -> str:
    end = f"(({column} + 1)::timestamp AT TIME ZONE {literal(zone)})"
    return f"(CASE WHEN {column} BETWEEN '0001-01-01'::date AND '9999-12-31'::date THEN {_within(end)} END)"


def _integer(column: str, units: int) -> str:
    number = f"{column}::int8"
    micros = f"{number} * {MICROSECONDS // units}" if units <= MICROSECONDS else f"{number} / {units // MICROSECONDS}"
    lowest = max(FIRST_SECOND * units, SMALLEST)
    highest = min((LAST_SECOND + 1) * units - 1, LARGEST)
    return f"(CASE WHEN {column} BETWEEN {_whole(lowest)} AND {_whole(highest)} THEN {micros} END)"


def _whole(number: int) -> str:
    return f"'{number}'::int8"


def read_number(column: str, units: int) -> str:
    """Return an expression for a numeric of so many units a second: microseconds since the epoch."""
    lowest, beyond = FIRST_SECOND * units, (LAST_SECOND + 1) * units
    within = f"{column} >= {lowest} AND {column} < {beyond}"
    micros = f"trunc({column} * {MICROSECONDS} / {units})::int8"
    if units != 1:  # other units come in whole numbers only
        micros = f"(CASE WHEN trunc({column}) = {column} THEN {micros} END)"
    return f"(CASE WHEN {within} THEN {micros} END)"


def _float(column: str) -> str:
    number = f"{column}::float8"
    within = f"{number} >= {FIRST_SECOND} AND {number} < {LAST_SECOND + 1}"
    return f"(CASE WHEN {within} THEN trunc({number} * {MICROSECONDS}::float8)::int8 END)"


def read_text(column: str, clock: ClockSource) -> Field:
    """Read ISO 8601 text. `m` holds the matched parts: year, month, day, hour, minute, second, fraction, offset."""
    pattern = _DATE_ONLY if clock.format is ClockFormat.DATE else _TEXT
    zone = literal(clock.zone)
    wall = (
        "make_timestamp(m[1]::int, m[2]::int, m[3]::int, m[4]::int, m[5]::int, coalesce(m[6], '0')::float8)"
        " + rpad(left(coalesce(m[7], ''), 6), 6, '0')::int8 * interval '1 microsecond'"
    )
    ahead = "make_interval(hours => left(m[8], 3)::int, mins => (left(m[8], 1) || right(m[8], 2))::int)"
    moment = (
        "CASE"
        " WHEN m IS NULL THEN NULL"
        " WHEN m[1] = '0000' OR m[2] NOT BETWEEN '01' AND '12' OR m[3] < '01' THEN NULL"
        " WHEN m[3]::int > extract(day FROM make_date(m[1]::int, m[2]::int, 1) + interval '1 month - 1 day') THEN NULL"
        f" WHEN coalesce(m[4], '') = '' THEN (make_date(m[1]::int, m[2]::int, m[3]::int) + 1)::timestamp"
        f" AT TIME ZONE {zone}"
        " WHEN m[4] > '23' OR m[5] > '59' OR m[6] > '59' THEN NULL"
        f" WHEN m[8] IS NULL THEN ({wall}) AT TIME ZONE {zone}"
        f" WHEN m[8] = 'Z' THEN ({wall}) AT TIME ZONE 'UTC'"
        " WHEN substr(m[8], 2, 2) > '23' OR right(m[8], 2) > '59' THEN NULL"
        f" ELSE ({wall} - {ahead}) AT TIME ZONE 'UTC' END"
    )
    match = f'regexp_match({column}::text COLLATE "C", {literal(pattern)})'
    sql = (
        f"(SELECT CASE WHEN x BETWEEN {FIRST_TIME} AND {LAST_TIME} THEN x END"
        f" FROM (SELECT {moment} AS x FROM (SELECT {match} AS m OFFSET 0) AS matched OFFSET 0) AS moment)"
    )
    return Field(Kind.TIME, sql, costly=True)
