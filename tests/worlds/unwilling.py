"""Schemas that nobody would draw: each thing that gets into the way of whoever has to find all of an account's data."""

from __future__ import annotations

from typing import Any

from tests.worlds.apps import marker
from tests.worlds.world import Shape, days_ago

Rows = dict[str, list[dict[str, Any]]]

# --- no foreign keys, mixed-case names, owners two tables away, and a partition that is not as its siblings are ---

_LOOSE = """
CREATE SCHEMA "App Data";
CREATE TABLE "App Data"."Workspaces" ("Id" varchar(40) PRIMARY KEY, "ownerOrg" text NOT NULL, "createdAt" int8);
CREATE TABLE "App Data"."apiKeys" ("hash" bytea NOT NULL UNIQUE, "workspace.id" text, "madeOn" date NOT NULL);
CREATE TABLE "App Data"."Requests" (
    "Id" text NOT NULL, "keyHash" bytea NOT NULL, "When" timestamp NOT NULL, "Prompt" text NOT NULL,
    "raw" json NOT NULL, "history" jsonb NOT NULL DEFAULT '[]'
) PARTITION BY RANGE ("When");
CREATE TABLE "App Data"."Requests_old" PARTITION OF "App Data"."Requests" ("Id" PRIMARY KEY)
    FOR VALUES FROM (MINVALUE) TO ('2026-05-01');
CREATE TABLE "App Data"."Requests_new" PARTITION OF "App Data"."Requests" FOR VALUES FROM ('2026-05-01') TO (MAXVALUE);
CREATE TABLE "App Data"."Notes of Support" ("no" int PRIMARY KEY, "aboutRequest" text, "Said" text, "at" text NOT NULL);
CREATE TABLE "App Data"."Drafts" ("no" int PRIMARY KEY, "text" text);
ALTER TABLE "App Data"."Requests_old" ADD CHECK (length("Prompt") > 0);
CREATE UNIQUE INDEX ON "App Data"."Requests" ("Id", "When");
CREATE INDEX ON "App Data"."Requests" ("When");
CREATE INDEX ON "App Data"."Requests" ("Id");
CREATE INDEX ON "App Data"."Workspaces" ("createdAt");
CREATE INDEX ON "App Data"."apiKeys" ("madeOn");
CREATE INDEX ON "App Data"."Notes of Support" ("aboutRequest");
CREATE INDEX ON "App Data"."Requests" ("keyHash");
CREATE INDEX ON "App Data"."apiKeys" ("workspace.id");
"""


def _loose(account: int) -> Rows:
    who = marker(account)
    rows: Rows = {
        '"App Data"."Workspaces"': [
            {"Id": f"{who}-w{n}", "ownerOrg": who, "createdAt": int(days_ago(80).timestamp() * 1000)} for n in range(2)
        ]
    }
    for number in range(6):
        key, name = f"{who}-key{number % 2}".encode(), f"{who}-r{number}"
        if number < 2:
            rows.setdefault('"App Data"."apiKeys"', []).append(
                {"hash": key, "workspace.id": f"{who}-w{number}", "madeOn": days_ago(79).date()}
            )
        said = f"prompt {number} of {who}"
        rows.setdefault('"App Data"."Requests"', []).append(
            {
                "Id": name,
                "keyHash": key,
                "When": days_ago(10 * number + 1).replace(tzinfo=None),
                "Prompt": said,
                "raw": {"body": {"messages": [said]}},
                "history": {"turns": [said, said.upper()]},
            }
        )
        rows.setdefault('"App Data"."Notes of Support"', []).append(
            {
                "no": account * 10 + number,
                "aboutRequest": name,
                "Said": f"{who} was helped",
                "at": f"{days_ago(9):%Y-%m-%dT%H:%M:%SZ}",
            }
        )
    return rows


def _of(name: str) -> dict[str, str]:
    return {"schema": "App Data", "name": name}


_BY_KEY = {"table": _of("apiKeys"), "on": {"keyHash": "hash"}}
_BY_WORKSPACE = {"table": _of("Workspaces"), "on": {"workspace.id": "Id"}}
_BY_REQUEST = {"table": _of("Requests"), "on": {"aboutRequest": "Id"}}

LOOSE = Shape(
    "no foreign keys, mixed-case names, a partition of its own kind",
    _LOOSE,
    _loose,
    {
        "workspaces": {
            "table": _of("Workspaces"),
            "key": "Id",
            "clock": {"column": "createdAt", "format": "unix-milliseconds"},
            "account": "ownerOrg",
        },
        "keys": {
            "table": _of("apiKeys"),
            "key": "hash",
            "clock": {"column": "madeOn", "zone": "Europe/Berlin"},
            "account": {"via": _of("Workspaces"), "on": {"workspace.id": "Id"}, "take": "ownerOrg"},
        },
        "requests": {
            "table": _of("Requests"),
            "key": ["Id", "When"],
            "clock": {"column": "When", "zone": "America/New_York"},
            "account": {"through": [_BY_KEY, _BY_WORKSPACE], "take": "ownerOrg"},
        },
        "notes": {
            "table": _of("Notes of Support"),
            "key": "no",
            "clock": {"column": "at", "format": "text"},
            "account": {"through": [_BY_REQUEST, _BY_KEY, _BY_WORKSPACE], "take": "ownerOrg"},
        },
    },
    after="""INSERT INTO "App Data"."Drafts" VALUES (1, 'of mk0000, which the data map does not name')""",
    unmapped=frozenset({"App Data.Drafts"}),
)

# --- messages that answer messages, a conversation that names its last one, tags between two tables ---

_THREADS = """
CREATE TABLE talks (id bigint PRIMARY KEY, owner text NOT NULL, last_message_id bigint, created_at timestamptz);
CREATE TABLE messages (
    id bigint PRIMARY KEY, talk_id bigint NOT NULL REFERENCES talks ON DELETE CASCADE,
    answers bigint REFERENCES messages ON DELETE CASCADE, body text NOT NULL, created_at timestamptz NOT NULL
);
ALTER TABLE talks ADD FOREIGN KEY (last_message_id) REFERENCES messages ON DELETE SET NULL;
CREATE TABLE labels (id bigint PRIMARY KEY, owner text NOT NULL, name text NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE message_labels (
    message_id bigint REFERENCES messages ON DELETE CASCADE, label_id bigint REFERENCES labels ON DELETE RESTRICT,
    note text, PRIMARY KEY (message_id, label_id)
);
CREATE TABLE shared_talks (talk_id bigint PRIMARY KEY, members text[] NOT NULL, at timestamptz NOT NULL);
CREATE INDEX ON talks (created_at); CREATE INDEX ON messages (created_at); CREATE INDEX ON labels (created_at);
CREATE INDEX ON talks (last_message_id); CREATE INDEX ON messages (talk_id); CREATE INDEX ON messages (answers);
CREATE INDEX ON message_labels (label_id); CREATE INDEX ON shared_talks (at);
"""


def _threads(account: int) -> Rows:
    who, talk = marker(account), account * 10
    rows: Rows = {
        "talks": [{"id": talk, "owner": who, "last_message_id": None, "created_at": days_ago(60)}],
        "messages": [],
        "labels": [{"id": account, "owner": who, "name": f"{who} urgent", "created_at": days_ago(61)}],
        "message_labels": [],
    }
    for turn in range(8):
        one = talk * 10 + turn
        answers = one - 1 if turn % 4 else None
        rows["messages"].append(
            {"id": one, "talk_id": talk, "answers": answers, "body": f"{who} {turn}", "created_at": days_ago(50 - turn)}
        )
        rows["message_labels"].append({"message_id": one, "label_id": account, "note": f"{who} marked {turn}"})
    return rows


def _shared(one: int, other: int) -> Rows:
    members = [marker(one), marker(other)]
    return {"shared_talks": [{"talk_id": one * 10, "members": members, "at": days_ago(20)}]}


THREADS = Shape(
    "messages that answer messages",
    _THREADS,
    _threads,
    {
        "talks": {"table": "talks", "key": "id", "clock": {"column": "created_at"}, "account": "owner"},
        "messages": {
            "table": "messages",
            "key": "id",
            "clock": {"column": "created_at"},
            "parent": {"dataset": "talks", "on": {"talk_id": "id"}},
            "account": {"via": "parent"},
            "clears": [{"table": "talks", "column": "last_message_id"}],
        },
        "labels": {"table": "labels", "key": "id", "clock": {"column": "created_at"}, "account": "owner"},
        "message_labels": {
            "table": "message_labels",
            "key": ["message_id", "label_id"],
            "clock": {"via": "messages", "on": {"message_id": "id"}, "take": "created_at"},
            "parent": [
                {"dataset": "messages", "on": {"message_id": "id"}},
                {"dataset": "labels", "on": {"label_id": "id"}},
            ],
            "account": {"via": "labels", "on": {"label_id": "id"}, "take": "owner"},
        },
        "shared": {
            "table": "shared_talks",
            "key": "talk_id",
            "clock": {"column": "at"},
            "account": {"column": "members", "array": True},
        },
    },
    shared=_shared,
    after="UPDATE talks SET last_message_id = (SELECT max(id) FROM messages AS m WHERE m.talk_id = talks.id);",
)

# --- a history that a trigger fills ---

_HISTORY = """
CREATE TABLE chats (id bigint PRIMARY KEY, owner text NOT NULL, said text NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE chats_history (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, row jsonb NOT NULL, changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE chat_counts (deleted bigint NOT NULL);
CREATE INDEX ON chats (created_at); CREATE INDEX ON chats_history (changed_at);
INSERT INTO chat_counts VALUES (0);
CREATE FUNCTION keep_history() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public
AS $$ BEGIN
    INSERT INTO chats_history (row, changed_at) VALUES (to_jsonb(OLD), OLD.created_at);
    IF TG_OP = 'DELETE' THEN UPDATE chat_counts SET deleted = deleted + 1; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_history AFTER UPDATE OR DELETE ON chats FOR EACH ROW EXECUTE FUNCTION keep_history();
"""


def _chats(account: int) -> Rows:
    who = marker(account)
    return {
        "chats": [
            {"id": account * 10 + n, "owner": who, "said": f"{who} said {n}", "created_at": days_ago(10 + n)}
            for n in range(5)
        ]
    }


_CHATS = {"table": "chats", "key": "id", "clock": {"column": "created_at"}, "account": "owner"}
_KEPT = {
    "table": "chats_history",
    "key": "n",
    "clock": {"column": "changed_at"},
    "account": {"column": "row", "json": "$.owner"},
}


def history(digest: str, *, mapped: bool = True) -> Shape:
    """Return an application whose trigger keeps what rows said before; without a digest nothing is said of it."""
    let = {"triggers": {"keep_history": {"digest": digest, "writes": ["chats_history", "chat_counts"]}}}
    datasets = {"chats": _CHATS | (let if digest else {}), **({"history": _KEPT} if mapped else {})}
    return Shape(
        "a history that a trigger fills",
        _HISTORY,
        _chats,
        datasets,
        ignored=("public.chat_counts",),
        after="UPDATE chats SET said = said || ' again' WHERE id % 2 = 0;",
    )


# --- row-level security ---

_SECURED = """
CREATE TABLE chats (id bigint PRIMARY KEY, owner text NOT NULL, said text NOT NULL, created_at timestamptz NOT NULL);
CREATE INDEX ON chats (created_at);
ALTER TABLE chats ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenants ON chats USING (owner = current_setting('app.tenant', true));
"""


def secured() -> Shape:
    """Return a table of which a role without `BYPASSRLS` sees what a policy lets it see."""
    return Shape("row-level security", _SECURED, _chats, {"chats": _CHATS})
