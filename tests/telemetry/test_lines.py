"""Canonical lines: JSON where no person reads them, with the clock's time; silent about what went well unless asked."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import structlog

from retentiond.telemetry import configure, logger


class Noon:
    def now(self) -> datetime:
        return datetime(2026, 11, 24, 12, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


def lines(*, verbose: bool) -> list[dict[str, object]]:
    stream = io.StringIO()
    try:
        configure(stream, verbose=verbose, clock=Noon())
        logger().info("batch", records=5, reason='"quoted"\n\u202e')
        logger().warning("batch", records=7)
    finally:
        structlog.reset_defaults()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_unit_of_work_is_one_line_of_json() -> None:
    first, second = lines(verbose=True)
    assert first == {
        "at": "2026-11-24T12:00:00.000Z",
        "event": "batch",
        "level": "info",
        "records": 5,
        "reason": '"quoted"\n\u202e',
    }
    assert second["level"] == "warning"


def test_what_went_well_is_told_only_when_asked() -> None:
    assert [line["records"] for line in lines(verbose=False)] == [7]
