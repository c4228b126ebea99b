"""Accounts leave databases that copy what is deleted, or hide rows: nothing is left, or it is not said to be gone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from retentiond.domain.account import AccountState
from retentiond.errors import ConfigError
from tests.servers.postgres import Server
from tests.worlds.apps import PostgresApp
from tests.worlds.unwilling import history, secured
from tests.worlds.world import World, people_left, without

LEAVING = (0, 3)


def test_a_history_that_a_trigger_fills_goes_too(tmp_path: Path, postgresql_newest: Server) -> None:
    with postgresql_newest.database() as database:
        app = PostgresApp(tmp_path, postgresql_newest, database)
        world = World.made(app, history(""), 5)
        before = app.contents()
        (found,) = world.findings()
        assert "trigger 'keep_history' acts on every DELETE" in found.what
        assert world.close(*LEAVING) == dict.fromkeys(LEAVING, AccountState.CLOSING)
        assert app.contents()["public.chats"] == before["public.chats"]
        digest = re.search("digest: ([0-9a-f]{64})", str(found.remedy))
        assert digest
        world.shape = history(digest[1], mapped=False)
        world.declare()
        with pytest.raises(ConfigError, match="'chats_history', which no dataset has"):
            world.findings()
        world.shape = history(digest[1])
        world.declare()
        assert world.findings() == ()
        assert world.go_on(*LEAVING) == dict.fromkeys(LEAVING, AccountState.CLOSED), world.remaining(0)
        expected = without(before, LEAVING)
        expected["public.chat_counts"] = app.contents()["public.chat_counts"]
        assert world.differences(expected) == []
        assert not people_left(app.dump(), LEAVING)
        assert all(world.verified())


@pytest.mark.parametrize("force", ["", "ALTER TABLE chats FORCE ROW LEVEL SECURITY;"])
def test_rows_that_are_hidden_are_never_said_to_be_gone(force: str, tmp_path: Path, postgresql_newest: Server) -> None:
    with postgresql_newest.database() as database:
        app = PostgresApp(tmp_path, postgresql_newest, database)
        world = World.made(app, secured(), 5)
        app.run(force or "SELECT")
        before = app.contents()
        assert {each.remedy for each in world.findings()} == {
            f'ALTER ROLE "{role}" BYPASSRLS' for role in (app.role, app.reader)
        }
        assert world.close(*LEAVING) == dict.fromkeys(LEAVING, AccountState.CLOSING)
        assert world.differences(before) == []
        assert world.receipts() == []
        for role in (app.role, app.reader):
            app.run(f"ALTER ROLE {role} BYPASSRLS")
        assert world.findings() == ()
        assert world.go_on(*LEAVING) == dict.fromkeys(LEAVING, AccountState.CLOSED), world.remaining(0)
        assert world.differences(without(before, LEAVING)) == []
        assert not people_left(app.dump(), LEAVING)
        assert all(world.verified())
