"""A world of its own making: a table, a directory and a bucket; what should be left of them is counted here.

Nothing in this file comes from retentiond: what is due is decided by the age that each record was made with.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from retentiond.clock import SystemClock
from tests.acceptance.program import Program

BUCKET = "acceptance"
KEEP_DAYS = 30
ACCOUNTS = ("acct-a", "acct-b", "acct-c")
AGES = (2, 9, 20, 33, 40, 55)  # days; none is near the end of the retention period

STORES = """\
stores:
  db: {{kind: sqlite, path: ../data/app.db, backups: none}}
  exports: {{kind: files, root: ../data/exports, backups: none}}
{bucket}datasets:
  requests:
    store: db
    table: api_requests
    key: [request_id]
    clock: {{column: created_at, earliest: 2020-01-01}}
    account: account_id
    class: request-content
    attributes: {{flagged: flagged}}
{blobs}  exports:
    store: exports
    prefix: ""
    key_pattern: "{{account}}/{{date:%Y-%m-%d}}.csv"
    clock: {{pattern: date}}
    account: {{pattern: account}}
    class: exports
unmapped: refuse
"""
BUCKET_STORE = "  bucket: {{kind: s3, bucket: {bucket}, region: us-east-1, endpoint: '{endpoint}', backups: none}}\n"
BLOBS = "    blobs: {column: payload_key, dataset: payloads}\n"
PAYLOADS = """\
  payloads:
    store: bucket
    prefix: requests/
    key_pattern: "requests/{account}/{request_id}.json"
    class: request-content
    clock: modified
    follows: requests
"""
POLICIES = """\
policies:
  request-content:
    class: request-content
    promise: {live: 40 days, backups: 40 days}
    rules:
      - {when: {flagged: true}, keep: 300 days, promise: {live: 310 days, backups: 310 days}}
      - {keep: 30 days}
    schedule: "every 6 hours"
    limits: {max_percent: 80}
  exports:
    class: exports
    promise: {live: 40 days, backups: 40 days}
    rules:
      - {keep: 30 days}
    schedule: "every 6 hours"
    limits: {max_percent: 80}
closure: {grace: none, deadline: 30 days, limits: {max_percent: 100}}
floor: 1 hour
"""


@dataclass
class World:
    """Where everything lies, and what was put there."""

    program: Program
    root: Path
    endpoint: str | None
    rows: dict[str, tuple[str, int, bool]] = field(default_factory=dict)  # id: account, age in days, flagged
    files: dict[str, tuple[str, int]] = field(default_factory=dict)  # path: account, age in days

    @classmethod
    def made(cls, program: Program, root: Path, endpoint: str | None) -> World:
        """Make it: config, keys, stores, an SSH key; nothing is approved."""
        made = cls(program, root, endpoint)
        program("init", made.config)
        made.write_config()
        made.fill()
        return made

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def database(self) -> Path:
        return self.root / "data" / "app.db"

    @property
    def exports(self) -> Path:
        return self.root / "data" / "exports"

    @property
    def ssh_key(self) -> Path:
        return self.root / "alice"

    def write_config(self) -> None:
        bucket = BUCKET_STORE.format(bucket=BUCKET, endpoint=self.endpoint) if self.endpoint else ""
        blobs = BLOBS + PAYLOADS if self.endpoint else ""
        (self.config / "datamap.yaml").write_text(STORES.format(bucket=bucket, blobs=blobs), encoding="utf-8")
        (self.config / "policies.yaml").write_text(POLICIES, encoding="utf-8")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.ssh_key)], check=True)
        kind, key, *_ = self.ssh_key.with_suffix(".pub").read_text(encoding="utf-8").split()
        (self.config / "approvers").write_text(f"alice {kind} {key}\n", encoding="utf-8")

    def fill(self) -> None:
        self.database.parent.mkdir()
        self.exports.mkdir()
        with sqlite3.connect(self.database) as db:
            db.execute(
                "CREATE TABLE api_requests (request_id TEXT PRIMARY KEY, account_id TEXT, created_at,"
                " flagged INTEGER, prompt TEXT, payload_key TEXT)"
            )
            db.execute("CREATE INDEX by_clock ON api_requests (created_at)")
        db.close()
        if self.endpoint:
            self.s3().create_bucket(Bucket=BUCKET)
            self.s3().put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        for account in ACCOUNTS:
            for number, age in enumerate(AGES):
                self.add_row(f"{account}-{number}", account, age)
                self.add_file(account, age)
            self.add_row(f"{account}-flagged", account, 50, flagged=True)

    def add_row(
        self, name: str, account: str | None, age: int, *, flagged: bool = False, clock: object = "by age"
    ) -> None:
        """Add a row, and two versions of its payload."""
        created = f"{days_ago(age):%Y-%m-%dT%H:%M:%SZ}" if clock == "by age" else clock
        payload = f"requests/{account}/{name}.json" if self.endpoint else None
        with sqlite3.connect(self.database) as db:
            db.execute(
                "INSERT INTO api_requests VALUES (?, ?, ?, ?, ?, ?)",
                (name, account, created, int(flagged), f"prompt of {name}", payload),
            )
        db.close()
        for body in (b"first", b"second") if payload else ():
            self.s3().put_object(Bucket=BUCKET, Key=payload, Body=body)
        self.rows[name] = (account or "", age, flagged)

    def add_file(self, account: str, age: int) -> None:
        name = f"{account}/{days_ago(age):%Y-%m-%d}.csv"
        path = self.exports / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"of {account}\n", encoding="utf-8")
        self.files[name] = (account, age)

    def s3(self) -> Any:
        return boto3.client("s3", endpoint_url=self.endpoint)

    def __call__(self, *arguments: str | Path, code: int | list[int] | None = 0, **environ: str) -> Any:
        """Run the program on this world's configuration, with --json, and give its document."""
        return self.program.within(self.root, **environ)("--config", self.config, *arguments, "--json", code=code).json

    def approved_plan(self) -> str:
        """Plan and approve what is due, and give the plan's id."""
        plan = self("plan", code=4)["plan"]
        self("approve", plan, "--ssh-key", self.ssh_key)
        return str(plan)

    def rows_left(self) -> set[str]:
        with sqlite3.connect(self.database) as db:
            found = {row[0] for row in db.execute("SELECT request_id FROM api_requests")}
        db.close()
        return found

    def files_left(self) -> set[str]:
        return {
            os.path.relpath(Path(folder) / name, self.exports)
            for folder, _, names in os.walk(self.exports)
            for name in names
        }

    def versions_left(self) -> list[tuple[str, str]]:
        """Give key and version of everything in the bucket, delete markers too."""
        pages = self.s3().get_paginator("list_object_versions").paginate(Bucket=BUCKET)
        kinds = ("Versions", "DeleteMarkers")
        return sorted(
            (each["Key"], each["VersionId"]) for page in pages for kind in kinds for each in page.get(kind, ())
        )

    def rows_kept(self, without: Iterable[str] = ()) -> set[str]:
        """Give the rows that a pass leaves, but for some accounts that have left."""
        gone = set(without)
        return {
            name
            for name, (account, age, flagged) in self.rows.items()
            if account not in gone and age <= (300 if flagged else KEEP_DAYS)
        }

    def files_kept(self, without: Iterable[str] = ()) -> set[str]:
        gone = set(without)
        return {name for name, (account, age) in self.files.items() if account not in gone and age <= KEEP_DAYS}

    def untouched(self) -> bool:
        """Say whether every row and file that was made is there."""
        return self.rows_left() == set(self.rows) and self.files_left() == set(self.files)

    def passed(self) -> bool:
        """Say whether exactly what was due is gone from the table and the directory."""
        return self.rows_left() == self.rows_kept() and self.files_left() == self.files_kept()


def days_ago(days: int) -> datetime:
    return SystemClock().now().astimezone(UTC) - timedelta(days=days)
