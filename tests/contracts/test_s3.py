from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retentiond.connectors.s3.connector import S3Connector, open_connector
from retentiond.connectors.s3.options import S3Options
from retentiond.domain.dataset import ClockFormat, ClockSource, Dataset, TombstoneTarget
from retentiond.domain.record import Key
from retentiond.testing.contract import (
    AttributeContract,
    ChangeContract,
    ConnectorContract,
    DenialContract,
    DoubtContract,
    FailureContract,
    TombstoneContract,
)
from retentiond.testing.contract_undo import DeniedRestoreContract, FailingRestoreContract, RestoreContract
from retentiond.testing.harness import Entry
from tests.connectors.s3.bucket_behind import BUCKET, Behind
from tests.connectors.s3.proxy import Forward, Proxy, Reply, Request, error, honest, proxy_to
from tests.servers import versioned
from tests.servers.rclone import Rclone, rclone_server
from tests.servers.versioned import Server, versioned_server

DATASET = Dataset(
    name="payloads",
    store="payload-store",
    store_kind="s3",
    data_class="request-content",
    clock=ClockSource(ClockFormat.MODIFIED),
    prefix="data/",
    key_pattern="data/{account}/{name}",
    account_field="account",
    tombstone=TombstoneTarget(marker=True),
)
LONGEST_KEY_BYTES = 1_024
LONGEST_NAME_BYTES = 255
DENY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "s3:Delete*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
        ],
    }
)


class S3Harness:
    """A bucket on a server of this process, filled and counted without requests."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.behind = Behind()
        self.behind.make()
        self.dataset = DATASET
        self.now = datetime.now(UTC)  # noqa: TID251 - the server's clock is the machine's

    def connect(self) -> S3Connector:
        return open_connector(S3Options(bucket=BUCKET, endpoint=self.proxy.url), page=7, attempts=1)

    def connect_to_nothing(self) -> S3Connector:
        return open_connector(S3Options(bucket="not-there", endpoint=self.proxy.url), attempts=1)

    def accepts(self, name: str) -> bool:
        # This server's listings break on what XML cannot carry; tests/connectors/s3 has such keys without it.
        speakable = all(char >= " " and char not in "\x7f\x85\ufffe\uffff" for char in name)
        return speakable and "/" not in name and len(f"data/account-1/{name}".encode()) <= LONGEST_KEY_BYTES

    def put(self, entry: Entry) -> Key:
        key = f"data/{entry.account}/{entry.name}"
        self.behind.put(key, timedelta(days=entry.age_days or 0))
        return (key,)

    def spell(self, key: Key) -> str:
        return str(key[0])

    def left(self) -> frozenset[Key]:
        return frozenset((key,) for key in self.behind.with_data())

    def visible(self) -> frozenset[Key]:
        return frozenset((key,) for key in self.behind.visible())

    def take_away(self, key: Key) -> None:
        for version in self.behind.versions(str(key[0])):
            self.behind.erase(str(key[0]), version)

    def take_away_hidden(self, key: Key) -> None:
        self.take_away(key)

    def reuse(self, key: Key) -> None:
        self.behind.put(str(key[0]), body=b"anew")

    def is_young(self, key: Key) -> bool:
        return self.behind.read(str(key[0])) == b"anew"

    def add_stray(self) -> str:
        self.behind.put("stray/one")
        return "stray/"

    @contextmanager
    def failing(self) -> Iterator[None]:
        def fail(_request: Request, _forward: Forward) -> Reply | None:
            return error(500, "InternalError")

        self.proxy.script = fail
        yield
        self.proxy.script = honest

    @contextmanager
    def denying(self) -> Iterator[None]:
        self.behind.deny(DENY)
        yield
        self.behind.deny(None)


class _AllContracts(
    ConnectorContract,
    TombstoneContract,
    RestoreContract,
    FailureContract,
    FailingRestoreContract,
    DenialContract,
    DeniedRestoreContract,
):
    """Everything that is asked of a bucket that keeps versions."""


class TestS3(_AllContracts):
    @pytest.fixture
    def harness(self, moto_s3: str) -> Iterator[S3Harness]:
        with proxy_to(moto_s3) as proxy:
            yield S3Harness(proxy)


class VersionedHarness:
    """A bucket that keeps versions, on a server of the tests' own that takes keys of any kind."""

    dataset = DATASET

    def __init__(self, server: Server) -> None:
        self.server = server
        self.now = datetime.now(UTC)  # noqa: TID251 - the server's clock is the machine's

    def connect(self) -> S3Connector:
        connector = open_connector(S3Options(bucket=BUCKET, endpoint=self.server.url), page=7, attempts=1)
        connector._pause = lambda _seconds: None
        return connector

    def connect_to_nothing(self) -> S3Connector:
        return open_connector(S3Options(bucket=BUCKET, endpoint="http://127.0.0.1:9"), attempts=1)

    def accepts(self, name: str) -> bool:
        return "/" not in name and len(f"data/account-1/{name}".encode()) <= LONGEST_KEY_BYTES

    def put(self, entry: Entry) -> Key:
        key = f"data/{entry.account}/{entry.name}"
        self.server.bucket.put(key, timedelta(days=entry.age_days or 0))
        return (key,)

    def spell(self, key: Key) -> str:
        return str(key[0])

    def left(self) -> frozenset[Key]:
        return frozenset((key.decode(),) for key in self.server.bucket.with_data() if not key.startswith(b"stray/"))

    def visible(self) -> frozenset[Key]:
        objects = self.server.bucket.objects
        return frozenset((key.decode(),) for key, versions in objects.items() if versions[0].body is not None)

    def take_away(self, key: Key) -> None:
        del self.server.bucket.objects[str(key[0]).encode()]

    def take_away_hidden(self, key: Key) -> None:
        self.take_away(key)

    def reuse(self, key: Key) -> None:
        self.server.bucket.put(str(key[0]), timedelta(days=5), body=b"anew")

    def is_young(self, key: Key) -> bool:
        return self.server.bucket.objects[str(key[0]).encode()][0].body == b"anew"

    def add_stray(self) -> str:
        self.server.bucket.put("stray/one")
        return "stray/"

    @contextmanager
    def failing(self) -> Iterator[None]:
        self.server.script = lambda _request, _forward: versioned.error(500, "InternalError")
        yield
        self.server.script = lambda request, forward: forward(request)

    @contextmanager
    def denying(self) -> Iterator[None]:
        self.server.script = lambda r, forward: versioned.error(403, "AccessDenied") if r.deletes else forward(r)
        yield
        self.server.script = lambda request, forward: forward(request)


class TestS3OfItsOwnServer(_AllContracts):
    @pytest.fixture
    def harness(self) -> Iterator[VersionedHarness]:
        with versioned_server() as server:
            yield VersionedHarness(server)


class TaggedHarness(VersionedHarness):
    """Objects whose clock, owner and attribute stand in their tags."""

    dataset = replace(
        DATASET,
        clock=ClockSource(field="tag:created"),
        key_pattern="",
        account_field="tag:owner",
        attributes={"flagged": "tag:flagged"},
    )

    def put(self, entry: Entry) -> Key:
        key = f"data/{entry.account}/{entry.name}"
        tags = {"owner": entry.account, "flagged": None if entry.flagged is None else str(entry.flagged).lower()}
        if entry.age_days is not None:
            tags["created"] = (self.now - timedelta(days=entry.age_days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        written = {name: value for name, value in tags.items() if value is not None}
        # A tombstone counts from the upload at the earliest, so the upload is old too.
        self.server.bucket.put(key, timedelta(days=max(entry.age_days or 0, 0)), tags=written)
        return (key,)


class TestS3WithTags(ConnectorContract, TombstoneContract, RestoreContract, DoubtContract, AttributeContract):
    @pytest.fixture
    def harness(self) -> Iterator[TaggedHarness]:
        with versioned_server() as server:
            yield TaggedHarness(server)


class RcloneHarness:
    """A directory that rclone serves as a bucket without versions."""

    dataset = replace(DATASET, tombstone=None, write_once=True)

    def __init__(self, rclone: Rclone) -> None:
        self.rclone = rclone
        self.now = datetime.now(UTC)  # noqa: TID251 - the server's clock is the machine's

    def connect(self) -> S3Connector:
        return open_connector(S3Options(bucket=BUCKET, endpoint=self.rclone.url), page=7, attempts=1)

    def connect_to_nothing(self) -> S3Connector:
        return open_connector(S3Options(bucket="not-there", endpoint=self.rclone.url), attempts=1)

    def accepts(self, name: str) -> bool:
        # This server renames what a file system cannot hold.
        speakable = all(char >= " " and char not in "\x7f\x85\ufffe\uffff" for char in name)
        return speakable and "/" not in name and name not in (".", "..") and len(name.encode()) <= LONGEST_NAME_BYTES

    def put(self, entry: Entry) -> Key:
        key = f"data/{entry.account}/{entry.name}"
        self.rclone.put(key, timedelta(days=entry.age_days or 0))
        return (key,)

    def renew(self, key: Key) -> None:
        self.rclone.put(str(key[0]), timedelta(days=5))

    def spell(self, key: Key) -> str:
        return str(key[0])

    def left(self) -> frozenset[Key]:
        return frozenset((key,) for key in self.rclone.named() if not key.startswith("stray/"))

    def take_away(self, key: Key) -> None:
        (self.rclone.root / str(key[0])).unlink()

    def add_stray(self) -> str:
        self.rclone.put("stray/one")
        return "stray/"


class TestS3WithoutVersions(ConnectorContract, ChangeContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[RcloneHarness]:
        with rclone_server(tmp_path) as rclone:
            yield RcloneHarness(rclone)
