"""A provider's data in all kinds of store, an instance of retentiond beside it, and what an outsider can see of both.

Nothing here uses retentiond but through its command line.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3

from tests.faults.keeping import Keeping, Row, Sqlite
from tests.servers import versioned
from tests.servers.forking import of_this_interpreter

ACCOUNTS = tuple(f"acct-{name}" for name in ("amber", "birch", "cedar", "delta", "elm", "fir", "gum"))
BUCKET = "fault-payloads"
_STORES = """stores:
  db: @store@
  disk: {kind: files, root: ../data/exports, backups: none}
"""
_BUCKET_STORE = """  bucket: {kind: s3, bucket: fault-payloads, region: us-east-1, backups: none}
"""
_DATASETS = """datasets:
  events:
    store: db
    table: events
    key: [id]
    clock: {column: created_at, earliest: 2020-01-01}
    account: account
    class: events
  requests:
    store: db
    table: requests
    key: [id]
    clock: {column: created_at, earliest: 2020-01-01}
    account: account
    class: requests
    tombstone: {column: deleted_at}
"""
_BLOBS = "    blobs: {column: payload, dataset: payloads}\n"
_EXPORTS = """  exports:
    store: disk
    prefix: ""
    key_pattern: "{account}/{date:%Y-%m-%d}-{name}.csv"
    clock: {pattern: date}
    account: {pattern: account}
    class: exports
"""
_PAYLOADS = """  payloads:
    store: bucket
    prefix: requests/
    key_pattern: "requests/{account}/{request_id}.json"
    class: requests
    clock: modified
    follows: requests
"""
POLICIES = """policies:
  events: {class: events, promise: {live: 60 days}, rules: [{keep: 40 days}], schedule: every 6 hours}
  requests:
    class: requests
    promise: {live: 40 days}
    rules: [{keep: 23 days, then: tombstone, grace: 5 days}]
    schedule: every 6 hours
  exports: {class: exports, promise: {live: 60 days}, rules: [{keep: 40 days}], schedule: every 6 hours}
closure: {grace: none, deadline: 30 days, limits: {per_day: 500, max_percent: 95}}
floor: 1 hour
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything: `due` and `kept` rows of `events`, files and bucket objects of either sort."""

    due: int
    kept: int
    requests: int = 300
    files: int = 200
    objects: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What is there at one moment, for an outsider: by dataset, each record's identity and its whole content."""

    events: dict[str, Row]
    requests: dict[str, Row]
    exports: dict[str, Row]
    payloads: dict[str, Row]

    def of(self, dataset: str) -> dict[str, Row]:
        found: dict[str, Row] = getattr(self, dataset)
        return found


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


@dataclass(slots=True)
class World:
    """One instance with its stores.

    Attributes:
        due: By dataset, what policy removes now, by the age that it was made with; identity to account.
        hide: The same of the requests that are only hidden now.
        secrets: Texts of rows that go, to be looked for in files.
    """

    root: Path
    endpoint: str
    keeping: Keeping
    bucket: versioned.Bucket | None = None  # what the tests' own server holds, where it serves the endpoint
    due: dict[str, dict[str, str]] = field(default_factory=dict)
    hide: dict[str, str] = field(default_factory=dict)
    secrets: set[bytes] = field(default_factory=set)

    @property
    def config(self) -> Path:
        return self.root / "config"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start retentiond as a person would, in a process group of its own."""
        return self._start(sys.executable, "-m", "retentiond", "--config", str(self.config), *arguments)

    def start_patched(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        """Start retentiond under a module of tests that arranges for an accident."""
        return self._start(sys.executable, "-m", module, "--config", str(self.config), *arguments)

    def run(self, *arguments: str) -> Ended:
        words = ("--config", str(self.config), *arguments)
        environ = {**os.environ, **self.environ}
        code, out, err = of_this_interpreter().call(words, cwd=Path.cwd(), environ=environ, seconds=600)
        return Ended(code, out.decode(), err.decode())

    def approved_plan(self) -> str:
        """Plan, approve, and return the plan's id."""
        planned = self.run("plan", "--json")
        assert planned.code in (0, 4), planned.err
        plan = str(planned.json()["plan"])
        if planned.code:
            approved = self.run("approve", plan, "--json")
            assert approved.code == 0, approved.err
        return plan

    def look(self) -> Seen:
        """Look at all stores, without disturbing what a killed process left behind."""
        rows = self.keeping.read()
        return Seen(rows["events"], rows["requests"], self._files(), self._objects())

    def _start(self, *command: str) -> subprocess.Popen[str]:
        environment = {**os.environ, **self.environ}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe,
            start_new_session=True,
        )  # fmt: skip

    def _files(self) -> dict[str, Row]:
        root = self.root / "data" / "exports"
        found = (path for path in root.rglob("*") if path.is_file())
        # A file that a killed process was about to remove stands aside, and is not gone.
        return {
            str(path.relative_to(root)).replace(".retentiond-leaving/", ""): (sha256(path.read_bytes()).hexdigest(),)
            for path in found
        }

    def leave(self, *accounts: str) -> None:
        """From now on everything of these accounts is due, and nothing else."""
        seen = self.look()
        owner: dict[str, Callable[[str, Row], str]] = {
            "events": lambda _, row: str(row[1]),
            "requests": lambda _, row: str(row[1]),
            "exports": lambda key, _: key.split("/")[0],
            "payloads": lambda key, _: key.split("/")[1],
        }
        self.hide = {}
        self.due = {
            dataset: {
                key: account
                for key, row in seen.of(dataset).items()
                if (account := owner[dataset](key, row)) in accounts
            }
            for dataset in self.due
        }

    @property
    def environ(self) -> dict[str, str]:
        """What the program finds in its environment besides what everything finds."""
        said = {"FAULTS_SAID": str(self.root / "said")}
        return {**said, **self.keeping.environ, **(_bucket_environ(self.endpoint) if self.endpoint else {})}

    def _objects(self) -> dict[str, Row]:
        if not self.endpoint:
            return {}
        if self.bucket is not None:
            stored = (each for versions in self.bucket.objects.values() for each in versions)
            return {
                f"{each.key.decode()}@{each.version}": ("marker" if each.body is None else each.etag,)
                for each in stored
            }
        pages = client(self.endpoint).get_paginator("list_object_versions").paginate(Bucket=BUCKET)
        found: dict[str, Row] = {}
        for page in pages:
            for entry in page.get("Versions", []):
                found[f"{entry['Key']}@{entry['VersionId']}"] = (entry["ETag"],)
            for entry in page.get("DeleteMarkers", []):
                found[f"{entry['Key']}@{entry['VersionId']}"] = ("marker",)
        return found


def _bucket_environ(endpoint: str) -> dict[str, str]:
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    return {**keys, "AWS_ENDPOINT_URL_S3": endpoint}


def client(endpoint: str) -> Any:
    return boto3.client("s3", endpoint_url=endpoint)


def end(process: subprocess.Popen[str], timeout: float = 600) -> Ended:
    """Wait for a command; it and its group are gone afterwards, whatever happens."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        kill(process)
        raise
    return Ended(process.returncode, out, err)


def kill(process: subprocess.Popen[str]) -> Ended:
    """Kill a command's process group as `kill -9` does."""
    os.killpg(process.pid, signal.SIGKILL)
    out, err = process.communicate()
    return Ended(process.returncode, out, err)


def make_world(
    root: Path,
    size: Size,
    *,
    seed: int,
    endpoint: str = "",
    keeping: Keeping | None = None,
    bucket: versioned.Bucket | None = None,
) -> World:
    """Make an instance and its stores, in files of SQLite unless told otherwise; the same for the same seed."""
    dice = random.Random(seed)
    world = World(root, endpoint if size.objects else "", keeping or Sqlite(root), bucket)
    world.due = {"events": {}, "requests": {}, "exports": {}, "payloads": {}}
    (root / "data").mkdir(parents=True)
    now = datetime.now(UTC)  # noqa: TID251 - the program that is watched lives in the same present
    world.keeping.create()
    _fill_events(world, size, dice, now)
    named = _fill_requests(world, size, dice, now)
    _fill_exports(world, size, dice, now)
    if world.endpoint:
        _fill_bucket(world, named)
    _configure(world)
    return world


def _secret(world: World, dice: random.Random, *, goes: bool) -> str:
    secret = f"secret-{dice.getrandbits(64):016x}"
    if goes:
        world.secrets.add(secret.encode())
    return secret


def _fill_events(world: World, size: Size, dice: random.Random, now: datetime) -> None:
    ids = list(range(1, size.due + size.kept + 1))
    going = set(dice.sample(ids, size.due))
    rows = []
    for number in ids:
        goes = number in going
        account = dice.choice(ACCOUNTS)
        days = dice.uniform(41, 400) if goes else dice.uniform(1, 39)
        rows.append((number, account, _text(now, days), _secret(world, dice, goes=goes)))
        if goes:
            world.due["events"][str(number)] = account
    world.keeping.insert("events", rows)


def _fill_requests(world: World, size: Size, dice: random.Random, now: datetime) -> dict[str, bool]:
    """Fill `requests`; return the payloads that its rows name, and whether each goes now."""
    named: dict[str, bool] = {}
    rows = []
    for number in range(size.requests):
        key, account = f"req-{number:05d}", dice.choice(ACCOUNTS)
        sort = dice.choice(("purge", "hide", "hidden", "young"))
        days = dice.uniform(1, 20) if sort == "young" else dice.uniform(31, 60)
        hidden = {"purge": dice.uniform(6, 20), "hidden": dice.uniform(1, 4)}.get(sort)
        payload = None
        if world.endpoint and sort in ("purge", "young") and len(named) < size.objects:
            payload = f"requests/{account}/{key}.json"
            named[payload] = sort == "purge"
        deleted = None if hidden is None else _text(now, hidden)
        secret = _secret(world, dice, goes=sort == "purge")
        rows.append((key, account, _text(now, days), secret, payload, deleted))
        if sort == "purge":
            world.due["requests"][key] = account
        elif sort == "hide":
            world.hide[key] = account
    world.keeping.insert("requests", rows)
    return named


def _fill_exports(world: World, size: Size, dice: random.Random, now: datetime) -> None:
    for number in range(size.files):
        account, goes = dice.choice(ACCOUNTS), number % 3 != 0
        day = now - timedelta(days=dice.randint(43, 300) if goes else dice.randint(1, 37))
        name = f"{account}/{day:%Y-%m-%d}-{number:04d}.csv"
        path = world.root / "data" / "exports" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"tokens\n{dice.random()}\n", encoding="utf-8")
        if goes:
            world.due["exports"][name] = account


def _fill_bucket(world: World, named: dict[str, bool]) -> None:
    if world.bucket is not None:
        for key, goes in named.items():
            version = world.bucket.put(key, body=key.encode())
            if goes:
                world.due["payloads"][f"{key}@{version}"] = key.split("/")[1]
        return
    bucket = client(world.endpoint)
    bucket.create_bucket(Bucket=BUCKET)
    bucket.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for number, (key, goes) in enumerate(named.items()):
        for _ in range(1 + (number % 5 == 0)):
            put = bucket.put_object(Bucket=BUCKET, Key=key, Body=f"{key} {number}".encode())
            if goes:
                world.due["payloads"][f"{key}@{put['VersionId']}"] = key.split("/")[1]


def _configure(world: World) -> None:
    made = world.run("init", *world.keeping.configure_ledger(world.config), str(world.config))
    assert made.code == 0, made.err
    bucket = bool(world.endpoint)
    datamap = (
        _STORES.replace("@store@", world.keeping.store)
        + _BUCKET_STORE * bucket
        + _DATASETS
        + _BLOBS * bucket
        + _EXPORTS
        + _PAYLOADS * bucket
    )
    (world.config / "datamap.yaml").write_text(datamap, encoding="utf-8")
    (world.config / "policies.yaml").write_text(POLICIES, encoding="utf-8")
    service = world.config / "retentiond.yaml"
    text = service.read_text(encoding="utf-8").replace("single_operator: false", "single_operator: true")
    service.write_text(text, encoding="utf-8")


def _text(now: datetime, days: float) -> str:
    return (now - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
