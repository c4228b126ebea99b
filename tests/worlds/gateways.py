"""Gateways and proxies: who calls is known by a key, and what they said stands in logs."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from tests.worlds.apps import marker
from tests.worlds.world import Shape, days_ago

USERS = 2
CALLS = 3
Rows = dict[str, list[dict[str, Any]]]


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


# --- a proxy whose names are mixed-case, and whose logs know their owner by the hash of a key ---

_PROXY = """
CREATE TABLE "Proxy_OrganizationTable" (
    organization_id text PRIMARY KEY, organization_alias text NOT NULL, metadata jsonb NOT NULL DEFAULT '{}',
    models text[], created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE "Proxy_UserTable" (
    user_id text PRIMARY KEY, user_email text,
    organization_id text REFERENCES "Proxy_OrganizationTable" ON DELETE SET NULL ON UPDATE CASCADE,
    created_at timestamp(3)
);
CREATE TABLE "Proxy_VerificationToken" (
    token text PRIMARY KEY, key_alias text, user_id text,
    organization_id text REFERENCES "Proxy_OrganizationTable" ON DELETE SET NULL ON UPDATE CASCADE,
    metadata jsonb NOT NULL DEFAULT '{}', created_at timestamp(3)
);
CREATE TABLE "Proxy_SpendLogs" (
    request_id text PRIMARY KEY, api_key text NOT NULL DEFAULT '', "startTime" timestamp(3) NOT NULL,
    "endTime" timestamp(3) NOT NULL, "user" text DEFAULT '', metadata jsonb DEFAULT '{}', messages jsonb DEFAULT '{}',
    response jsonb DEFAULT '{}', proxy_server_request jsonb DEFAULT '{}', request_tags jsonb DEFAULT '[]'
);
CREATE TABLE "Proxy_Config" (param_name text PRIMARY KEY, param_value jsonb);
CREATE INDEX ON "Proxy_OrganizationTable" (created_at);
CREATE INDEX ON "Proxy_UserTable" (created_at);
CREATE INDEX ON "Proxy_UserTable" (organization_id);
CREATE INDEX ON "Proxy_VerificationToken" (created_at);
CREATE INDEX ON "Proxy_VerificationToken" (organization_id);
CREATE INDEX ON "Proxy_SpendLogs" ("startTime");
CREATE INDEX ON "Proxy_SpendLogs" (api_key);
"""


def _proxy(account: int) -> Rows:
    who = marker(account)
    rows: Rows = {
        f'"Proxy_{name}"': [] for name in ("OrganizationTable", "UserTable", "VerificationToken", "SpendLogs")
    }
    org, users, tokens, logs = rows.values()
    org.append(
        {
            "organization_id": who,
            "organization_alias": f"{who} Ltd",
            "metadata": {"vat": who},
            "models": [f"{who}-tuned"],
            "created_at": days_ago(80),
        }
    )
    for user in range(USERS):
        name = f"{who}-u{user}"
        token = _hash(name)
        users.append(
            {"user_id": name, "user_email": f"{name}@example.org", "organization_id": who, "created_at": days_ago(70)}
        )
        tokens.append(
            {
                "token": token,
                "key_alias": f"key of {name}",
                "user_id": name,
                "organization_id": who,
                "metadata": {"note": name},
                "created_at": days_ago(60),
            }
        )
        for call in range(CALLS):
            prompt = f"prompt {call} of {name}"
            logs.append(
                {
                    "request_id": f"req-{name}-{call}",
                    "api_key": token,
                    "startTime": days_ago(40 - call),
                    "endTime": days_ago(39.9 - call),
                    "user": name,
                    "metadata": {"user_api_key_alias": name},
                    "messages": {"messages": [{"role": "user", "content": prompt}]},
                    "response": {"text": f"re: {prompt}"},
                    "proxy_server_request": {"body": {"messages": [prompt]}},
                    "request_tags": {"tags": [name]},
                }
            )
    return rows


PROXY = Shape(
    "proxy with mixed-case names and hashed keys",
    _PROXY,
    _proxy,
    {
        "organizations": {
            "table": "Proxy_OrganizationTable",
            "key": "organization_id",
            "clock": {"column": "created_at"},
            "account": "organization_id",
        },
        "users": {
            "table": "Proxy_UserTable",
            "key": "user_id",
            "clock": {"column": "created_at"},
            "account": "organization_id",
            "parent": {"dataset": "organizations", "on": {"organization_id": "organization_id"}},
        },
        "tokens": {
            "table": "Proxy_VerificationToken",
            "key": "token",
            "clock": {"column": "created_at"},
            "account": "organization_id",
            "parent": {"dataset": "organizations", "on": {"organization_id": "organization_id"}},
        },
        "spend": {
            "table": "Proxy_SpendLogs",
            "key": "request_id",
            "clock": {"column": "startTime"},
            "account": {"via": "Proxy_VerificationToken", "on": {"api_key": "token"}, "take": "organization_id"},
        },
    },
    ignored=("public.Proxy_Config",),
)

# --- a relay in one file, whose logs name a token by its name, and its users by number ---

_RELAY = """
CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, "group" TEXT, created_time BIGINT);
CREATE TABLE tokens (
    id INTEGER PRIMARY KEY, user_id INTEGER, "key" TEXT UNIQUE, name TEXT, created_time BIGINT, deleted_at DATETIME
);
CREATE TABLE logs (
    id INTEGER PRIMARY KEY, user_id TEXT, created_at BIGINT, type INTEGER, content TEXT, username TEXT,
    token_name TEXT, other TEXT
);
CREATE TABLE options ("key" TEXT PRIMARY KEY, value TEXT);
CREATE INDEX tokens_user ON tokens (user_id);
CREATE INDEX logs_created ON logs (created_at);
CREATE INDEX logs_user ON logs (user_id);
"""


def _relay(account: int) -> Rows:
    who, number = marker(account), 100 + account
    said = [f"{who} asked {call}" for call in range(CALLS)]
    return {
        "users": [{"id": number, "username": who, "group": f"{who} group", "created_time": _epoch(80)}],
        "tokens": [
            {
                "id": number,
                "user_id": number,
                "key": f"sk-{who}",
                "name": f"{who} default",
                "created_time": _epoch(70),
                "deleted_at": None,
            },
            {
                "id": number + 5000,
                "user_id": number,
                "key": f"sk-{who}-old",
                "name": f"{who} old",
                "created_time": _epoch(75),
                "deleted_at": "2026-05-01T00:00:00Z",
            },
        ],
        "logs": [
            {
                "id": number * 100 + call,
                "user_id": str(number),
                "created_at": _epoch(20 + call),
                "type": 2,
                "content": text,
                "username": who,
                "token_name": f"{who} default",
                "other": {"request": {"prompt": text}},
            }
            for call, text in enumerate(said)
        ],
    }


def _epoch(days: float) -> int:
    return int(days_ago(days).timestamp())


RELAY = Shape(
    "relay whose users are numbers here and text there",
    _RELAY,
    _relay,
    {
        "users": {"table": "users", "key": "id", "clock": {"column": "created_time"}, "account": "username"},
        "tokens": {
            "table": "tokens",
            "key": "id",
            "clock": {"column": "created_time"},
            "account": {"via": "users", "on": {"user_id": "id"}, "take": "username"},
        },
        "logs": {
            "table": "logs",
            "key": "id",
            "clock": {"column": "created_at"},
            "account": {"via": "users", "on": {"user_id": "id"}, "take": "username"},
        },
    },
    engine="sqlite",
    ignored=("options",),
)
