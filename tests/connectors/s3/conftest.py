from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.connectors.s3.bucket_behind import Behind
from tests.connectors.s3.proxy import Proxy, proxy_to


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
