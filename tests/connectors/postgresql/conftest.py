"""What the tests of the PostgreSQL connector share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.connectors.postgresql.app import App
from tests.servers.postgres import Server


def _makers(server: Server, patch: pytest.MonkeyPatch) -> Iterator[Callable[[str], App]]:
    with ExitStack() as stack:

        def make_app(script: str) -> App:
            app = App(server, stack.enter_context(server.database()), patch)
            stack.callback(app.close)
            app.run(script)
            return app

        yield make_app


@pytest.fixture
def make(postgresql_newest: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], App]]:
    """Return a function that makes the application's database with a script, on the newest version."""
    yield from _makers(postgresql_newest, monkeypatch)


@pytest.fixture
def make_on_ends(postgresql_ends: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], App]]:
    """Return a function that makes the application's database with a script, on the oldest and the newest version."""
    yield from _makers(postgresql_ends, monkeypatch)
