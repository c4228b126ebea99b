from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest

from tests.servers.postgres import Installation, Server, ends, newest
from tests.shapes.instance import Instance, make_instance
from tests.shapes.makers import SqliteMaker, TableMaker
from tests.shapes.postgres_maker import PostgresqlMaker
from tests.shapes.seeds import AUTUMN

Begin = Callable[..., Instance]
Running = Callable[[Installation], Server]
BINARY = "jsonb"
NEWEST = str(newest())
# Each version once; the newest with either way to hold documents and lists.
EVERY = ("sqlite", *(str(each) for each in ends()), f"{NEWEST} {BINARY}")


def _begin(engine: str, running: Running, root: Path) -> Iterator[Begin]:
    with ExitStack() as stack:

        def maker() -> TableMaker:
            if engine == "sqlite":
                return SqliteMaker(root)
            version, _, how = engine.partition(" ")
            server = running(next(each for each in ends() if str(each) == version))
            return PostgresqlMaker(root, server, stack.enter_context(server.database()), binary=how == BINARY)

        def make(now: datetime = AUTUMN) -> Instance:
            return make_instance(root, maker(), now)

        yield make


@pytest.fixture(params=["sqlite", NEWEST])
def begin(request: pytest.FixtureRequest, running: Running, tmp_path: Path) -> Iterator[Begin]:
    """Make an instance beside an empty database of each engine."""
    yield from _begin(request.param, running, tmp_path)


@pytest.fixture(params=[str(each) for each in ends()])
def begin_on_each(request: pytest.FixtureRequest, running: Running, tmp_path: Path) -> Iterator[Begin]:
    """Make an instance beside an empty database of each version of PostgreSQL."""
    yield from _begin(request.param, running, tmp_path)
