"""An instance whose rows and payloads are of users inside accounts, and what an oracle of its own says is whose."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retentiond.domain.erasure import ErasureEvent, Person
from retentiond.engine import erasures
from retentiond.engine.bundles import disclose_account
from retentiond.engine.context import Context
from retentiond.engine.erasures import Asked
from retentiond.engine.running import Session, run_all
from retentiond.ports.rows import ErasureRow, ReceiptRow
from tests.engine.office import Office, make_office

HOSTILE = 'it\'s "me"; DROP TABLE chats--\n\u202e\U0001f5d1 ../%2e%2e ["acct-a","u"]'
_DATAMAP = """
stores:
  app: {kind: sqlite, path: ../app.db, backups: none}
  disk: {kind: files, root: ../payloads, backups: none}
datasets:
  chats:
    store: app
    table: chats
    key: [id]
    clock: {column: created, earliest: 2023-01-01}
    account: account
    user: [{column: user_id, optional: true}, {column: people, json: $.members, array: true, optional: true}]
    class: content
    blobs: {column: payload, dataset: payloads}
  payloads:
    store: disk
    prefix: ""
    class: content
    clock: modified
    follows: chats
  scores:
    store: app
    table: scores
    key: [id]
    clock: {column: created, earliest: 2023-01-01}
    account: account
    user: {via: chats, on: {chat: id}, take: user_id, optional: true}
    class: content
  bills:
    store: app
    table: bills
    key: [id]
    clock: {column: created, earliest: 2023-01-01}
    account: account
    user: {nobody: sums of an account for a month}
    class: content
unmapped: refuse
"""
_POLICIES = """
policies:
  content:
    class: content
    rules: [{keep: 5 years}]
    limits: {max_records: 1000, max_percent: 95}
closure: {grace: none, deadline: 30 days}
erasure: {zone: Europe/Berlin}
"""
_SCHEMA = """
DROP TABLE requests; DROP TABLE feedback;
CREATE TABLE chats (id TEXT PRIMARY KEY, account TEXT, user_id, people TEXT, created TEXT, payload TEXT);
CREATE TABLE scores (id INTEGER PRIMARY KEY, account TEXT, chat TEXT, created TEXT);
CREATE INDEX scores_chat ON scores (chat);
CREATE TABLE bills (id INTEGER PRIMARY KEY, account TEXT, created TEXT);
"""


@dataclass
class Scene(Office):
    """The office, with chats of users."""

    def chat(
        self, key: str, account: str | None, user: Any, members: list[str] | None = None, *, payload: str = ""
    ) -> None:
        people = None if members is None else json.dumps({"members": members})
        with self.db() as db:
            db.execute(
                "INSERT INTO chats VALUES (?, ?, ?, ?, ?, ?)",
                (key, account, user, people, self.ago(3), payload or None),
            )
        if payload:
            self.blob(payload)

    def score(self, key: int, account: str, chat: str) -> None:
        with self.db() as db:
            db.execute("INSERT INTO scores VALUES (?, ?, ?, ?)", (key, account, chat, self.ago(2)))

    def bill(self, key: int, account: str) -> None:
        with self.db() as db:
            db.execute("INSERT INTO bills VALUES (?, ?, ?)", (key, account, self.ago(1)))

    def ask(
        self, account: str, user: str = "", *, law: str = "gdpr", identity: str = "passport seen", **more: Any
    ) -> str:
        asked = Asked(Person(account, user), law, more.get("received"), "ticket 1", identity)
        with self.open() as ctx:
            return erasures.add_erasure(ctx, asked, more.get("key")).id

    def ask_all(self, ctx: Context, people: list[tuple[str, str]]) -> dict[str, tuple[str, str]]:
        """Take in a request of each; return who asked by the request's id."""
        asked = {person: Asked(Person(*person), "gdpr", None, "ticket", "seen") for person in people}
        return {erasures.add_erasure(ctx, each, None).id: person for person, each in asked.items()}

    @staticmethod
    def leaf(ctx: Context, receipt: ReceiptRow, account: str) -> dict[str, Any]:
        """Return what a receipt says of its account."""
        found: dict[str, Any] = json.loads(disclose_account(ctx, receipt, account).leaf)
        return found

    def change(self, name: str, event: ErasureEvent, reason: str = "for a good reason") -> ErasureRow:
        with self.open() as ctx:
            return erasures.change_erasure(ctx, name, event, reason, None)

    def row(self, name: str) -> ErasureRow:
        with self.open() as ctx:
            return erasures.erasure_of(ctx, name)

    def approve_datasets(self) -> None:
        """Have the ledger know that people approved all datasets as they stand, as after a first scheduled run."""
        with self.open() as ctx, ctx.ledger.begin() as tx:
            for dataset in ctx.datamap.datasets.values():
                tx.approvals.approve_pair(("content", "0" * 64), (dataset.name, dataset.sha256), "")

    def run(self) -> Session:
        with self.open() as ctx:
            return run_all(ctx)


def make_scene(root: Path) -> Scene:
    make_office(root)
    scene = Scene(root)
    (scene.config / "datamap.yaml").write_text(_DATAMAP, "utf-8")
    (scene.config / "policies.yaml").write_text(_POLICIES, "utf-8")
    with scene.db() as db:
        db.executescript(_SCHEMA)
    scene.approve_datasets()
    return scene
