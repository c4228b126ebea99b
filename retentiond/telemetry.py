"""Logging: one canonical line for each unit of work, JSON where no person reads it. Never a key, a row or a token."""

from __future__ import annotations

import logging
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from retentiond.clock import Clock, SystemClock


def configure(stream: TextIO, *, verbose: bool, clock: Clock | None = None) -> None:
    """Say where canonical lines go, and whether any go at all.

    Args:
        stream: Usually stderr.
        verbose: Whether lines of work that went well are written, too.
    """
    reader = clock or SystemClock()

    def timestamp(_logger: object, _method: str, event: EventDict) -> EventDict:
        event["at"] = reader.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return event

    people = stream.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer(sort_keys=True)
    structlog.configure(
        processors=[structlog.processors.add_log_level, timestamp, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO if verbose else logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


def logger() -> FilteringBoundLogger:
    """Return the logger for canonical lines."""
    made: FilteringBoundLogger = structlog.get_logger()
    return made
