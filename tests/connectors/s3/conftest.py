from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.connectors.s3.bucket_behind import Behind
from tests.connectors.s3.proxy import Proxy, proxy_to
from tests.servers.rclone import Rclone, rclone_server
from tests.servers.versioned import Server, versioned_server


@pytest.fixture
def behind(moto_s3: str) -> Behind:
    assert moto_s3
    bucket = Behind()
    bucket.make()
    return bucket


@pytest.fixture
def proxy(moto_s3: str) -> Iterator[Proxy]:
    with proxy_to(moto_s3) as running:
        yield running


@pytest.fixture
def server() -> Iterator[Server]:
    with versioned_server() as running:
        yield running


@pytest.fixture
def rclone(tmp_path: Path) -> Iterator[Rclone]:
    with rclone_server(tmp_path) as running:
        yield running
