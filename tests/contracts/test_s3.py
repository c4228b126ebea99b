from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from retentiond.connectors.s3.connector import S3Connector, open_connector
from retentiond.connectors.s3.options import S3Options
from retentiond.domain.dataset import ClockFormat, ClockSource, Dataset, TombstoneTarget
from retentiond.domain.record import Key
from retentiond.testing.contract import ConnectorContract, DenialContract, FailureContract, TombstoneContract
from retentiond.testing.harness import Entry
from tests.connectors.s3.bucket_behind import BUCKET, Behind
from tests.connectors.s3.proxy import Forward, Proxy, Reply, Request, error, honest, proxy_to

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


class TestS3(ConnectorContract, TombstoneContract, FailureContract, DenialContract):
    @pytest.fixture
    def harness(self, moto_s3: str) -> Iterator[S3Harness]:
        with proxy_to(moto_s3) as proxy:
            yield S3Harness(proxy)
