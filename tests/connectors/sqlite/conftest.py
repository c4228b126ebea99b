"""What the tests of the SQLite connector share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.connectors.sqlite.app import App


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], App]]:
    """Return a function that makes the application's database with a script."""
    made: list[App] = []

    def make_app(script: str) -> App:
        made.append(App(tmp_path, script))
        return made[-1]

    yield make_app
    for app in made:
        app.close()
