"""What a customer is told of rows that somebody else's rows name: they stay, and nobody promises a date."""

from __future__ import annotations

from pathlib import Path

from retentiond.domain.account import AccountState
from retentiond.engine.accounts import account_status
from retentiond.engine.dated import DUE, NAMED
from tests.worlds.apps import SqliteApp, marker
from tests.worlds.world import Shape, World, days_ago

_CLOCK = {"clock": {"column": "at"}, "account": "owner", "key": "id"}
_SHARED = Shape(
    "assistants that others chat with",
    """CREATE TABLE assistants (id INTEGER PRIMARY KEY, owner TEXT, at TEXT, prompt TEXT);
    CREATE TABLE chats (id INTEGER PRIMARY KEY, owner TEXT, at TEXT, assistant INTEGER
        REFERENCES assistants ON DELETE CASCADE);
    CREATE INDEX chats_at ON chats (at); CREATE INDEX chats_of ON chats (assistant);
    CREATE INDEX assistants_at ON assistants (at); CREATE INDEX chats_by ON chats (owner);""",
    lambda account: {
        "assistants": [{"id": account, "owner": marker(account), "at": f"{days_ago(3):%FT%TZ}", "prompt": "be kind"}],
        "chats": [{"id": account, "owner": marker(account), "at": f"{days_ago(2):%FT%TZ}", "assistant": 0}],
    },
    {"assistants": {"table": "assistants", **_CLOCK},
     "chats": {"table": "chats", "parent": {"dataset": "assistants", "on": {"assistant": "id"}}, **_CLOCK}},
    engine="sqlite",
)  # fmt: skip


def test_what_waits_for_somebody_elses_rows_is_not_said_to_go(tmp_path: Path) -> None:
    world = World.made(SqliteApp(tmp_path), _SHARED, 2)
    assert world.findings() == ()

    def told() -> list[tuple[str, int | None, str, bool]]:
        with world.open() as ctx:
            parts = account_status(ctx, marker(0)).dated
        return [(part.dataset, part.records, part.why, part.until is not None) for part in parts]

    assert world.close(0) == {0: AccountState.CLOSING}
    assert told() == [("assistants", 1, NAMED, False)]
    world.app.run("DELETE FROM chats")
    assert world.go_on(0) == {0: AccountState.CLOSED}
    assert DUE not in str(told())
