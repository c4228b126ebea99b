"""Small changes to a document, for tables of cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

Change = Callable[[dict[str, Any]], object]


def put(*where: Any, value: Any) -> Change:
    """Set one member, named by its path."""

    def change(document: Any) -> None:
        for name in where[:-1]:
            document = document[name]
        document[where[-1]] = value

    return change


def drop(*where: Any) -> Change:
    """Remove one member, named by its path."""

    def change(document: Any) -> None:
        for name in where[:-1]:
            document = document[name]
        del document[where[-1]]

    return change


def cases(table: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Make parameters of rows that begin with the case's name."""
    return [pytest.param(*row[1:], id=row[0]) for row in table]
