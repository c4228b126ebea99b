from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from retentiond.connectors.s3.bucket import Versioning
from retentiond.connectors.s3.options import S3Options
from retentiond.connectors.s3.sharding import pages_at_once
from retentiond.domain.decision import named_cases
from retentiond.errors import ConnectorError
from retentiond.testing import hostile
from tests.connectors.s3.asking import OLD, PAYLOADS, opened, scanned
from tests.servers.versioned import Forward, Reply, Request, Server, error

NAMES = [f"in/{first}{second}/{number}" for first in "abcdé" for second in "01é" for number in range(4)]


def listed(server: Server, prefix: str, *, page: int, versioning: Versioning = Versioning.ENABLED) -> list[str]:
    with opened(server.url, page=page) as connector:
        pages = pages_at_once(connector._reader, prefix, versioning, 8)
        return [each.key for page_ in pages for each in page_.versions]


@pytest.mark.parametrize("page", [20, 30, 1_000])
@pytest.mark.parametrize("versioning", ["Enabled", ""])
@pytest.mark.parametrize("prefix", ["", "in/", "in/a", "in/a0/", "nothing"])
def test_every_key_is_listed_once_in_order(server: Server, page: int, versioning: str, prefix: str) -> None:
    server.bucket.versioning = versioning
    for name in [*NAMES, "in/direct", "in/a0", "in/", "out/x", "lone"]:
        server.bucket.put(name, OLD)
    wanted = sorted(key.decode() for key in server.bucket.with_data() if key.decode().startswith(prefix))
    mode = Versioning.ENABLED if versioning else Versioning.NEVER
    assert listed(server, prefix, page=page, versioning=mode) == wanted


def test_large_prefixes_are_listed_in_several_strands(server: Server) -> None:
    for name in NAMES:
        server.bucket.put(name, OLD)
    together: set[str] = set()

    def meet(request: Request, forward: Forward) -> Reply | None:
        prefix = request.query.get("prefix", "")
        if request.lists and len(prefix) > 3 and len(together) < 2:
            together.add(prefix)
        return forward(request)

    server.script = meet
    assert len(listed(server, "in/", page=20)) == len(NAMES)
    assert len(together) == 2


@pytest.mark.parametrize("keys", [hostile.NAMES, [f"{name}/{number}" for name in hostile.NAMES for number in (1, 2)]])
def test_hostile_names_are_listed_once(server: Server, keys: list[str]) -> None:
    fitting = {key for key in keys if len(key.encode()) <= hostile.LONGEST_KEY_BYTES}
    for key in (*fitting, *(f"plain/{number}" for number in range(40))):
        server.bucket.put(key, OLD)
    for page in (10, 60, 150):
        found = listed(server, "", page=page)
        assert sorted(found) == sorted(key.decode() for key in server.bucket.with_data())


def test_versions_of_one_key_stay_together(server: Server) -> None:
    for name in NAMES:
        for _ in range(3):
            server.bucket.put(name, OLD)
    with opened(server.url, page=20) as connector:
        connector._strands = 8
        records, _ = scanned(connector, named_cases(), replace(PAYLOADS, prefix="in/"))
    assert len({(record.key, record.version) for record in records}) == len(records) == 3 * len(NAMES)


@pytest.mark.parametrize("bad", ["in/a", "in/c", "in/é"])
def test_a_strand_that_breaks_breaks_the_listing(server: Server, bad: str) -> None:
    for name in NAMES:
        server.bucket.put(name, OLD)

    def break_one(request: Request, forward: Forward) -> Reply | None:
        broken = request.lists and request.query.get("prefix", "").startswith(bad)
        return error(500, "InternalError") if broken else forward(request)

    server.script = break_one
    with pytest.raises(ConnectorError):
        listed(server, "in/", page=20)


def test_a_listing_that_nobody_reads_on_ends(server: Server) -> None:
    for number in range(200):
        server.bucket.put(f"in/{number % 3}/{number}", OLD)
    with opened(server.url, page=5) as connector:
        pages = pages_at_once(connector._reader, "in/", Versioning.ENABLED, 8)
        next(pages)
        pages.close()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("list")]


def test_one_strand_never_asks_how_names_roll_up(server: Server) -> None:
    for name in NAMES:
        server.bucket.put(name, OLD)
    with opened(server.url, page=20) as connector:
        scanned(connector, named_cases())
    assert not any("delimiter" in request.query for request in server.seen)


def test_only_amazons_servers_are_trusted_to_roll_up_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert S3Options(bucket="bucket").listing_strands == 8
    assert S3Options(bucket="bucket", endpoint="https://s3.example.org").listing_strands == 1
    assert S3Options(bucket="bucket", endpoint="https://s3.example.org", strands=4).listing_strands == 4
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.example.org")
    assert S3Options(bucket="bucket").listing_strands == 1
    assert "strands" not in S3Options(bucket="bucket").model_dump(mode="json")
