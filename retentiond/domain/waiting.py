"""What a store does not let go yet: the reason and the date, as one text that stands with a record's outcome."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

OBJECT_LOCK = "object-lock"
LEGAL_HOLD = "object-lock-legal-hold"

_WRITTEN = re.compile(rf"({LEGAL_HOLD}|{OBJECT_LOCK})(?: until (\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ))?")


def waits(reason: str, until: datetime | None) -> str:
    """Return a reason and the time from which the store lets go, where that is known; rounded up to whole seconds."""
    if until is None:
        return reason
    later = until.astimezone(UTC) + timedelta(microseconds=999_999)
    return f"{reason} until {later:%Y-%m-%dT%H:%M:%S}Z"


def read_wait(text: str) -> tuple[str, datetime | None] | None:
    """Return what waits() wrote; None for any other text."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        return None
    return found[1], datetime.fromisoformat(found[2]) if found[2] else None
