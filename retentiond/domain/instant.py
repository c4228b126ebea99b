"""Reading a clock: from a value as a store holds it to whole microseconds since the epoch, or None: unreadable.

The grammar of text is narrow on purpose (a lenient reader would find an age in a typing error):
`YYYY-MM-DD[T ]HH:MM[:SS[.fraction]][Z|±HH:MM]` with one to nine digits of fraction, or a date alone, `YYYY-MM-DD`,
which ends at 24:00 of its zone. Local times that a clock change makes ambiguous count as the later one. A number
counts from the epoch in the unit of its format. Whatever falls outside the years 1 to 9999 is unreadable.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

from retentiond.domain.dataset import ClockFormat, ClockSource

TextReader: TypeAlias = Callable[[str], int | None]

FIRST_SECOND = -62_135_596_800
LAST_SECOND = 253_402_300_799
MICROSECONDS = 1_000_000
UNITS_PER_SECOND = {
    ClockFormat.AUTO: 1,
    ClockFormat.UNIX_SECONDS: 1,
    ClockFormat.UNIX_MILLISECONDS: 1_000,
    ClockFormat.UNIX_MICROSECONDS: MICROSECONDS,
    ClockFormat.UNIX_NANOSECONDS: 1_000_000_000,
}

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- wall-clock arithmetic; the zone is applied afterwards
_MICROSECOND = timedelta(microseconds=1)
_MINUTES = len("YYYY-MM-DDTHH:MM")
_SECONDS = len("YYYY-MM-DDTHH:MM:SS")
_LAST_HOUR, _LAST_MINUTE = 23, 59


def read_clock(raw: object, clock: ClockSource) -> int | None:
    """Return microseconds since the epoch of a value that a store gave, or None where it cannot be read as a time.

    Raises:
        ValueError: The format is not one of a column (`modified`, `pattern`).
        zoneinfo.ZoneInfoNotFoundError: The clock's zone does not exist.
    """
    if isinstance(raw, str):
        return text_reader(clock)(raw)
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int):
        return _read_whole(raw, clock.format)
    return _read_fraction(raw, clock.format) if isinstance(raw, float) else None


@lru_cache(maxsize=64)
def text_reader(clock: ClockSource) -> TextReader:
    """Return the function that reads the text of one clock; built once, called for every record.

    Raises:
        ValueError: The format is not one of a column (`modified`, `pattern`).
        zoneinfo.ZoneInfoNotFoundError: The clock's zone does not exist.
    """
    shift = _utc if clock.zone == "UTC" else _shift_from(ZoneInfo(clock.zone))
    if clock.format in (ClockFormat.MODIFIED, ClockFormat.PATTERN):
        message = f"a clock of format {clock.format} does not stand in a column"
        raise ValueError(message)
    if clock.format is ClockFormat.DATE:
        return lambda text: _read_date(text, shift)
    if clock.format in (ClockFormat.AUTO, ClockFormat.TEXT):
        return lambda text: _read_time(text, shift)
    return lambda _text: None


def _read_whole(number: int, clock_format: ClockFormat) -> int | None:
    units = UNITS_PER_SECOND.get(clock_format)
    if units is None or not FIRST_SECOND * units <= number < (LAST_SECOND + 1) * units:
        return None
    if units <= MICROSECONDS:
        return number * (MICROSECONDS // units)
    towards_zero = abs(number) // (units // MICROSECONDS)  # as SQL divides
    return towards_zero if number >= 0 else -towards_zero


def _read_fraction(number: float, clock_format: ClockFormat) -> int | None:
    """Read seconds with a fraction, cut off after the microsecond; other units come in whole numbers only."""
    if UNITS_PER_SECOND.get(clock_format) != 1 or not FIRST_SECOND <= number < LAST_SECOND + 1:
        return None
    return int(number * MICROSECONDS)


_Shift: TypeAlias = Callable[[datetime], int]


def _utc(wall: datetime) -> int:
    return (wall - _EPOCH) // _MICROSECOND


def _shift_from(zone: ZoneInfo) -> _Shift:
    def shift(wall: datetime) -> int:
        offsets = [wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1)]
        return max((wall - _EPOCH - offset) // _MICROSECOND for offset in offsets)

    return shift


def _read_time(text: str, shift: _Shift) -> int | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return _read_date(text, shift)
    seconds, fraction, offset = match.groups()
    try:
        wall = datetime.fromisoformat(text[: _SECONDS if seconds else _MINUTES])
    except ValueError:
        return None
    if offset is None:
        at: int | None = shift(wall)
    elif offset == "Z":
        at = (wall - _EPOCH) // _MICROSECOND
    else:
        at = _with_offset(wall, offset)
    if at is None:
        return None
    return _in_range(at + int(fraction[:6].ljust(6, "0")) if fraction else at)


def _with_offset(wall: datetime, offset: str) -> int | None:
    hours, minutes = int(offset[1:3]), int(offset[4:])
    if hours > _LAST_HOUR or minutes > _LAST_MINUTE:
        return None
    ahead = (hours * 60 + minutes) * 60 * MICROSECONDS
    return (wall - _EPOCH) // _MICROSECOND - (ahead if offset[0] == "+" else -ahead)


def _read_date(text: str, shift: _Shift) -> int | None:
    if _DATE.fullmatch(text) is None:
        return None
    try:
        following = date.fromisoformat(text) + timedelta(days=1)
    except (ValueError, OverflowError):
        return None
    return _in_range(shift(datetime(following.year, following.month, following.day)))  # noqa: DTZ001 -- as above


def _in_range(at: int) -> int | None:
    return at if FIRST_SECOND * MICROSECONDS <= at < (LAST_SECOND + 1) * MICROSECONDS else None
