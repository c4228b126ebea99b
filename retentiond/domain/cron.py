"""Cron expressions of five fields, read in a zone: minute, hour, day of month, month, day of week.

The grammar is POSIX crontab with steps and English names. A day of month together with a day of week is refused: crond
takes either, other schedulers both. A local time that a clock change skips fires as soon as the change is over; one
that comes twice fires the first time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EVERY_DAY = range(1, 32)
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
_ITEM = re.compile(r"(\*|[0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?(?:/([0-9]{1,2}))?", re.ASCII)
_DAY = timedelta(days=1)
_LEAP_YEARS = 4
_CYCLE_YEARS = 400
_CYCLE_START = date(2000, 1, 1)
_SAMPLED_DAYS = 28 * 366


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression in a zone.

    Attributes:
        weekdays: Sunday is 0.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    zone: str = "UTC"

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> Cron:
        """Read a cron expression.

        Raises:
            ValueError: It is none, or it never fires; the message says why.
        """
        words = text.lower().split()
        if len(words) != len(_FIELDS):
            message = f"{text!r} has {len(words)} fields: cron takes minute, hour, day of month, month, day of week"
            raise ValueError(message)
        if words[2] != "*" and words[4] != "*":
            message = f"{text!r} names a day of month and a day of week, which schedulers read differently: give one"
            raise ValueError(message)
        values = [_values(word, *field) for word, field in zip(words, _FIELDS, strict=True)]
        minutes, hours, days, months, weekdays = values
        found = cls(
            tuple(sorted(minutes)),
            tuple(sorted(hours)),
            frozenset(days),
            frozenset(months),
            frozenset(day % 7 for day in weekdays),
            zone,
        )
        if not any(found.fires_on(_CYCLE_START + number * _DAY) for number in range(_LEAP_YEARS * 366)):
            message = f"{text!r} never fires: no month that it names has such a day"
            raise ValueError(message)
        return found

    def last(self, moment: datetime) -> datetime:
        """Return the last time it fired, at or before an aware time, in UTC."""
        return next(fired for fired in self._fired(moment, -1) if fired <= moment)

    def next(self, moment: datetime) -> datetime:
        """Return the next time it fires, after an aware time, in UTC."""
        return next(fired for fired in self._fired(moment, 1) if fired > moment)

    def longest_gap(self) -> timedelta:
        """Return the longest time between two firings, over a whole calendar cycle of 400 years.

        A clock change counts in full, whether or not it can meet the longest gap: the bound may be up to that much
        too long, and never too short.
        """
        return _longest_gap(self)

    def fires_on(self, day: date) -> bool:
        """Tell whether it fires at all on a day of its zone."""
        return day.day in self.days and day.month in self.months and day.isoweekday() % 7 in self.weekdays

    def _fired(self, moment: datetime, step: int) -> Iterator[datetime]:
        zone = _zone(self.zone)
        day = moment.astimezone(zone).date() - step * _DAY
        while True:
            if self.fires_on(day):
                times = [(hour, minute) for hour in self.hours for minute in self.minutes]
                walls = (datetime(day.year, day.month, day.day, *time, tzinfo=zone) for time in times[::step])
                yield from (_first_moment(wall) for wall in walls)
            day += step * _DAY


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def _first_moment(wall: datetime) -> datetime:
    """Return the first moment of a local time; for one that a change skips, the moment of the change."""
    at = wall.astimezone(UTC)
    if at.astimezone(wall.tzinfo).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return at
    before, after = sorted(wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    offset = before.astimezone(wall.tzinfo).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        before, after = (middle, after) if middle.astimezone(wall.tzinfo).utcoffset() == offset else (before, middle)
    return after.replace(microsecond=0)


def _values(word: str, name: str, lowest: int, highest: int, names: dict[str, int]) -> set[int]:
    found: set[int] = set()
    for item in word.split(","):
        parsed = _ITEM.fullmatch(item)
        if parsed is None or (parsed[1] == "*" and parsed[2]):
            raise ValueError(_refusal(item, name, lowest, highest))
        first = lowest if parsed[1] == "*" else _number(parsed[1], names)
        last = highest if parsed[1] == "*" or (parsed[3] and not parsed[2]) else _number(parsed[2] or parsed[1], names)
        step = int(parsed[3] or 1)
        if not lowest <= first <= last <= highest or step < 1:
            raise ValueError(_refusal(item, name, lowest, highest))
        found.update(range(first, last + 1, step))
    return found


def _number(text: str, names: dict[str, int]) -> int:
    return int(text) if text.isdigit() else names.get(text, -1)


def _refusal(item: str, name: str, lowest: int, highest: int) -> str:
    return f"{item!r} is no {name} of a cron expression: write {lowest}-{highest}, *, a list, a range or a step"


@lru_cache(maxsize=64)
def _longest_gap(cron: Cron) -> timedelta:
    times = [timedelta(hours=hour, minutes=minute) for hour in cron.hours for minute in cron.minutes]
    within = max((later - earlier for earlier, later in pairwise(times)), default=timedelta())
    overnight = _longest_days(cron) * _DAY + times[0] - times[-1]
    return max(within, overnight) + _largest_change(cron.zone)


def _longest_days(cron: Cron) -> int:
    """Return the most days from one day on which it fires to the next."""
    start = _CYCLE_START.toordinal()
    length = date(_CYCLE_START.year + _CYCLE_YEARS, 1, 1).toordinal() - start
    if len(cron.days) == len(_EVERY_DAY) and len(cron.months) == len(_MONTHS):
        length = len(_DAYS)
    fires = [number for number in range(length) if cron.fires_on(date.fromordinal(start + number))]
    around = length + fires[0] - fires[-1]
    return max(around, max((later - earlier for earlier, later in pairwise(fires)), default=0))


@lru_cache(maxsize=64)
def _largest_change(zone: str) -> timedelta:
    """Return how far apart a zone's offsets lie; a calendar of 28 years has every weekday on every date."""
    if zone == "UTC":
        return timedelta()
    where = _zone(zone)
    start = datetime(2020, 1, 1, 12, tzinfo=UTC)
    offsets = {(start + day * _DAY).astimezone(where).utcoffset() or timedelta() for day in range(_SAMPLED_DAYS)}
    return max(offsets) - min(offsets)
