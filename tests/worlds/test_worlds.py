"""Accounts leave applications whose schemas are as they are: nothing of them is left, nobody else's row is touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from retentiond.domain.account import AccountState
from retentiond.domain.erasure import ErasureState
from tests.servers.postgres import Server
from tests.worlds import chats, gateways, unwilling
from tests.worlds.apps import App, PostgresApp, SqliteApp, people_in
from tests.worlds.whole import WHOLE
from tests.worlds.world import Shape, World, people_left, without

SHAPES = [each for module in (chats, gateways, unwilling) for each in vars(module).values() if isinstance(each, Shape)]
LEAVING = (0, 3)


@contextmanager
def app_of(shape: Shape, root: Path, server: Server) -> Iterator[App]:
    if shape.engine == "sqlite":
        yield SqliteApp(root)
    else:
        with server.database() as database:
            yield PostgresApp(root, server, database)


def test_what_the_data_map_does_not_reach_is_reported(tmp_path: Path, postgresql_newest: Server) -> None:
    with app_of(chats.POLYMORPHIC, tmp_path, postgresql_newest) as app:
        world = World.made(app, chats.POLYMORPHIC, 2)
        app.run(
            "INSERT INTO comments VALUES (900, 'Dataset', 1, 'of another type', now());"
            "CREATE TABLE newer (id int PRIMARY KEY, prompt text);"
        )
        found = [(each.what, each.guard) for each in world.findings()]
        assert ("table 'comments' holds rows that no dataset's `where` takes", "unmapped") in found
        assert any("'public.newer'" in what for what, _ in found)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.title)
def test_accounts_leave_whole_and_nobody_else_is_touched(
    shape: Shape, tmp_path: Path, postgresql_newest: Server
) -> None:
    with app_of(shape, tmp_path, postgresql_newest) as app:
        world = World.made(app, shape, 6)
        assert {each.what.split("'")[1] for each in world.findings()} == shape.unmapped, world.findings()
        before = app.contents()
        assert world.close(*LEAVING) == dict.fromkeys(LEAVING, AccountState.CLOSED), world.remaining(0)
        left = {table for table in app.contents() if table.replace('"', "") in shape.unmapped}
        expected = {
            table: before[table] if table in left else lines for table, lines in without(before, LEAVING).items()
        }
        assert world.differences(expected) == []
        for table in left:
            app.run(f"TRUNCATE {table}")  # what `check` names is for the operator to see to
        assert not people_left(app.dump(), LEAVING)
        assert all(world.verified())


def test_twelve_linked_tables_and_two_buckets(tmp_path: Path, postgresql_newest: Server, moto_s3: str) -> None:
    """The small one of `python -m tests.worlds`."""
    with postgresql_newest.database() as database:
        app = PostgresApp(tmp_path, postgresql_newest, database)
        world = World.made(app, WHOLE, 8, moto_s3)
        assert world.findings() == ()
        before = world.contents()
        assert world.close(*LEAVING) == dict.fromkeys(LEAVING, AccountState.CLOSED), world.remaining(0)
        people = ((1, 1), (5, 0))
        assert world.erase(*people) == [ErasureState.DONE] * 2
        assert world.differences(without(before, LEAVING, people)) == []
        dump = app.dump()
        assert not people_left(dump, LEAVING)
        assert not people_in(dump) & frozenset(people)
        assert all(world.verified())
