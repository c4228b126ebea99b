"""Retention periods: calendar arithmetic in UTC, never 30 or 365 days for a month or a year.

A period is written as `30 days`, `2 years`, `15 minutes`, or as an ISO 8601 duration (`P30D`, `PT15M`, `P1Y6M`).
A bare number has no unit and is refused, as are blank, zero and negative periods.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_UNITS = {
    "second": ("seconds", 1),
    "minute": ("seconds", 60),
    "hour": ("seconds", 3600),
    "day": ("days", 1),
    "week": ("days", 7),
    "month": ("months", 1),
    "year": ("months", 12),
}
_WORDS = re.compile(r"([0-9][0-9_]*)\s*(second|minute|hour|day|week|month|year)s?", re.ASCII)
_ISO = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?",
    re.ASCII,
)
_LARGEST_YEARS = 1000


@dataclass(frozen=True, slots=True)
class Period:
    """A length of time: calendar months, then days, then seconds; each at least zero, together more than zero."""

    months: int = 0
    days: int = 0
    seconds: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no period.

        Raises:
            ValueError: A part is negative, all are zero, or the whole exceeds a thousand years.
        """
        if min(self.months, self.days, self.seconds) < 0:
            message = "a period is never negative"
            raise ValueError(message)
        if not (self.months or self.days or self.seconds):
            message = "a period is never zero"
            raise ValueError(message)
        if self.months > _LARGEST_YEARS * 12 or self.days > _LARGEST_YEARS * 366 or self.seconds > 10**11:
            message = "a period is at most a thousand years"
            raise ValueError(message)

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read a period as people write it, or as ISO 8601.

        Raises:
            ValueError: The text is no period; the message says how to write one.
        """
        stripped = text.strip()
        words = _WORDS.fullmatch(stripped)
        if words:
            field, factor = _UNITS[words[2]]
            return cls(**{field: int(words[1].replace("_", "")) * factor})
        iso = _ISO.fullmatch(stripped)
        if iso and any(iso.groups()) and not stripped.endswith("T"):
            years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in iso.groups())
            return cls(years * 12 + months, weeks * 7 + days, hours * 3600 + minutes * 60 + seconds)
        message = f"{text!r} is not a period: write a number and a unit, such as '30 days', or ISO 8601, such as 'P30D'"
        raise ValueError(message)

    def before(self, moment: datetime) -> datetime:
        """Return the moment this period earlier; a day that the month lacks becomes the month's last."""
        return _shift_months(moment, -self.months) - timedelta(days=self.days, seconds=self.seconds)

    def after(self, moment: datetime) -> datetime:
        """Return the moment this period later; a day that the month lacks becomes the month's last."""
        return _shift_months(moment, self.months) + timedelta(days=self.days, seconds=self.seconds)

    def due(self, start: datetime) -> datetime:
        """Return the first moment at which `before(moment)` has reached `start`: the exact inverse of `before`.

        A day that the month lacks is the first of the next month here, since `before` reaches past it only then.
        """
        moment = start + timedelta(days=self.days, seconds=self.seconds)
        there = _shift_months(moment, self.months)
        if there.day == moment.day:
            return there
        return there.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)

    def length(self) -> timedelta:
        """Return how long the period is.

        Raises:
            ValueError: It has months, whose length depends on when they begin.
        """
        if self.months:
            message = f"{self} has no fixed length"
            raise ValueError(message)
        return timedelta(days=self.days, seconds=self.seconds)

    def iso(self) -> str:
        """Return the ISO 8601 form, such as `P23D` or `PT15M`."""
        date = _designated((("Y", self.months // 12), ("M", self.months % 12), ("D", self.days)))
        hours, rest = divmod(self.seconds, 3600)
        time = _designated((("H", hours), ("M", rest // 60), ("S", rest % 60)))
        return f"P{date}" + (f"T{time}" if time else "")

    def __str__(self) -> str:
        """Return the period in words, such as `23 days`."""
        hours, rest = divmod(self.seconds, 3600)
        parts = (
            ("year", self.months // 12),
            ("month", self.months % 12),
            ("day", self.days),
            ("hour", hours),
            ("minute", rest // 60),
            ("second", rest % 60),
        )
        return " ".join(f"{count} {unit}{'' if count == 1 else 's'}" for unit, count in parts if count)


def _designated(parts: tuple[tuple[str, int], ...]) -> str:
    return "".join(f"{count}{letter}" for letter, count in parts if count)


def _shift_months(moment: datetime, months: int) -> datetime:
    if not months:
        return moment
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)
