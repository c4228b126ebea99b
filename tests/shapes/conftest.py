from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest

from tests.servers.postgres import Server, installations, newest, started
from tests.shapes.instance import Instance, make_instance
from tests.shapes.makers import SqliteMaker, TableMaker
from tests.shapes.postgres_maker import PostgresqlMaker
from tests.shapes.seeds import AUTUMN

Begin = Callable[..., Instance]
BINARY = "jsonb"
NEWEST = str(newest())
# Each version once; the newest with either way to hold documents and lists.
# The oldest and the newest server that is there: the contract of connectors is tried on all.
ENDS = tuple(dict.fromkeys((installations()[0], installations()[-1])))
EVERY = ("sqlite", *(str(each) for each in ENDS), f"{NEWEST} {BINARY}")


class Servers:
    """Servers by version, each started when a test first asks for it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: dict[str, Server] = {}

    def get(self, version: str) -> Server:
        if version not in self._running:
            (installation,) = (each for each in installations() if str(each) == version)
            self._running[version] = self._stack.enter_context(started(installation))
        return self._running[version]


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)


def _begin(engine: str, servers: Servers, root: Path) -> Iterator[Begin]:
    with ExitStack() as stack:

        def maker() -> TableMaker:
            if engine == "sqlite":
                return SqliteMaker(root)
            version, _, how = engine.partition(" ")
            server = servers.get(version)
            return PostgresqlMaker(root, server, stack.enter_context(server.database()), binary=how == BINARY)

        def make(now: datetime = AUTUMN) -> Instance:
            return make_instance(root, maker(), now)

        yield make


@pytest.fixture(params=["sqlite", NEWEST])
def begin(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Begin]:
    """Make an instance beside an empty database of each engine."""
    yield from _begin(request.param, servers, tmp_path)


@pytest.fixture(params=[str(each) for each in ENDS])
def begin_on_each(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Begin]:
    """Make an instance beside an empty database of each version of PostgreSQL."""
    yield from _begin(request.param, servers, tmp_path)
