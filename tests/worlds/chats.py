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
            {"id": talk, "app_id": app, "name": f"{who} talks", "inputs": {"name": who}, "created_at": days_ago(50),
             "is_deleted": bool(number)}
        )  # fmt: skip
        for turn in range(3):
            one = _uuid(who, number, turn)
            said = f"{who} says {turn}"
            rows.setdefault("messages", []).append(
                {"id": one, "app_id": app, "conversation_id": talk, "parent_message_id": before, "query": said,
                 "message": {"history": [said]}, "answer": f"about {said}", "created_at": days_ago(40 - turn)}
            )  # fmt: skip
            rows.setdefault("message_feedbacks", []).append(
                {"id": _uuid(one, "f"), "app_id": app, "message_id": one, "content": f"{who}: bad",
                 "created_at": days_ago(30)}
            )  # fmt: skip
            rows.setdefault("message_files", []).append(
                {"id": _uuid(one, "a"), "message_id": one, "url": f"https://files/{who}/{turn}.png",
                 "created_at": days_ago(30)}
            )  # fmt: skip
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
