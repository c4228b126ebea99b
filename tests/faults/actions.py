"""A small instance in which one run redacts, pseudonymises, hides and purges; killed, it ends in what is true."""

from __future__ import annotations

import base64
import json
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from psycopg import sql

from retentiond.clock import SystemClock
from retentiond.engine import drafting
from retentiond.engine.approvals import approve
from tests.engine.office import DATAMAP, Office, make_office, plan
from tests.engine.postgres_office import on_postgresql
from tests.faults.leftovers import left_over
from tests.faults.moments import run_in_fork
from tests.faults.overlapping import BATCH_RECORDS
from tests.faults.programme import Choice, Figures
from tests.servers.postgres import Server

ACCOUNTS = ("acct-a", "acct-b'; --", "acct-c\u202e")
SECRET = "the patient's name is Ada"
EACH = 6
_DATABASE = "actions"
_PSEUDONYM = re.compile(r"pseudonym-[0-9a-f]{32}")
_POLICIES = """
policies:
  content:
    class: content
    promise: {live: 40 days}
    rules: [{keep: 20 days, then: tombstone, grace: 5 days}]
    content: [{redact: [messages, response], after: 3 days, promise: {live: 4 days}}]
    limits: {max_records: 1000, max_percent: 100}
  feedback:
    class: feedback
    rules: [{keep: 13 months}]
    content: [{pseudonymise: [account], after: 30 days, promise: {live: 31 days}}]
    limits: {max_records: 1000, max_percent: 100}
floor: 1 hour
"""
_REQUESTS = "id, account, created, flagged, messages, response, deleted"
_FEEDBACK = "id, account, created, rating"
_Rows = dict[str, dict[str, tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Actions:
    """The instance with its approved plan, to be copied for each accident.

    Attributes:
        server: Where its tables lie; None for a file.
    """

    office: Office
    server: Server | None
    before: _Rows

    def copy(self, root: Path) -> Actions:
        """Return the same in another place."""
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.office.root, root)
        office = Office(root, self.office.clock)
        if self.server is None:
            return replace(self, office=office)
        with self.server.connect() as connection:
            for statement in ("DROP DATABASE IF EXISTS {copy} WITH (FORCE)", "CREATE DATABASE {copy} TEMPLATE {this}"):
                names = {"copy": sql.Identifier(f"{_DATABASE}_copy"), "this": sql.Identifier(_DATABASE)}
                connection.execute(sql.SQL(statement).format(**names))
        for name in ("app.dsn", "reader.dsn"):
            text = (root / name).read_text("utf-8")
            assert text.count(_DATABASE) == 1
            (root / name).write_text(text.replace(_DATABASE, f"{_DATABASE}_copy"), "utf-8")
        return replace(self, office=office)

    def begin(self, last: int, prepare: Callable[[], None]) -> tuple[int, str]:
        """Run, killed at a moment; 0 for none."""
        return run_in_fork(self.office.config, {}, ("run",), last, prepare)

    def rows(self) -> _Rows:
        """Read both tables with a plain driver."""
        if self.server is None:
            with self.office.db() as db:
                return _read(db)
        copied = "_copy" if self.office.root.name == "copy" else ""
        with self.server.connect(_DATABASE + copied) as db:
            return _read(db)

    def wrong(self) -> Iterator[str]:
        """Say what happened to rows that was not planned."""
        now = self.rows()
        for table, before in self.before.items():
            for key, row in before.items():
                allowed = _ALLOWED[key.split("-")[0]](row, now[table].get(key))
                if now[table].get(key) != row and not allowed:
                    yield f"I1 {table} {key} became {now[table].get(key)}"

    def undone(self) -> Iterator[str]:
        """Say what did not happen, and what the receipt says of it that is not so."""
        now = self.rows()
        for table, before in self.before.items():
            yield from (
                f"I3 {key} was left" for key, row in before.items()
                if not key.startswith("young") and now[table].get(key) == row
            )  # fmt: skip
        names = {(before[1], now["feedback"][key][1]) for key, before in self.before["feedback"].items()
                 if key.startswith("owned")}  # fmt: skip
        if len(names) != len(ACCOUNTS) or len({name for _, name in names}) != len(ACCOUNTS):
            yield f"I3 of so many accounts came so many pseudonyms: {names}"
        bundles = self.office.bundles()
        if len(bundles) != 1:
            yield f"I3 there are {len(bundles)} receipts"
            return
        said: Counter[str] = Counter()
        for part in json.loads(base64.b64decode(bundles[0]["annex"]))["parts"]:
            done = {"purge": "purged", "tombstone": "tombstoned", "redact": "redacted"}
            name = done.get(part["action"], "pseudonymised")
            said[part["action"]] += part["outcomes"][name] + part["outcomes"]["alreadyGone"]
            if sum(part["outcomes"].values()) != part["due"]:
                yield f"I3 a part does not add up: {part}"
        if set(said.values()) != {EACH} or len(said) != len(_ALLOWED) - 1:
            yield f"I3 the receipt says {said}"


def make_actions(root: Path, server: Server | None) -> Actions:
    """Make it."""
    office = make_office(root)
    office.clock.at = SystemClock().now()
    datamap = DATAMAP.replace("    blobs: {column: payload, dataset: payloads}\n", "")
    datamap = re.sub(r"  payloads:\n(?:    .*\n)+", "", datamap).replace("unmapped: refuse", "unmapped: report")
    (office.config / "datamap.yaml").write_text(datamap, "utf-8")
    (office.config / "policies.yaml").write_text(_POLICIES, "utf-8")
    if server is not None:
        with server.connect() as connection:
            connection.execute(f"CREATE DATABASE {_DATABASE}")
        on_postgresql(office, server, _DATABASE)
    _fill(office, is_text=server is not None)
    with office.open() as ctx, patch.object(drafting, "BATCH_RECORDS", BATCH_RECORDS):
        planned = plan(ctx).plan
        assert planned is not None
        approve(ctx, planned.id, None)
    made = Actions(office, server, {})
    return replace(made, before=made.rows())


def _fill(office: Office, *, is_text: bool) -> None:
    with office.db() as db:
        for name in ("messages", "response"):
            db.execute(f"ALTER TABLE requests ADD {name} TEXT")
        if is_text:
            db.execute("ALTER TABLE feedback ALTER id TYPE text")
        else:
            db.execute("DROP TABLE feedback")
            db.execute(f"CREATE TABLE feedback ({_FEEDBACK.replace('id,', 'id TEXT PRIMARY KEY,')})")
        for number in range(EACH):
            account = ACCOUNTS[number % len(ACCOUNTS)]
            for sort, days, hidden in (("young", 1, 0), ("content", 5 + number, 0), ("hide", 21, 0), ("purge", 30, 6)):
                texts = (f"{SECRET} {number}", "fine") if sort in ("young", "content") else (None, None)
                deleted = office.ago(hidden) if hidden else None
                values = (f"{sort}-{number}", account, office.ago(days), 0, *texts, deleted)
                db.execute(f"INSERT INTO requests ({_REQUESTS}) VALUES ({', '.join('?' * 7)})", values)
            for sort, days in (("young", 20), ("owned", 40)):
                values = (f"{sort}-{number}", account, office.ago(days), number)
                db.execute(f"INSERT INTO feedback ({_FEEDBACK}) VALUES (?, ?, ?, ?)", values)


def _read(db: Any) -> _Rows:
    return {
        table: {str(row[0]): tuple(row) for row in db.execute(f"SELECT {names} FROM {table}").fetchall()}
        for table, names in (("requests", _REQUESTS), ("feedback", _FEEDBACK))
    }


_ALLOWED: dict[str, Callable[[tuple[Any, ...], tuple[Any, ...] | None], bool]] = {
    "young": lambda _row, _now: False,
    "content": lambda row, now: now == (*row[:4], None, None, row[6]),
    "hide": lambda row, now: now is not None and now[:6] == row[:6],
    "purge": lambda _, now: now is None,
    "owned": lambda row, now: now is not None and bool(_PSEUDONYM.fullmatch(now[1])) and now[2:] == row[2:],
}


def kill_at_each(scene: Actions, root: Path, choice: Choice, prepare: Callable[[], None]) -> Figures:
    """Kill at each chosen moment of the run, go on with it, and judge."""
    figures = Figures()
    copy = scene.copy(root)
    code, told = copy.begin(0, prepare)
    figures.violations += [] if code == 0 else [f"an undisturbed one ended with {code}"]
    figures.violations += [f"undisturbed: {each}" for each in (*copy.wrong(), *copy.undone())]
    for line in told.splitlines():
        kind, _, count = line.rpartition(": ")
        figures.found[kind] += int(count)
    for last in choice(figures.found.total()):
        copy = scene.copy(root)
        code, told = copy.begin(last, prepare)
        figures.codes[code] += 1
        figures.killed += code == -signal.SIGKILL
        wrong = list(copy.wrong())
        code, _ = copy.begin(0, prepare)
        wrong += [] if code == 0 else [f"it went on with {code}"]
        wrong += [*copy.wrong(), *copy.undone(), *left_over(copy.office.root)]
        figures.violations += [f"{_DATABASE}, killed at {last}, {told}: {each}" for each in wrong]
    return figures
