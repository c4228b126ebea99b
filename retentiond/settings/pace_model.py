"""How fast a store may be worked on, and when, as operators write it."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from retentiond.domain.pace import OffPeak, Pace
from retentiond.domain.period import Period
from retentiond.settings.problems import refuse, shown
from retentiond.settings.values import Declared, MaybeFixedPeriod, Zone, longest_seconds

_WRITE_RATE = 'write records and a unit of time, such as "2000 per second" or "50_000 per minute"'
_RATE = re.compile(r"([0-9][0-9_]*)\s+per\s+(second|minute|hour)", re.ASCII)
_SECONDS = {"second": 1, "minute": 60, "hour": 3600}
_MOST_RECORDS = 10**9
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_LONGEST_LAG_SECONDS = 86400


def _rate(value: object) -> float:
    if isinstance(value, float) and value > 0:
        return value  # as it was read before
    found = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise refuse(f"{shown(value)} is no rate", _WRITE_RATE)
    records = int(found[1].replace("_", ""))
    if not 0 < records <= _MOST_RECORDS:
        raise refuse(f"{shown(value)} is no rate that a store could keep", _WRITE_RATE)
    return records / _SECONDS[found[2]]


def _time(value: object) -> time:
    if isinstance(value, time):
        return value
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise refuse(f"{shown(value)} is no time of day", 'write hours and minutes in quotes, such as "22:00"')
    return time(int(found[1]), int(found[2]))


def _lag(value: Period | None) -> Period | None:
    if value is not None and longest_seconds(value) > _LONGEST_LAG_SECONDS:
        raise refuse(f"a lag of {value} is no limit for a replica", "write a day at most, such as 30 seconds")
    return value


_RATE_SCHEMA = WithJsonSchema({"type": "string", "examples": ["2000 per second", "50_000 per minute"]})
_TIME_SCHEMA = WithJsonSchema({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["22:00"]})
_TimeOfDay = Annotated[
    time, PlainValidator(_time), PlainSerializer(lambda value: f"{value:%H:%M}", return_type=str), _TIME_SCHEMA
]
_Rate = Annotated[float | None, PlainValidator(_rate), _RATE_SCHEMA]


class OffPeakModel(Declared):
    """Hours of the day in which a store may be worked on; they may go over midnight."""

    start: _TimeOfDay = Field(alias="from")
    end: _TimeOfDay = Field(alias="to")
    zone: Zone = "UTC"

    @model_validator(mode="after")
    def _some_time(self) -> OffPeakModel:
        if self.start == self.end:
            raise refuse(
                f"the window from {self.start:%H:%M} to {self.end:%H:%M} has no length",
                "give it two different times, or remove it: without one a store may be worked on at any time",
            )
        return self


class PaceModel(Declared):
    """How fast a store may be worked on, and when; nothing of it needs approval."""

    rate: _Rate = None
    replica_lag: Annotated[MaybeFixedPeriod, AfterValidator(_lag)] = None
    off_peak: OffPeakModel | None = None

    def pace(self) -> Pace:
        """Return the pace as the engine works with it."""
        lag = self.replica_lag.length() if self.replica_lag else None
        hours = OffPeak(self.off_peak.start, self.off_peak.end, self.off_peak.zone) if self.off_peak else None
        return Pace(self.rate, lag, hours)
