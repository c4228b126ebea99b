"""An instance of the program beside an application's database, and what is to be seen there after accounts left."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import boto3

from retentiond.bootstrap import initialise, open_context
from retentiond.domain.account import AccountState
from retentiond.domain.erasure import ErasureState, Person
from retentiond.domain.plan import RunState
from retentiond.engine.accounts import account_status, closure_of
from retentiond.engine.approvals import approve
from retentiond.engine.bundles import list_receipts
from retentiond.engine.checking import check
from retentiond.engine.closing import close_due, due_closures
from retentiond.engine.closures import close_account
from retentiond.engine.context import Context
from retentiond.engine.erasing import due_erasures, erase_due
from retentiond.engine.erasures import Asked, add_erasure, erasure_of
from retentiond.ports.stores import Finding
from retentiond.verify.verifier import verify
from tests.engine.office import FakeClock, Quiet
from tests.worlds.apps import App, Contents, PostgresApp, marker, owners, people_in, person

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
POLICIES = {
    "policies": {
        "content": {
            "class": "content",
            "rules": [{"keep": "90 days"}],
            "schedule": "every 6 hours",
            "limits": {"max_percent": 100},
        }
    },
    "closure": {"grace": "none", "deadline": "30 days", "limits": {"per_day": 500, "max_percent": 100}},
    "erasure": {"limits": {"per_day": 500, "max_percent": 100}},
}
Objects = dict[str, list[tuple[str, bytes]]]
Fill = Callable[[int], Mapping[str, list[dict[str, Any]]]]


def days_ago(days: float) -> datetime:
    """Return a time before the program's now."""
    return NOW - timedelta(days=days)


@dataclass(frozen=True)
class Shape:
    """A schema of an application, in its compact form.

    Attributes:
        schema: Its DDL.
        fill: The rows of one account by table, as it stands in SQL, in the order in which tables are filled.
        datasets: As a data map declares them; store and class are added.
        name: An account as the program's owners name it.
        engine: `postgresql` or `sqlite`.
        ignored: Patterns of tables that no dataset covers, on purpose.
        shared: Rows that belong to two accounts; they go with either.
        buckets: Buckets with versions, which are stores of their own name.
        objects: The objects of one account: key and body, by bucket; a key twice is two versions.
        unmapped: What `check` has to report that no dataset names.
    """

    title: str
    schema: str
    fill: Fill
    datasets: Mapping[str, Mapping[str, Any]]
    name: Callable[[int], str] = marker
    engine: str = "postgresql"
    ignored: tuple[str, ...] = ()
    shared: Callable[[int, int], Mapping[str, list[dict[str, Any]]]] = lambda _one, _other: {}
    after: str = ""
    unmapped: frozenset[str] = frozenset()
    buckets: tuple[str, ...] = ()
    objects: Callable[[int], Objects] = lambda _account: {}


@dataclass
class World:
    """One shape, filled for some accounts."""

    app: App
    shape: Shape
    accounts: int
    endpoint: str = ""
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))

    @property
    def config(self) -> Path:
        return self.app.root / "config"

    @classmethod
    def made(cls, app: App, shape: Shape, accounts: int, endpoint: str = "") -> World:
        """Make and fill everything; `endpoint` is of an S3 server, where the shape has buckets."""
        made = cls(app, shape, accounts, endpoint)
        made.fill_buckets()
        app.run(shape.schema)
        for table, rows in made._rows().items():
            app.insert(table, rows)
        if shape.after:
            app.run(shape.after)
        if isinstance(app, PostgresApp):
            app.grant()
        made.configure()
        return made

    def _rows(self) -> dict[str, list[dict[str, Any]]]:
        rows: dict[str, list[dict[str, Any]]] = {}
        parts = [self.shape.fill(account) for account in range(self.accounts)]
        parts += [self.shape.shared(one, one + 1) for one in range(0, self.accounts - 1, 2)]
        for part in parts:
            for table, some in part.items():
                rows.setdefault(table, []).extend(some)
        return rows

    def s3(self) -> Any:
        return client_of(self.endpoint)

    def fill_buckets(self) -> None:
        for bucket in self.shape.buckets:
            self.s3().create_bucket(Bucket=bucket)
            self.s3().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        objects = (each for account in range(self.accounts) for each in self.shape.objects(account).items())
        for bucket, bodies in objects:
            client = client_of(self.endpoint)
            for key, body in bodies:
                client.put_object(Bucket=bucket, Key=key, Body=body)

    def contents(self) -> Contents:
        """Return every row, and every version of every object, of all stores."""
        return {**self.app.contents(), **{bucket: self._versions(bucket) for bucket in self.shape.buckets}}

    def differences(self, expected: Contents) -> list[str]:
        """Say what is there too much, and what is missing."""
        found, said = self.contents(), []
        for table in expected.keys() | found.keys():
            more = found.get(table, Counter()) - expected.get(table, Counter())
            less = expected.get(table, Counter()) - found.get(table, Counter())
            said += [f"left behind in {table}: {line!r} x{count}" for line, count in more.items()]
            said += [f"taken from {table}: {line!r} x{count}" for line, count in less.items()]
        return sorted(said)

    def _versions(self, bucket: str) -> Counter[bytes]:
        pages = self.s3().get_paginator("list_object_versions").paginate(Bucket=bucket)
        kinds = ("Versions", "DeleteMarkers")
        found = [each for page in pages for kind in kinds for each in page.get(kind, ())]
        return Counter(f"{each['Key']} {each['VersionId']} {each.get('ETag')}".encode() for each in found)

    def configure(self) -> None:
        initialise(self.config, state="..", clock=self.clock)
        path = self.config / "retentiond.yaml"
        path.write_text(path.read_text("utf-8").replace("single_operator: false", "single_operator: true"), "utf-8")
        self.declare()

    def declare(self) -> None:
        """Write data map and policies: JSON is YAML."""
        datasets = {name: {"store": "app", "class": "content", **each} for name, each in self.shape.datasets.items()}
        ignore = [{"store": "app", "pattern": each, "reason": "nobody's data"} for each in self.shape.ignored]
        stores = {bucket: {"kind": "s3", "bucket": bucket, "endpoint": self.endpoint} for bucket in self.shape.buckets}
        stores = {name: {**each, "region": "us-east-1", "backups": "none"} for name, each in stores.items()}
        datamap = {
            "stores": {"app": self.app.store(), **stores},
            "datasets": datasets,
            "ignore": ignore,
            "unmapped": "refuse",
        }
        (self.config / "datamap.yaml").write_text(json.dumps(datamap), "utf-8")
        (self.config / "policies.yaml").write_text(json.dumps(POLICIES), "utf-8")

    @contextmanager
    def open(self) -> Iterator[Context]:
        with open_context(self.config, {}, Quiet(), lambda: False, clock=self.clock) as ctx:
            yield ctx

    def findings(self) -> tuple[Finding, ...]:
        with self.open() as ctx:
            return check(ctx).findings

    def close(self, *accounts: int) -> dict[int, AccountState]:
        """Close accounts, as their customers ask for it, and say how far that went."""
        with self.open() as ctx:
            for account in accounts:
                close_account(ctx, self.shape.name(account), "contract ended", None)
        return self.go_on(*accounts)

    def go_on(self, *accounts: int) -> dict[int, AccountState]:
        """Do what is due of closures that were asked for before, and say how far that went."""
        with self.open() as ctx:
            with ctx.ledger.acting():
                close_due(ctx, due_closures(ctx))
            with ctx.ledger.begin() as tx:
                rows = {account: closure_of(ctx, tx, self.shape.name(account)) for account in accounts}
            return {account: row.state for account, row in rows.items() if row is not None}

    def erase(self, *people: tuple[int, int]) -> list[ErasureState]:
        """Take in requests of single users of accounts, and say how far these went."""
        named = [Person(self.shape.name(account), person(account, user)) for account, user in people]
        with self.open() as ctx:
            rows = [add_erasure(ctx, Asked(each, "gdpr", None, "asked for", "seen"), None) for each in named]
            with ctx.ledger.acting():
                erase_due(ctx, due_erasures(ctx))
            with ctx.ledger.begin() as tx:
                waiting = [plan.id for plan in tx.plans.in_state(RunState.WAITING)]
            for plan in waiting:  # the first of datasets that nobody has approved yet
                approve(ctx, plan, None)
            with ctx.ledger.acting():
                erase_due(ctx, due_erasures(ctx))
            return [erasure_of(ctx, row.id).state for row in rows]

    def receipts(self) -> list[Path]:
        """Return the bundles of all receipts."""
        with self.open() as ctx:
            return [Path(row.file) for row in list_receipts(ctx)]

    def verified(self) -> list[bool]:
        """Verify each receipt as whoever has it and the keys would."""
        keys = (self.app.root / "log/keys/log.vkey", self.app.root / "log/keys/issuer.pem")
        pinned = [path.read_bytes() for path in keys]
        return [verify(path.read_bytes(), pinned, log=str(self.app.root / "log")).valid for path in self.receipts()]

    def remaining(self, account: int) -> Mapping[str, int | None]:
        with self.open() as ctx:
            return dict(account_status(ctx, self.shape.name(account)).remaining)


def without(before: Contents, gone: Iterable[int], people: Iterable[tuple[int, int]] = ()) -> Contents:
    """Return what is left of everything when accounts and people have left, and nobody else's row was touched."""
    left, erased = frozenset(gone), frozenset(people)
    return {
        table: Counter(
            {line: count for line, count in lines.items() if not (owners(line) & left or people_in(line) & erased)}
        )
        for table, lines in before.items()
    }


@cache
def client_of(endpoint: str) -> Any:
    """Return a client of an S3 server."""
    return boto3.client("s3", endpoint_url=endpoint)


def lines(counted: Counter[bytes]) -> int:
    """Return how many rows or versions there are."""
    return sum(counted.values())


def people_left(dump: bytes, gone: Iterable[int]) -> frozenset[int]:
    """Return the accounts that left and that a dump names."""
    return owners(dump) & frozenset(gone)
