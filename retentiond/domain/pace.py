"""How fast a store may be worked on, and when. What is removed stays the same, so nobody has to approve it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

_MINUTE = timedelta(minutes=1)
_LONGEST_DAYS = 400


@dataclass(frozen=True, slots=True)
class OffPeak:
    """Hours of the day, as the clock on the wall of a zone shows them, in whole minutes; they may go over midnight.

    A local time that a clock change skips is passed with the change; one that comes twice is inside both times.

    Attributes:
        start: The first minute inside.
        end: The first minute outside again; never the same as `start`.
        zone: IANA zone.
    """

    start: time
    end: time
    zone: str = "UTC"

    def is_open(self, moment: datetime) -> bool:
        """Tell whether an aware time is inside."""
        wall = moment.astimezone(_zone(self.zone)).time()
        if self.start < self.end:
            return self.start <= wall < self.end
        return wall >= self.start or wall < self.end

    def opens(self, moment: datetime) -> datetime:
        """Return the first whole minute, at or after an aware time, that is inside; the time itself if it is."""
        return self._first(moment, wanted=True)

    def closes(self, moment: datetime) -> datetime:
        """Return the first whole minute, at or after an aware time, that is outside; the time itself if it is."""
        return self._first(moment, wanted=False)

    def _first(self, moment: datetime, *, wanted: bool) -> datetime:
        # Minute by minute in UTC: whatever a zone does to its clocks is right by construction, in some milliseconds.
        at = moment.astimezone(UTC)
        while self.is_open(at) is not wanted:
            at = at.replace(second=0, microsecond=0) + _MINUTE
        return at

    def __str__(self) -> str:
        """Return the hours in words, such as `22:00 to 06:00 Europe/Berlin`."""
        return f"{self.start:%H:%M} to {self.end:%H:%M} {self.zone}"


@dataclass(frozen=True, slots=True)
class Pace:
    """What a store's owner asks for; None where nothing is.

    Attributes:
        per_second: The most records a second, over some batches.
        replica_lag: A replica that is further behind makes us wait.
        off_peak: Nothing is changed outside of these hours.
    """

    per_second: float | None = None
    replica_lag: timedelta | None = None
    off_peak: OffPeak | None = None

    def finishes(self, moment: datetime, seconds: float) -> datetime | None:
        """Return when so many seconds of work that begin at a time are over; None if that is more than a year away."""
        left = timedelta(seconds=seconds)
        if left > timedelta(days=_LONGEST_DAYS):
            return None
        if self.off_peak is None:
            return moment + left
        at, latest = moment, moment + timedelta(days=_LONGEST_DAYS)
        while at < latest:
            at = self.off_peak.opens(at)
            closes = self.off_peak.closes(at)
            if at + left <= closes:
                return at + left
            left -= closes - at
            at = closes
        return None


AT_ANY_PACE = Pace()


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)
