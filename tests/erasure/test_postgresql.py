"""The same in PostgreSQL: users in columns, JSON, arrays and other tables, read by the statement that removes them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from retentiond.domain.erasure import ErasureState
from tests.engine.postgres_office import on_postgresql
from tests.erasure.scene import HOSTILE, Scene
from tests.servers.postgres import Server

_SCHEMA = """
DROP TABLE requests; DROP TABLE feedback;
CREATE TABLE chats (id text PRIMARY KEY, account text, user_id text, people jsonb, created timestamptz, payload text);
CREATE INDEX ON chats (created);
CREATE TABLE scores (id int PRIMARY KEY, account text, chat text, created timestamptz);
CREATE INDEX ON scores (chat); CREATE INDEX ON scores (created);
CREATE TABLE bills (id int PRIMARY KEY, account text, created timestamptz);
CREATE INDEX ON bills (created);
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""


@pytest.fixture
def there(scene: Scene, postgresql_newest: Server) -> Iterator[Scene]:
    """The scene, its tables in a database of a server."""
    with postgresql_newest.database() as database:
        on_postgresql(scene, postgresql_newest, database)
        with scene.db() as db:
            db.execute(_SCHEMA)
        scene.approve_datasets()
        yield scene


def test_everything_of_a_user_goes_and_nothing_of_anybody_else(there: Scene) -> None:
    there.chat("mine", "acct-a", HOSTILE, payload="mine")
    there.chat("shared", "acct-a", "other", [HOSTILE, "third"])
    there.chat("theirs", "acct-a", "other", payload="theirs")
    there.chat("nobodys", "acct-a", None)
    there.chat("namesake", "acct-b", HOSTILE, payload="namesake")
    for number, chat in enumerate(("mine", "theirs", "namesake")):
        there.score(number, "acct-b" if chat == "namesake" else "acct-a", chat)
    there.bill(1, "acct-a")
    name = there.ask("acct-a", HOSTILE)
    session = there.run()
    assert not session.failures
    assert not session.stops
    assert there.rows("chats") == {"theirs", "nobodys", "namesake"}
    assert there.rows("scores") == {1, 2}
    assert there.rows("bills") == {1}
    assert there.blobs() == {"theirs", "namesake"}
    assert there.row(name).state is ErasureState.DONE


def test_who_cannot_be_told_stays_and_keeps_the_request_open(there: Scene) -> None:
    with there.db() as db:
        db.execute("INSERT INTO chats VALUES ('odd', 'acct-a', NULL, '{\"members\": [7.5]}', now(), NULL)")
        db.execute("INSERT INTO chats VALUES ('half', 'acct-a', 'u-1', '{\"members\": \"u-2\"}', now(), NULL)")
    there.chat("mine", "acct-a", "u-1", [])
    name = there.ask("acct-a", "u-1")
    there.run()
    assert there.rows("chats") == {"odd", "half"}
    row = there.row(name)
    assert row.state is ErasureState.IN_PROGRESS
    assert row.remainder is not None
    assert row.remainder.undetermined == 2
