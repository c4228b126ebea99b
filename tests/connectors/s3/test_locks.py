from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.waiting import LEGAL_HOLD, read_wait, waits
from tests.connectors.s3.asking import NOW, OLD, cases, opened, ordered, scanned
from tests.connectors.s3.bucket_behind import Behind
from tests.servers.versioned import Forward, Reply, Request, Server, error

DUE = cases()
UNTIL = datetime(2199, 3, 1, 12, 30, tzinfo=UTC)


def is_head(request: Request) -> bool:
    return request.method == "HEAD" and bool(request.key)


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_what_is_locked_is_told_with_its_date_and_never_asked_for(server: Server, mode: str) -> None:
    server.bucket.lock = True
    server.bucket.put("free", OLD)
    server.bucket.put("locked", OLD, lock=(mode, UNTIL))
    server.bucket.put("over", OLD, lock=(mode, NOW - timedelta(days=1)))
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)
        order = ordered(DUE, records)
        acted = connector.act(order)
        assert list(acted.outcomes) == [Outcome.DONE, Outcome.REFUSED, Outcome.DONE]
        assert acted.reasons == {1: "object-lock until 2199-03-01T12:30:00Z"}
        assert list(connector.verify(order).sightings) == [Sighting.ABSENT, Sighting.DUE, Sighting.ABSENT]
    assert server.bucket.with_data() == {b"locked"}
    assert all(b"locked" not in request.body for request in server.deletions)
    assert not any("bypass" in name.lower() for request in server.seen for name in request.headers)


def test_a_legal_hold_of_the_store_has_no_date(server: Server) -> None:
    server.bucket.lock = True
    server.bucket.put("held", OLD, hold=True, lock=("GOVERNANCE", UNTIL))
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)
        assert connector.act(ordered(DUE, records)).reasons == {0: LEGAL_HOLD}


@pytest.mark.parametrize(("lock", "hold"), [(("COMPLIANCE", UNTIL), False), (None, True), (None, False)])
def test_where_head_is_denied_the_locks_own_requests_tell(server: Server, lock: object, *, hold: bool) -> None:
    server.bucket.lock = True
    server.bucket.put("a\xe9\x01", OLD, hold=hold, lock=lock)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)
        server.script = lambda request, forward: Reply(403) if is_head(request) else forward(request)
        (outcome,) = connector.act(ordered(DUE, records)).outcomes
    assert (outcome is Outcome.REFUSED) == bool(lock or hold)


def test_a_lock_that_cannot_be_told_keeps_its_version(server: Server) -> None:
    server.bucket.lock = True
    server.bucket.put("key", OLD)

    def deny(request: Request, forward: Forward) -> Reply | None:
        return error(403, "AccessDenied") if request.key and request.method != "DELETE" else forward(request)

    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)
        server.script = deny
        acted = connector.act(ordered(DUE, records))
    assert list(acted.outcomes) == [Outcome.REFUSED]
    assert "cannot be told" in acted.reasons[0]
    assert server.deletions == []


def test_without_object_lock_nothing_is_looked_up(server: Server) -> None:
    server.bucket.put("key", OLD)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)
        connector.act(ordered(DUE, records))
    assert not any(map(is_head, server.seen))


def test_a_lock_that_came_after_the_look_is_the_stores_own_refusal(server: Server) -> None:
    server.bucket.lock = True
    server.bucket.put("key", OLD)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)

        def lock() -> None:
            server.bucket.objects[b"key"][0].lock = ("COMPLIANCE", UNTIL)

        acted = connector.act(ordered(DUE, records, fence=lock))
    assert list(acted.outcomes) == [Outcome.REFUSED]
    assert read_wait(acted.reasons[0]) == ("object-lock", UNTIL)


def test_moto_agrees(moto_s3: str) -> None:
    behind = Behind("locked-bucket")
    behind.make(lock=True)
    behind.put("free", OLD)
    behind.put("locked", OLD)
    until = datetime(2099, 1, 1, tzinfo=UTC)
    with opened(moto_s3, bucket=behind.name) as connector:
        retention = {"Mode": "COMPLIANCE", "RetainUntilDate": until}
        connector._reader.client.put_object_retention(Bucket=behind.name, Key="locked", Retention=retention)
        records, _ = scanned(connector, DUE)
        acted = connector.act(ordered(DUE, records))
    assert list(acted.outcomes) == [Outcome.DONE, Outcome.REFUSED]
    assert read_wait(acted.reasons[1]) == ("object-lock", until)


def test_a_wait_is_read_as_it_was_written() -> None:
    assert read_wait(waits("object-lock", None)) == ("object-lock", None)
    late = datetime(2030, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    assert read_wait(waits("object-lock", late)) == ("object-lock", datetime(2030, 1, 1, 0, 0, 1, tzinfo=UTC))
    for text in ("", "refused", "object-lock until soon", "object-lock until 2030-01-01T00:00:00Z and more"):
        assert read_wait(text) is None
