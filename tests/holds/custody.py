"""Five datasets in four stores (SQLite, PostgreSQL, files, a versioned bucket), three custodians and somebody else.

Of each there is an old record and a young one in every dataset. What must be left is reckoned by `Oracle`, which knows
holds as sets of (custodian, dataset) and nothing of retentiond.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

from tests.engine.office import Office, Timed, carry
from tests.servers.postgres import Server as Postgres
from tests.servers.versioned import Bucket

CUSTODIANS = ("acct-'ana'; DROP TABLE feedback;--", "acct-\u202eben", "acct-%2e%2e")
FREE = "acct-free"
DATASETS = ("requests", "payloads", "feedback", "exports", "uploads")
OLD, YOUNG = "old", "young"
AGES = {OLD: 30, YOUNG: 2}
Item = tuple[str, str, str]
"""A dataset, whose record it is, and its age."""

DATAMAP = """
stores:
  app: {{kind: sqlite, path: ../app.db, backups: none}}
  disk: {{kind: files, root: ../payloads, backups: none}}
  server: {{kind: postgresql, dsn_file: ../app.dsn, verify_dsn_file: ../reader.dsn, backups: none}}
  bucket: {{kind: s3, bucket: uploads, region: us-east-1, endpoint: '{url}', backups: none}}
datasets:
  requests:
    store: app
    table: requests
    key: [id]
    clock: {{column: created, earliest: 2023-01-01}}
    account: account
    class: content
    blobs: {{column: payload, dataset: payloads}}
  payloads: {{store: disk, prefix: "", class: content, clock: modified, follows: requests}}
  feedback:
    store: app
    table: feedback
    key: [id]
    clock: {{column: created, earliest: 2023-01-01}}
    account: account
    class: content
  exports:
    store: server
    table: exports
    key: [id]
    clock: {{column: created, earliest: 2023-01-01}}
    account: account
    class: content
  uploads:
    store: bucket
    prefix: ""
    key_pattern: "{{account}}/{{date:%Y/%m/%d}}/{{name}}"
    account: {{pattern: account}}
    clock: {{pattern: date}}
    class: content
unmapped: refuse
"""
POLICIES = """
policies:
  content:
    class: content
    promise: {live: 40 days}
    rules: [{keep: 20 days}]
    schedule: "every 6 hours"
    limits: {max_records: 1000, max_percent: 100}
closure: {grace: none, deadline: 30 days, limits: {per_day: 500, max_percent: 95}}
floor: 1 hour
"""


@dataclass
class Oracle:
    """What is there, and who holds what: each matter a set of (custodian, dataset)."""

    left: set[Item] = field(default_factory=set)
    matters: dict[str, set[tuple[str, str]]] = field(default_factory=dict)

    def held_by(self, matter: str) -> dict[str, set[Item]]:
        """What a matter holds of each dataset that it names: a row and its payload stay together."""
        named = self.matters[matter]
        pairs = named | {
            (who, other)
            for who, dataset in named
            for this, other in (("requests", "payloads"), ("payloads", "requests"))
            if dataset == this
        }
        found = {dataset: {item for item in self.left if item[:2] == (dataset, who)} for who, dataset in pairs}
        for who, dataset in pairs:
            found[dataset] |= {item for item in self.left if item[:2] == (dataset, who)}
        return {dataset: items for dataset, items in found.items() if items}

    def run(self) -> set[Item]:
        """Let go what is old and not held; return what went."""
        held = {item for matter in self.matters for items in self.held_by(matter).values() for item in items}
        gone = {item for item in self.left if item[2] == OLD and item not in held}
        self.left -= gone
        return gone


class Scene:
    """The instance with its stores, filled."""

    def __init__(self, office: Office, server: Postgres, database: str, url: str, bucket: Bucket) -> None:
        self.office, self._server, self._database, self._bucket = office, server, database, bucket
        bucket.versioning = "Enabled"
        office.every = lambda real: real if real.kind in ("sqlite", "files") else Timed(real, office.clock)
        (office.config / "datamap.yaml").write_text(DATAMAP.format(url=url), "utf-8")
        (office.config / "policies.yaml").write_text(POLICIES, "utf-8")
        self._make_tables()
        self.oracle = Oracle({self._put(*item) for item in product(DATASETS, (*CUSTODIANS, FREE), AGES)})

    def _make_tables(self) -> None:
        role, reader = self._server.role(), self._server.role()
        for name, user in (("app.dsn", role), ("reader.dsn", reader)):
            (self.office.root / name).write_text(self._server.dsn(self._database, user), "utf-8")
        with self._server.session(self._database) as db:
            db.execute("CREATE TABLE exports (id text PRIMARY KEY, account text, created timestamptz NOT NULL)")
            db.execute("CREATE INDEX ON exports (created)")
            db.execute(f"GRANT SELECT, DELETE ON exports TO {role}".encode())
            db.execute(f"GRANT SELECT ON exports TO {reader}".encode())
        with self.office.db() as db:
            db.executescript(
                "DROP TABLE requests; DROP TABLE feedback;"
                "CREATE TABLE requests (id TEXT PRIMARY KEY, account TEXT, created TEXT, payload TEXT);"
                "CREATE TABLE feedback (id TEXT PRIMARY KEY, account TEXT, created TEXT)"
            )

    def created(self, age: str) -> datetime:
        return (self.office.clock.at - timedelta(days=AGES[age])).replace(microsecond=0)

    def _put(self, dataset: str, who: str, age: str) -> Item:
        name, at = self._name(who, age), self.created(age)
        if dataset == "uploads":
            self._bucket.put(f"{who}/{at:%Y/%m/%d}/{name}")
        elif dataset == "exports":
            with self._server.session(self._database) as db:
                db.execute("INSERT INTO exports VALUES (%s, %s, %s)", (name, who, at))
        elif dataset == "payloads":
            path = self.office.blob(name)
            os.utime(path, (at.timestamp(), at.timestamp()))
        else:
            more = (name,) if dataset == "requests" else ()
            row = (name, who, at.strftime("%Y-%m-%dT%H:%M:%SZ"), *more)
            with self.office.db() as db:
                db.execute(f"INSERT INTO {dataset} VALUES ({', '.join('?' * len(row))})", row)
        return dataset, who, age

    def _name(self, who: str, age: str) -> str:
        return f"{(*CUSTODIANS, FREE).index(who)}-{age}"

    def look(self) -> set[Item]:
        """Say what is there now, by each store's own means."""
        names: dict[str, set[str]] = {dataset: self.office.rows(dataset) for dataset in ("requests", "feedback")}
        names["payloads"] = self.office.blobs()
        names["uploads"] = {key.decode().rsplit("/", 1)[1] for key in self._bucket.with_data()}
        with self._server.session(self._database) as db:
            names["exports"] = {row[0] for row in db.execute("SELECT id FROM exports")}
        who = {self._name(*pair): pair for pair in product((*CUSTODIANS, FREE), AGES)}
        return {(dataset, *who[name]) for dataset, found in names.items() for name in found}

    def first_run(self) -> None:
        carry(self.office)


def file_of(named: Mapping[str, tuple[str, ...]], path: Path) -> Path:
    """Write a file of custodians, each an account with the datasets that are held of it."""
    lines = [f"  - {{custodian: {_quoted(who)}, datasets: [{', '.join(sets)}]}}" for who, sets in named.items()]
    path.write_text("custodians:\n" + "\n".join(lines) + "\n", "utf-8")
    return path


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
