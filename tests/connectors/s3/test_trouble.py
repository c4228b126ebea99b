from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from retentiond.connectors.s3.connector import open_connector
from retentiond.connectors.s3.options import S3Options
from retentiond.connectors.s3.pace import Pace
from retentiond.domain.plan import Outcome, Sighting
from retentiond.errors import ConnectorError
from tests.connectors.s3.asking import OLD, PAYLOADS, cases, opened, ordered, scanned
from tests.connectors.s3.bucket_behind import BUCKET
from tests.servers.lying import (
    asks_for_patience,
    breaks_after,
    breaks_before,
    cuts,
    deletes_nothing,
    expires,
    loops,
    patience_for_each_key,
)
from tests.servers.versioned import Forward, Reply, Request, Script, Server, error

DUE = cases()
ONCE = replace(PAYLOADS, tombstone=None, write_once=True)


def deletes(request: Request) -> bool:
    return request.deletes


def lists(request: Request) -> bool:
    return request.lists


def fill(server: Server, count: int = 6) -> None:
    for number in range(count):
        server.bucket.put(f"k{number}", OLD)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_a_pace_slows_down_when_asked_to_and_recovers() -> None:
    time = Time()
    pace = Pace(time.sleep, lambda: time.now)
    pace.wait()
    assert time.slept == []
    for _ in range(3):
        pace.slower()
    assert pace.gap_seconds == pytest.approx(0.4)
    pace.wait()
    pace.wait()
    assert time.slept == pytest.approx([0.4, 0.4])
    for _ in range(100):
        pace.slower()
    assert pace.gap_seconds == 5
    for _ in range(40):
        pace.faster()
    assert pace.gap_seconds == 0


def test_a_server_that_asks_for_patience_gets_it(server: Server) -> None:
    fill(server)
    with opened(server.url, attempts=4) as connector:
        slept: list[float] = []
        connector._reader.pace._sleep = slept.append
        connector._reader.wire._pause = slept.append
        server.script = asks_for_patience(2, lists)
        records, _ = scanned(connector, DUE)
        assert len(records) == 6
        assert max(slept) >= 0.2
        server.script = asks_for_patience(2, deletes)
        assert set(connector.act(ordered(DUE, records)).outcomes) == {Outcome.DONE}
        assert connector._reader.pace.gap_seconds > 0
        server.script = lambda request, forward: forward(request)
        for _ in range(20):
            connector._reader.versioning()
        assert connector._reader.pace.gap_seconds == 0


def test_patience_asked_for_each_key_slows_down_and_claims_nothing(server: Server) -> None:
    fill(server)
    with opened(server.url) as connector:
        connector._reader.pace._sleep = lambda _seconds: None
        records, _ = scanned(connector, DUE)
        server.script = patience_for_each_key(99)
        acted = connector.act(ordered(DUE, records))
        assert set(acted.outcomes) == {Outcome.UNKNOWN}
        assert acted.reasons[0] == "SlowDown"
        assert connector._reader.pace.gap_seconds > 0
        server.script = patience_for_each_key(1)
        assert set(connector.act(ordered(DUE, records)).outcomes) == {Outcome.DONE}


def test_a_bucket_in_another_region_is_followed_once_and_named(server: Server) -> None:
    fill(server)
    server.bucket.region = "eu-central-1"
    with opened(server.url, attempts=2) as connector:
        records, _ = scanned(connector, DUE)
        assert set(connector.act(ordered(DUE, records)).outcomes) == {Outcome.DONE}
        assert [request for request in server.seen if "/us-east-1/" in str(request.headers)] == server.seen[:1]
        (finding,) = connector.survey(PAYLOADS).findings
        assert "eu-central-1" in finding.what
        assert "region: eu-central-1" in finding.remedy
        server.bucket.region = "ap-south-1"
        with pytest.raises(ConnectorError) as raised:
            scanned(connector, DUE)
    assert "another region" in raised.value.what
    assert "region: ap-south-1" in raised.value.remedy


def test_a_deletion_is_not_sent_to_another_region_without_the_fence(server: Server) -> None:
    fill(server, 1)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)
        fences: list[int] = []

        def moved(request: Request, forward: Forward) -> Reply | None:
            if request.deletes and len(server.deletions) == 1:
                return error(301, "PermanentRedirect", headers={"x-amz-bucket-region": "eu-west-1"})
            server.bucket.region = "eu-west-1" if server.deletions else "us-east-1"
            return forward(request)

        server.script = moved
        acted = connector.act(ordered(DUE, records, fence=lambda: fences.append(len(server.deletions))))
    assert list(acted.outcomes) == [Outcome.DONE]
    assert fences == [0, 1]


@pytest.mark.parametrize("region", ["evil.example.org/", "http://169.254.169.254", "x" * 99])
def test_what_is_no_region_is_not_followed(server: Server, region: str) -> None:
    moved = error(301, "PermanentRedirect", headers={"x-amz-bucket-region": region, "Location": "http://127.0.0.1:9/"})
    server.script = lambda _request, _forward: moved
    with pytest.raises(ConnectorError) as raised, opened(server.url, attempts=3):
        pass
    assert "another region" in raised.value.what
    assert len(server.seen) == 1


def credentials(path: Path, access_key: str) -> None:
    path.write_text(f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = test\n", "utf-8")


def test_credentials_that_expired_are_asked_for_anew(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server)
    server.secrets.update(first="test", second="test")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    credentials(tmp_path / "credentials", "first")
    with opened(server.url, attempts=2) as connector:
        records, _ = scanned(connector, DUE)
        server.script = expires("first")
        with pytest.raises(ConnectorError) as raised:
            scanned(connector, DUE)
        assert "expired" in raised.value.what
        assert "renew" in raised.value.remedy
        credentials(tmp_path / "credentials", "second")
        order = ordered(DUE, records)
        assert set(connector.act(order).outcomes) == {Outcome.DONE}
        assert set(connector.verify(order).sightings) == {Sighting.ABSENT}


def test_a_signature_that_does_not_fit_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(ConnectorError) as raised:
        list(open_connector(S3Options(bucket=BUCKET, endpoint=server.url)).unmapped([], lambda _name: False))
    assert raised.value.remedy


@pytest.mark.parametrize("script", [loops, cuts(lists), breaks_before(lists), breaks_after(lists)])
@pytest.mark.parametrize("versioning", ["Enabled", ""])
def test_a_listing_that_breaks_is_never_an_end(server: Server, script: Script, versioning: str) -> None:
    server.bucket.versioning = versioning
    fill(server)
    dataset = PAYLOADS if versioning else ONCE
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE, dataset)
        server.script = script
        with pytest.raises(ConnectorError) as raised:
            scanned(connector, DUE, dataset)
        assert raised.value.transient
        sightings = set(connector.verify(ordered(DUE, records, dataset=dataset)).sightings)
    assert Sighting.UNKNOWN in sightings
    assert Sighting.ABSENT not in sightings


@pytest.mark.parametrize(
    ("script", "outcome", "left"),
    [
        (cuts(deletes), Outcome.DONE, 0),
        (breaks_after(deletes), Outcome.DONE, 0),
        (breaks_before(deletes), Outcome.UNKNOWN, 6),
        (deletes_nothing, Outcome.DONE, 6),
    ],
)
def test_only_a_look_tells_what_a_deletion_did(server: Server, script: Script, outcome: Outcome, left: int) -> None:
    fill(server)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)
        server.script = script
        order = ordered(DUE, records)
        assert set(connector.act(order).outcomes) == {outcome}
        assert set(connector.verify(order).sightings) == {Sighting.DUE if left else Sighting.ABSENT}
    assert len(server.bucket.with_data()) == left


@pytest.mark.parametrize("wanted", [lists, deletes])
def test_a_server_that_is_down_is_not_asked_for_ever(server: Server, wanted: Callable[[Request], bool]) -> None:
    fill(server)
    with opened(server.url, attempts=3) as connector:
        connector._reader.wire._pause = lambda _seconds: None
        records, _ = scanned(connector, DUE)
        seen = len(server.seen)
        server.script = lambda r, forward: error(500, "InternalError") if wanted(r) else forward(r)
        if wanted is lists:
            with pytest.raises(ConnectorError):
                scanned(connector, DUE)
        else:
            assert set(connector.act(ordered(DUE, records)).outcomes) == {Outcome.UNKNOWN}
        assert len(server.seen) - seen < 20
