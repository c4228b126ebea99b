"""What the benchmarks share: a table of API requests, an instance that governs it, and the whole path over it, timed.

As a program (`python tests/benchmarks/workload.py CONFIG`) it plans, approves and applies in a process of its own, and
prints one JSON document: seconds of each phase, records, peak memory.
"""

from __future__ import annotations

import gc
import json
import os
import re
import resource
import sqlite3
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from retentiond.bootstrap import initialise, open_context
from retentiond.connectors.postgresql.store import PostgresqlStore
from retentiond.connectors.sqlite.store import SqliteStore
from retentiond.engine import approvals, batches, drafting, planning, receipts, residue, running, scanning
from retentiond.engine.planning import Request
from retentiond.engine.preparing import Preparing
from retentiond.ports.rows import PlanRow
from retentiond.telemetry import configure

KEEP_DAYS = 30
DAY_SECONDS = 86_400
PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)

_TABLE = """
CREATE TABLE api_requests (
    request_id {key} PRIMARY KEY,
    account_id TEXT NOT NULL,
    created_at {clock} NOT NULL,
    model TEXT NOT NULL,
    prompt TEXT,
    response TEXT,
    tokens INTEGER
);
"""
_INDEX = "CREATE INDEX api_requests_created_at ON api_requests (created_at)"
# In the order of their clocks, as an application writes them: the oldest 60 days ago, or `days`; 300 to 700 bytes each.
_ROWS = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :rows)
INSERT INTO api_requests
SELECT {key}, 'acct-' || ((random() & 0x7fffffff) % :accounts), {clock}, 'large-2',
       hex(randomblob(60 + (random() & 0xff) % 90)), hex(randomblob(60 + (random() & 0xff) % 90)), i % 4000
FROM n
"""
_AGE = "unixepoch() - CAST(:days * 86400 AS INTEGER) + CAST((:days * 86400 - 7200) * i / :rows AS INTEGER)"
_CLOCKS = {
    "text": ("TEXT", f"strftime('%Y-%m-%dT%H:%M:%SZ', {_AGE}, 'unixepoch')"),
    "epoch": ("INTEGER", _AGE),
}
_KEYS = {"text": ("TEXT", "'req-' || lower(hex(randomblob(12)))"), "int": ("INTEGER", "i + 1")}

_DATAMAP = """
stores:
  requests-db: {{kind: sqlite, path: {path}, backups: none}}
datasets:
  requests:
    store: requests-db
    table: api_requests
    key: [request_id]
    clock: {{column: created_at, earliest: 2020-01-01{format}}}
    account: account_id
    class: request-content
unmapped: refuse
"""
_POLICIES = """
policies:
  request-content:
    class: request-content
    promise: {{live: 40 days}}
    rules:
      - {{keep: {keep} days}}
    schedule: "every 6 hours"
closure: {{grace: 14 days, deadline: 30 days}}
floor: 1 hour
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a table is like: how many rows, over how many days up to now, of how many accounts; `text` or other columns.

    With twice KEEP_DAYS half of the rows are due.
    """

    rows: int
    accounts: int = 1_000
    days: float = 2 * KEEP_DAYS
    key: str = "text"
    clock: str = "text"


@dataclass(slots=True)
class Figures:
    """What the whole path took."""

    plan: float = 0.0
    approve: float = 0.0
    apply: float = 0.0
    due: int = 0
    purged: int = 0
    beside_bytes: int = 0
    peak_bytes: int = 0
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.plan + self.approve + self.apply


def make_table(path: Path, shape: Shape) -> None:
    """Write a database in WAL mode, as an application leaves it: checkpointed and closed."""
    key, clock = _KEYS[shape.key], _CLOCKS[shape.clock]
    db = sqlite3.connect(path)
    for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -262144"):
        db.execute(f"PRAGMA {setting}")
    db.executescript(_TABLE.format(key=key[0], clock=clock[0]))
    values = {"rows": shape.rows, "accounts": shape.accounts, "days": shape.days}
    with db:
        db.execute(_ROWS.format(key=key[1], clock=clock[1]), values)
        db.execute(_INDEX)
    db.execute("PRAGMA journal_mode = WAL")
    db.close()


def make_instance(directory: Path, database: Path, shape: Shape) -> Path:
    """Make an instance of retentiond that governs the table, one person in charge; return its configuration."""
    config = directory / "config"
    initialise(config)
    form = ", format: unix-seconds" if shape.clock == "epoch" else ""
    (config / "datamap.yaml").write_text(_DATAMAP.format(path=json.dumps(str(database)), format=form), "utf-8")
    (config / "policies.yaml").write_text(_POLICIES.format(keep=KEEP_DAYS), "utf-8")
    settings = config / "retentiond.yaml"
    text = settings.read_text("utf-8").replace("single_operator: false", "single_operator: true")
    settings.write_text(text, "utf-8")
    return config


def remaining(database: Path) -> int:
    """Count what is left in the table, without retentiond."""
    db = sqlite3.connect(database)
    (count,) = db.execute("SELECT COUNT(*) FROM api_requests").fetchone()
    db.close()
    return int(count)


def run_path(config: Path) -> Figures:
    """Run the whole path in a fresh process."""
    done = subprocess.run([sys.executable, __file__, str(config)], check=True, capture_output=True, text=True)
    return Figures(**json.loads(done.stdout))


class Stopwatch:
    """Adds up the seconds that functions take, by phase; inside a phase only the second look is one of its own."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inside = ""

    def watch(self, owner: object, name: str, phase: str) -> None:
        """Replace a function, or a method of a class, by one that is timed."""
        setattr(owner, name, self._timed(getattr(owner, name), phase))

    def watch_iterator(self, owner: object, name: str, phase: str) -> None:
        """The same of a function that returns an iterator: each step of it is timed."""
        function = getattr(owner, name)

        def wrapped(*arguments: Any) -> Iterator[Any]:
            step = self._timed(iter(function(*arguments)).__next__, phase)
            while True:
                try:
                    item = step()
                except StopIteration:
                    return
                yield item

        setattr(owner, name, wrapped)

    def _timed(self, function: Callable[..., Any], phase: str) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            outer = self._inside
            if threading.current_thread() is not threading.main_thread():  # it works beside some other phase
                return function(*arguments, **named)
            if outer and phase != "residue":
                return function(*arguments, **named)
            self._inside, started = phase, perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                took = perf_counter() - started
                self._inside = outer
                self.seconds[phase] += took
                if outer:
                    self.seconds[outer] -= took

        return wrapped


def _watch_all(watch: Stopwatch) -> None:
    for store in (SqliteStore, PostgresqlStore):
        watch.watch(store, "act", "act")
        watch.watch(store, "verify", "verify")
        watch.watch(store, "settle", "settle")
    watch.watch(drafting.Draft, "write", "draft")
    watch.watch(batches, "_claim", "claim")
    watch.watch(batches, "_finish", "finish")
    watch.watch_iterator(scanning, "ahead", "scan")  # how long a window is waited for
    watch.watch_iterator(residue, "asked_ahead", "residue")
    watch.watch(receipts, "_write_manifest", "receipt")
    watch.watch(receipts, "_finish_bundle", "receipt")


class Silent:
    """Hears of progress, and says nothing."""

    def start(self, what: str, total: int | None) -> None: ...

    def advance(self, records: int) -> None: ...

    def note(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")


def _watch_beside(figures: Figures) -> None:
    """Note the most memory that the process beside the run held: it tells the peak for as long as it lives."""

    def watch(process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            with suppress(OSError):  # it has just ended
                figures.beside_bytes = max(figures.beside_bytes, peak_bytes(process.pid))
            sleep(0.02)

    def begun(self: Preparing, key: bytes, directory: Path) -> None:
        begin(self, key, directory)
        threading.Thread(target=watch, args=(self._process,), daemon=True).start()

    begin = Preparing.__init__
    setattr(Preparing, "__init__", begun)  # noqa: B010 - mypy has a word on it


def peak_bytes(pid: int | str = "self") -> int:
    """Return the most memory that a process ever held (resident set); of another one only on Linux while it lives."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():  # getrusage may tell the peak of the process that started this one
        found = PEAK.search(status.read_text("ascii"))
        if found:
            return int(found[1]) * 1024
    if pid != "self":  # it has just ended
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _path(config: Path) -> Figures:
    configure(sys.stderr, verbose=False)
    watch, figures = Stopwatch(), Figures()
    _watch_all(watch)
    _watch_beside(figures)
    with open_context(config, os.environ, Silent(), lambda: False) as ctx:
        gc.freeze()  # as the command line does
        started = perf_counter()
        plan: PlanRow | None = planning.make_plan(ctx, Request()).plan
        figures.plan = perf_counter() - started
        if plan is None:
            sys.exit("nothing is due")
        started = perf_counter()
        missing = approvals.approve(ctx, plan.id, None)
        figures.approve = perf_counter() - started
        if missing:
            sys.exit("the plan needs another person")
        started = perf_counter()
        session = running.apply_plan(ctx, plan.id)
        figures.apply = perf_counter() - started
    figures.due = plan.records
    figures.purged = sum(outcomes["purged"] for outcomes in session.carried[0].outcomes().values())
    figures.peak_bytes = peak_bytes()
    figures.phases = dict(watch.seconds)
    return figures


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(_path(Path(sys.argv[1])))))
