"""Applications that people chat with: conversations, their messages, and what hangs on those."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from tests.worlds.apps import marker
from tests.worlds.world import Shape, days_ago

Rows = dict[str, list[dict[str, Any]]]


def _uuid(*parts: object) -> UUID:
    return uuid5(NAMESPACE_URL, "/".join(map(str, parts)))


# --- uuids everywhere, few foreign keys, feedback and files that no constraint ties to their message ---

_ASSISTANT = """
CREATE TABLE tenants (id uuid PRIMARY KEY, name varchar(255) NOT NULL, created_at timestamp NOT NULL);
CREATE TABLE apps (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, name text NOT NULL, created_at timestamp NOT NULL);
CREATE TABLE conversations (
    id uuid PRIMARY KEY, app_id uuid NOT NULL, name varchar(255) NOT NULL, inputs json, created_at timestamp NOT NULL,
    is_deleted boolean NOT NULL DEFAULT false
);
CREATE TABLE messages (
    id uuid PRIMARY KEY, app_id uuid NOT NULL, conversation_id uuid NOT NULL REFERENCES conversations,
    parent_message_id uuid, query text NOT NULL, message json NOT NULL, answer text NOT NULL,
    created_at timestamp NOT NULL
);
CREATE TABLE message_feedbacks (
    id uuid PRIMARY KEY, app_id uuid NOT NULL, message_id uuid NOT NULL, content text, created_at timestamp NOT NULL
);
CREATE TABLE message_files (
    id uuid PRIMARY KEY, message_id uuid NOT NULL, url text, created_at timestamp NOT NULL
);
CREATE INDEX ON tenants (created_at); CREATE INDEX ON apps (created_at); CREATE INDEX ON conversations (created_at);
CREATE INDEX ON messages (created_at); CREATE INDEX ON message_feedbacks (created_at);
CREATE INDEX ON message_files (created_at); CREATE INDEX ON messages (conversation_id);
CREATE INDEX ON message_files (message_id); CREATE INDEX ON apps (tenant_id);
CREATE INDEX ON messages (app_id); CREATE INDEX ON conversations (app_id); CREATE INDEX ON message_feedbacks (app_id);
"""


def _assistant(account: int) -> Rows:
    who = marker(account)
    tenant, app = _uuid(who), _uuid(who, "app")
    rows: Rows = {
        "tenants": [{"id": tenant, "name": who, "created_at": days_ago(80)}],
        "apps": [{"id": app, "tenant_id": tenant, "name": f"{who} app", "created_at": days_ago(79)}],
    }
    for number in range(2):
        talk, before = _uuid(who, number), None
        rows.setdefault("conversations", []).append(
            {
                "id": talk,
                "app_id": app,
                "name": f"{who} talks",
                "inputs": {"name": who},
                "created_at": days_ago(50),
                "is_deleted": bool(number),
            }
        )
        for turn in range(3):
            one = _uuid(who, number, turn)
            said = f"{who} says {turn}"
            rows.setdefault("messages", []).append(
                {
                    "id": one,
                    "app_id": app,
                    "conversation_id": talk,
                    "parent_message_id": before,
                    "query": said,
                    "message": {"history": [said]},
                    "answer": f"about {said}",
                    "created_at": days_ago(40 - turn),
                }
            )
            rows.setdefault("message_feedbacks", []).append(
                {
                    "id": _uuid(one, "f"),
                    "app_id": app,
                    "message_id": one,
                    "content": f"{who}: bad",
                    "created_at": days_ago(30),
                }
            )
            rows.setdefault("message_files", []).append(
                {
                    "id": _uuid(one, "a"),
                    "message_id": one,
                    "url": f"https://files/{who}/{turn}.png",
                    "created_at": days_ago(30),
                }
            )
            before = one
    return rows


def _of_app(name: str) -> dict[str, Any]:
    return {
        "table": name,
        "key": "id",
        "clock": {"column": "created_at"},
        "account": {"via": "apps", "on": {"app_id": "id"}, "take": "tenant_id"},
    }


ASSISTANT = Shape(
    "assistant with uuids and few foreign keys",
    _ASSISTANT,
    _assistant,
    {
        "tenants": {"table": "tenants", "key": "id", "clock": {"column": "created_at"}, "account": "id"},
        "apps": {"table": "apps", "key": "id", "clock": {"column": "created_at"}, "account": "tenant_id"},
        "conversations": _of_app("conversations"),
        "messages": {**_of_app("messages"), "parent": {"dataset": "conversations", "on": {"conversation_id": "id"}}},
        "feedbacks": _of_app("message_feedbacks"),
    },
    name=lambda account: str(_uuid(marker(account))),
    unmapped=frozenset({"public.message_files"}),
)

# --- one file, whole chats in one column of JSON, times in seconds ---

_PAGE = """
CREATE TABLE "user" (id TEXT PRIMARY KEY, name TEXT, email TEXT, settings JSON, created_at BIGINT);
CREATE TABLE chat (
    id TEXT PRIMARY KEY, user_id TEXT, title TEXT, chat JSON, meta JSON DEFAULT '{}', archived BOOLEAN,
    created_at BIGINT, updated_at BIGINT
);
CREATE TABLE tag (id TEXT NOT NULL, user_id TEXT NOT NULL, name TEXT, meta JSON, PRIMARY KEY (id, user_id));
CREATE TABLE file (id TEXT PRIMARY KEY, user_id TEXT, filename TEXT, path TEXT, data JSON, created_at BIGINT);
CREATE TABLE feedback (id TEXT PRIMARY KEY, user_id TEXT, data JSON, snapshot JSON, created_at BIGINT);
CREATE TABLE config (id INTEGER PRIMARY KEY, data JSON);
CREATE INDEX chat_created ON chat (created_at);
"""


def _page(account: int) -> Rows:
    who, at = marker(account), int(days_ago(20).timestamp())
    history = {"history": {"messages": {f"{who}-m{n}": {"content": f"{who} {n}", "children": []} for n in range(4)}}}
    return {
        '"user"': [
            {"id": who, "name": who, "email": f"{who}@x.org", "settings": {"ui": {"memory": who}}, "created_at": at}
        ],
        "chat": [
            {
                "id": f"{who}-c{n}",
                "user_id": who,
                "title": f"{who} title",
                "chat": history,
                "meta": {"tags": [who]},
                "archived": n % 2,
                "created_at": at,
                "updated_at": at,
            }
            for n in range(3)
        ],
        "tag": [{"id": "work", "user_id": who, "name": f"{who} work", "meta": {}}],
        "file": [
            {
                "id": f"{who}-f",
                "user_id": who,
                "filename": f"{who}.pdf",
                "path": f"uploads/{who}.pdf",
                "data": {"content": who},
                "created_at": at,
            }
        ],
        "feedback": [
            {"id": f"{who}-b", "user_id": who, "data": {"rating": 1}, "snapshot": {"chat": history}, "created_at": at}
        ],
    }


PAGE = Shape(
    "page whose chats are one column of JSON",
    _PAGE,
    _page,
    {
        "users": {"table": "user", "key": "id", "clock": {"column": "created_at"}, "account": "id"},
        "chats": {"table": "chat", "key": "id", "clock": {"column": "created_at"}, "account": "user_id"},
        "tags": {"table": "tag", "key": ["id", "user_id"], "class": "registry", "clock": "none", "account": "user_id"},
        "files": {"table": "file", "key": "id", "clock": {"column": "created_at"}, "account": "user_id"},
        "feedback": {"table": "feedback", "key": "id", "clock": {"column": "created_at"}, "account": "user_id"},
    },
    engine="sqlite",
    ignored=("config",),
)

# --- checkpoints of an agent: composite keys, bytes, and no time at all but the thread's ---

_AGENT = """
CREATE TABLE threads (thread_id text PRIMARY KEY, org text NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE checkpoints (
    thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL,
    parent_checkpoint_id text, type text, checkpoint jsonb NOT NULL, metadata jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
);
CREATE TABLE checkpoint_blobs (
    thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', channel text NOT NULL, version text NOT NULL,
    type text NOT NULL, blob bytea, PRIMARY KEY (thread_id, checkpoint_ns, channel, version)
);
CREATE TABLE checkpoint_writes (
    thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL,
    task_id text NOT NULL, idx integer NOT NULL, channel text NOT NULL, type text, blob bytea NOT NULL,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
);
CREATE TABLE checkpoint_migrations (v integer PRIMARY KEY);
CREATE INDEX ON threads (created_at);
"""


def _agent(account: int) -> Rows:
    who = marker(account)
    rows: Rows = {"threads": [], "checkpoints": [], "checkpoint_blobs": [], "checkpoint_writes": []}
    for number in range(2):
        thread = f"{who}-t{number}"
        rows["threads"].append({"thread_id": thread, "org": who, "created_at": days_ago(30)})
        for step in range(3):
            here = {"thread_id": thread, "checkpoint_ns": "", "checkpoint_id": f"1ef{step}"}
            said = f"{who} step {step}"
            rows["checkpoints"].append(
                {
                    **here,
                    "parent_checkpoint_id": f"1ef{step - 1}" if step else None,
                    "type": "json",
                    "checkpoint": {"values": said},
                    "metadata": {"source": who},
                }
            )
            rows["checkpoint_blobs"].append(
                {
                    "thread_id": thread,
                    "checkpoint_ns": "",
                    "channel": "messages",
                    "version": str(step),
                    "type": "msgpack",
                    "blob": b"\x93\xa0" + said.encode(),
                }
            )
            rows["checkpoint_writes"].append(
                {
                    **here,
                    "task_id": "t",
                    "idx": step,
                    "channel": "messages",
                    "type": "msgpack",
                    "blob": b"\x00" + said.encode(),
                }
            )
    return rows


def _of_thread(table: str, *key: str) -> dict[str, Any]:
    there = {"via": "threads", "on": {"thread_id": "thread_id"}}
    return {
        "table": table,
        "key": ["thread_id", "checkpoint_ns", *key],
        "clock": {**there, "take": "created_at"},
        "account": {**there, "take": "org"},
    }


AGENT = Shape(
    "agent whose checkpoints bear no time",
    _AGENT,
    _agent,
    {
        "threads": {"table": "threads", "key": "thread_id", "clock": {"column": "created_at"}, "account": "org"},
        "checkpoints": _of_thread("checkpoints", "checkpoint_id"),
        "blobs": _of_thread("checkpoint_blobs", "channel", "version"),
        "writes": _of_thread("checkpoint_writes", "checkpoint_id", "task_id", "idx"),
    },
    ignored=("public.checkpoint_migrations",),
)

# --- comments, attachments and versions of anything, told apart by the name of what they are of ---

_POLYMORPHIC = """
CREATE TABLE accounts (id bigint PRIMARY KEY, name text NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE prompts (
    id bigint PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT, body text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE runs (
    id bigint PRIMARY KEY, account_id bigint NOT NULL, output text NOT NULL, created_at timestamptz NOT NULL
);
CREATE TABLE comments (
    id bigint PRIMARY KEY, commentable_type text NOT NULL, commentable_id bigint NOT NULL, body text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE versions (
    id bigint PRIMARY KEY, item_type text NOT NULL, item_id text NOT NULL, event text NOT NULL, object jsonb,
    created_at timestamptz NOT NULL
);
CREATE TABLE taggings (
    id bigint PRIMARY KEY, taggable_type text, taggable_id bigint, tag text, created_at timestamptz NOT NULL
);
CREATE INDEX ON accounts (created_at); CREATE INDEX ON prompts (created_at); CREATE INDEX ON runs (created_at);
CREATE INDEX ON comments (created_at); CREATE INDEX ON versions (created_at); CREATE INDEX ON taggings (created_at);
CREATE INDEX ON prompts (account_id);
CREATE INDEX ON comments (commentable_id, commentable_type); CREATE INDEX ON versions (item_id, item_type);
"""


def _polymorphic(account: int) -> Rows:
    who = marker(account)
    rows: Rows = {"accounts": [{"id": account + 1, "name": who, "created_at": days_ago(80)}]}
    for number in range(3):
        # Prompts and runs have the same numbers, and other accounts: only the type tells them apart.
        prompt, run = account * 10 + number, (account ^ 1) * 10 + number
        rows.setdefault("prompts", []).append(
            {"id": prompt, "account_id": account + 1, "body": f"{who} prompt", "created_at": days_ago(50)}
        )
        rows.setdefault("runs", []).append(
            {"id": run, "account_id": account + 1, "output": f"{who} run", "created_at": days_ago(49)}
        )
        for offset, (kind, item) in enumerate((("Prompt", prompt), ("Run", run))):
            one = (account * 10 + number) * 2 + offset
            rows.setdefault("comments", []).append(
                {
                    "id": one,
                    "commentable_type": kind,
                    "commentable_id": item,
                    "body": f"{who} on {kind}",
                    "created_at": days_ago(40),
                }
            )
            rows.setdefault("versions", []).append(
                {
                    "id": one,
                    "item_type": kind,
                    "item_id": str(item),
                    "event": "update",
                    "object": {"body": f"{who} was"},
                    "created_at": days_ago(39),
                }
            )
    return rows


def _of_type(table: str, kind: str, number: str, dataset: str, word: str) -> dict[str, Any]:
    return {
        "table": table,
        "where": {kind: word},
        "key": "id",
        "clock": {"column": "created_at"},
        "account": {"via": dataset, "on": {number: "id"}, "take": "account_id"},
    }


POLYMORPHIC = Shape(
    "tables that hold something of anything",
    _POLYMORPHIC,
    _polymorphic,
    {
        "accounts": {"table": "accounts", "key": "id", "clock": {"column": "created_at"}, "account": "id"},
        "prompts": {"table": "prompts", "key": "id", "clock": {"column": "created_at"}, "account": "account_id"},
        "runs": {"table": "runs", "key": "id", "clock": {"column": "created_at"}, "account": "account_id"},
        "prompt_comments": _of_type("comments", "commentable_type", "commentable_id", "prompts", "Prompt"),
        "run_comments": _of_type("comments", "commentable_type", "commentable_id", "runs", "Run"),
        "prompt_versions": _of_type("versions", "item_type", "item_id", "prompts", "Prompt"),
        "run_versions": _of_type("versions", "item_type", "item_id", "runs", "Run"),
    },
    ignored=("public.taggings",),
    name=lambda account: str(account + 1),
)
