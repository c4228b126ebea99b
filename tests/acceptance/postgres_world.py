"""A database of its own making on a real PostgreSQL server; what should be left of it is counted here.

Rows are written and read by plain psycopg as the server's superuser, from whom nothing is hidden. Nothing in this file
comes from retentiond: what is due is decided by the age that each row was made with.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.program import Answer, Program
from tests.acceptance.world import days_ago
from tests.servers.postgres import PASSWORD, Server

KEEP_DAYS = 30
ACCOUNTS = ("acct-\"a'; --", "acct-%s\n", "acct-\u202e\U0001f512")
AGES = (2, 9, 20, 33, 40, 55)  # days; none is near the end of the retention period
DUE = len(ACCOUNTS) * len([age for age in AGES if age > KEEP_DAYS])  # rows of each table

TABLE = """
CREATE TABLE {table} (
    request_id text PRIMARY KEY, account_id text NOT NULL, created_at timestamptz NOT NULL, prompt text NOT NULL
);
CREATE INDEX ON {table} (created_at);
"""
POLICIES = """\
policies:
  request-content:
    class: request-content
    promise: {live: 40 days, backups: 40 days}
    rules: [{keep: 30 days}]
    schedule: "every 6 hours"
    limits: {max_percent: 80}
closure: {grace: none, deadline: 30 days, limits: {max_percent: 100}}
floor: 1 hour
"""
Contents = dict[str, list[tuple[Any, ...]]]


@dataclass
class PostgresWorld:
    """An application's database, the program's roles there, and its configuration; each table is a dataset."""

    program: Program
    root: Path
    server: Server
    database: str
    tables: Sequence[str]
    role: str
    reader: str
    environ: dict[str, str] = field(default_factory=dict)
    ages: dict[str, int] = field(default_factory=dict)  # by request_id, in days

    @classmethod
    def made(
        cls, program: Program, root: Path, server: Server, database: str, tables: Sequence[str], *, attributes: str = ""
    ) -> PostgresWorld:
        """Make tables, rows and roles; nothing of the program's is there yet.

        Args:
            attributes: Of the role that acts.
        """
        role, reader = server.role(PASSWORD, attributes=attributes), server.role(PASSWORD)
        made = cls(program, root, server, database, tables, role, reader)
        made.environ["APP_DSN"] = server.dsn(database, role, PASSWORD)
        made.environ["READER_DSN"] = server.dsn(database, reader, PASSWORD)
        for table in tables:
            made.run(TABLE.format(table=table))
            made.fill(table)
        made.run(f"GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
        made.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}")
        return made

    def fill(self, table: str) -> None:
        pairs = ((account, age) for account in ACCOUNTS for age in AGES)
        with self.server.connect(self.database) as db:
            for number, (account, age) in enumerate(pairs):
                name = f"{number:02d} {account}"
                self.ages[name] = age
                row = (name, account, days_ago(age), f"prompt of {name}")
                db.execute(f"INSERT INTO {table} VALUES (%s, %s, %s, %s)".encode(), row)

    def configure(self, *how: str) -> None:
        """Begin an instance, describe the tables, and name the one who approves."""
        self.call("init", self.config, *how)
        (self.config / "datamap.yaml").write_text(json.dumps(self._datamap()), encoding="utf-8")  # JSON is YAML
        (self.config / "policies.yaml").write_text(POLICIES, encoding="utf-8")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.ssh_key)], check=True)
        kind, key, *_ = self.ssh_key.with_suffix(".pub").read_text(encoding="utf-8").split()
        (self.config / "approvers").write_text(f"alice {kind} {key}\n", encoding="utf-8")

    def _datamap(self) -> dict[str, Any]:
        dsns = {"dsn_env": "APP_DSN", "verify_dsn_env": "READER_DSN"}
        dataset = {
            "store": "db",
            "key": ["request_id"],
            "clock": {"column": "created_at", "earliest": "2020-01-01"},
            "account": "account_id",
            "class": "request-content",
        }
        return {
            "stores": {"db": {"kind": "postgresql", **dsns, "backups": "none"}},
            "datasets": {table: {**dataset, "table": table} for table in self.tables},
            "unmapped": "refuse",
        }

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def ssh_key(self) -> Path:
        return self.root / "alice"

    def run(self, script: str) -> None:
        """Have the application run a script."""
        with self.server.connect(self.database) as db:
            db.execute(script.encode())

    def contents(self) -> Contents:
        """Read every row of every table that is the application's."""
        listed = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        with self.server.connect(self.database) as db:
            names = [name for (name,) in db.execute(listed)]
            return {name: db.execute(f"SELECT * FROM ONLY {name} ORDER BY 1".encode()).fetchall() for name in names}

    def kept(self, before: Contents, *tables: str) -> Contents:
        """Give what a pass leaves of what was there, where it may work on some tables."""
        return {
            name: [row for row in rows if name not in tables or self.ages[row[0]] <= KEEP_DAYS]
            for name, rows in before.items()
        }

    def approved_plan(self) -> str:
        """Plan and approve what is due, and give the plan's id."""
        plan = self("plan", code=4)["plan"]
        self("approve", plan, "--ssh-key", self.ssh_key)
        return str(plan)

    def __call__(self, *arguments: str | Path, code: int | list[int] = 0) -> Any:
        """Run the program with --json, and give its document."""
        return self.call(*arguments, "--json", code=code).json

    def call(self, *arguments: str | Path, code: int | list[int] = 0) -> Answer:
        """Run the program, and check that it repeats no password."""
        configured = () if arguments[0] == "init" else ("--config", self.config)
        answer = self.program.within(self.root, **self.environ)(*configured, *arguments, code=code)
        assert PASSWORD not in answer.said
        return answer

    def verified(self) -> list[str]:
        """Verify all receipts with no configuration in reach, and give their outcomes, in no order."""
        handed, empty = self.root / "handed-out", self.root / "elsewhere"
        empty.mkdir(exist_ok=True)
        self("receipt", "export", "--all", handed)
        log = self.config / "log"
        keys = ("--key", log / "keys/log.vkey", "--key", log / "keys/issuer.pem")
        verify = self.program.within(empty)
        documents = [verify("receipt", "verify", each, *keys, "--log", log, "--json").json for each in handed.iterdir()]
        assert all(each["valid"] for each in documents)
        return [each["outcome"] for each in documents]
