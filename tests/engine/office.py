"""An instance in a directory: a table of requests, a directory of payloads that its rows name, a table of feedback.

The clock is the test's, and so is everything that stands in the stores: what is left is counted by looking there.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from retentiond.bootstrap import initialise, open_context
from retentiond.engine.approvals import approve
from retentiond.engine.context import Context
from retentiond.engine.planning import Planned, Request, make_plan
from retentiond.engine.running import Session, apply_plan
from retentiond.ports.stores import Acted, Connector, Order, Verified

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DATAMAP = """
stores:
  app: {kind: sqlite, path: ../app.db, backups: none}
  disk: {kind: files, root: ../payloads, backups: none}
datasets:
  requests:
    store: app
    table: requests
    key: [id]
    clock: {column: created, earliest: 2023-01-01}
    account: account
    class: content
    attributes: {flagged: flagged}
    tombstone: {column: deleted}
    blobs: {column: payload, dataset: payloads}
  payloads:
    store: disk
    prefix: ""
    class: content
    clock: modified
    tombstone: {directory: .quarantine}
    follows: requests
  feedback:
    store: app
    table: feedback
    key: [id]
    clock: {column: created, earliest: 2023-01-01}
    account: account
    class: feedback
unmapped: refuse
"""
POLICIES = """
policies:
  content:
    class: content
    promise: {live: 40 days}
    rules:
      - {when: {account: {in: zero}}, keep: 2 days}
      - {when: {flagged: true}, keep: 23 months, promise: {live: 2 years}}
      - {keep: 20 days, then: tombstone, grace: 5 days}
    schedule: "every 6 hours"
    limits: {max_records: 1000, max_percent: 95}
  feedback:
    class: feedback
    promise: {live: 40 days}
    rules: [{keep: 30 days}]
    schedule: "every 6 hours"
    limits: {max_records: 1000, max_percent: 95}
lists: {zero: [acct-zero]}
closure: {grace: none, deadline: 30 days, limits: {per_day: 500, max_percent: 95}}
floor: 1 hour
"""
SCHEMA = """
CREATE TABLE requests (id TEXT PRIMARY KEY, account TEXT, created TEXT, flagged INTEGER, payload TEXT, deleted TEXT);
CREATE TABLE feedback (id INTEGER PRIMARY KEY, account TEXT, created TEXT, rating INTEGER);
"""


@dataclass
class FakeClock:
    """A clock that a test sets."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Quiet:
    """Keeps what is said of progress."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def start(self, what: str, total: int | None) -> None:
        del what, total

    def advance(self, records: int) -> None:
        del records

    def note(self, text: str) -> None:
        self.notes.append(text)


class Proxy:
    """A connector that does as the real one does, but for what a test replaces."""

    def __init__(self, real: Connector) -> None:
        self.real = real
        self.orders: list[Order] = []

    def act(self, order: Order) -> Acted:
        self.orders.append(order)
        return self.real.act(order)

    def verify(self, order: Order) -> Verified:
        return self.real.verify(order)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class Timed(Proxy):
    """A store that tells the time of a test's clock: no test can set the clock of a real server."""

    def __init__(self, real: Connector, clock: FakeClock) -> None:
        super().__init__(real)
        self._clock = clock

    def now(self) -> datetime | None:
        return self._clock.at


def _file(root: Path) -> sqlite3.Connection:
    return sqlite3.connect(root / "app.db", isolation_level=None)


@dataclass
class Office:
    """The directory, its clock, and who wraps which connector, around what all connectors are wrapped in."""

    root: Path
    clock: FakeClock = field(default_factory=FakeClock)
    every: Callable[[Connector], Any] = lambda connector: connector
    wraps: dict[str, Callable[[Connector], Any]] = field(default_factory=dict)
    stop: Callable[[], bool] = lambda: False
    environ: dict[str, str] = field(default_factory=dict)
    mending: bool = False
    connect: Callable[[Path], Any] = _file

    @property
    def config(self) -> Path:
        return self.root / "config"

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.config / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    def _every(self, connector: Connector) -> Any:
        return self.every(connector)

    def _asked(self) -> bool:
        return self.stop()

    @contextmanager
    def open(self) -> Iterator[Context]:
        with open_context(
            self.config, self.environ, Quiet(), self._asked, mending=self.mending, clock=self.clock
        ) as ctx:
            wrapped: dict[str, Any] = {}

            def store(name: str) -> Connector:
                if name not in wrapped:
                    wrapped[name] = self.wraps.get(name, _as_it_is)(self._every(ctx.store(name)))
                found: Connector = wrapped[name]
                return found

            yield replace(ctx, store=store)

    @contextmanager
    def db(self) -> Iterator[Any]:
        """Connect to the application's database, each statement committed by itself."""
        with closing(self.connect(self.root)) as connection:
            yield connection

    def request(
        self, key: str, days: float, *, account: str | None = "acct-a", flagged: int | None = 0, payload: str = ""
    ) -> None:
        """Add a request that is so many days old, and write its payload where it names one."""
        row = (key, account, self.ago(days), flagged, payload or None, None)
        with self.db() as db:
            db.execute("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?)", row)
        if payload:
            self.blob(payload)

    def hide(self, key: str, days: float) -> None:
        """Hide a request as of so many days ago."""
        with self.db() as db:
            db.execute("UPDATE requests SET deleted = ? WHERE id = ?", (self.ago(days), key))

    def feedback(self, key: int, days: float, account: str | None = "acct-a") -> None:
        with self.db() as db:
            db.execute("INSERT INTO feedback VALUES (?, ?, ?, 5)", (key, account, self.ago(days)))

    def blob(self, name: str, days: float = 0) -> Path:
        path = self.root / "payloads" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"payload {name}", encoding="utf-8")
        when = (self.clock.at - timedelta(days=days)).timestamp()
        os.utime(path, (when, when))
        return path

    def ago(self, days: float) -> str:
        return (self.clock.at - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def rows(self, table: str = "requests") -> set[Any]:
        with self.db() as db:
            return {row[0] for row in db.execute(f"SELECT id FROM {table}")}

    def hidden(self) -> set[str]:
        with self.db() as db:
            return {row[0] for row in db.execute("SELECT id FROM requests WHERE deleted IS NOT NULL")}

    def blobs(self) -> set[str]:
        """Name the payloads in their usual place, hidden ones left out."""
        base = self.root / "payloads"
        found = {str(path.relative_to(base)) for path in base.rglob("*") if path.is_file()}
        return {name for name in found if not name.startswith(".quarantine")}

    def bundles(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_bytes()) for path in sorted((self.root / "receipts").glob("*.bundle.json"))]

    def key(self, name: str) -> Path:
        """Make an SSH key for somebody."""
        path = self.root / "ssh" / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            command = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path))
            subprocess.run(command, check=True, capture_output=True)
        return path

    def name_approvers(self, *names: str) -> None:
        lines = [f"{name} {self.key(name).with_suffix('.pub').read_text('ascii').rsplit(' ', 1)[0]}" for name in names]
        (self.config / "approvers").write_text("\n".join(lines) + "\n", "ascii")


def _as_it_is(connector: Connector) -> Connector:
    return connector


def make_office(root: Path, *, single_operator: bool = True) -> Office:
    """Make an instance whose stores are empty: a copy of one, which all tests of a process share, keys included."""
    office = Office(root)
    shutil.copytree(_begun(), root, dirs_exist_ok=True)
    if single_operator:
        office.edit("retentiond.yaml", "single_operator: false", "single_operator: true")
    return office


@cache
def _begun() -> Path:
    root = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, root)
    office = Office(root)
    initialise(office.config, state="..", clock=office.clock)
    (office.config / "datamap.yaml").write_text(DATAMAP, "utf-8")
    (office.config / "policies.yaml").write_text(POLICIES, "utf-8")
    # Tests let weeks pass between two runs, and none of these stores has a clock of its own.
    office.edit("retentiond.yaml", "plan_expires: 24 hours", "plan_expires: 24 hours\nclock_ahead: 1000 days")
    (root / "payloads").mkdir()
    with office.db() as db:
        db.execute("PRAGMA journal_mode = wal")
        db.executescript(SCHEMA)
    return root


def plan(ctx: Context, *policies: str) -> Planned:
    return make_plan(ctx, Request(policies=policies))


def carry(office: Office, *policies: str) -> Session:
    """Plan, approve as the single operator, and carry out what is due now."""
    with office.open() as ctx:
        planned = plan(ctx, *policies)
        assert planned.plan is not None
        approve(ctx, planned.plan.id, None)
        return apply_plan(ctx, planned.plan.id)


def outcomes(session: Session) -> dict[str, dict[str, int]]:
    """Add up what became of records, by dataset."""
    return {name: dict(counts) for carried in session.carried for name, counts in carried.outcomes().items()}


def log_entries(office: Office) -> str:
    """Read the text of the log's entries, of a log with fewer than 256."""
    parts = (office.root / "log" / "tile" / "entries" / "000.p").iterdir()
    newest = max(parts, key=lambda path: int(path.name))
    return newest.read_bytes().decode("utf-8", "replace")
