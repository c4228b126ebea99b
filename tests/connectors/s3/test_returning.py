"""Bringing objects back: one delete marker goes, by its version id, and nothing that came to lie on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from retentiond.connectors.s3.connector import S3Connector
from retentiond.domain.condition import ALWAYS
from retentiond.domain.decision import undo_cases
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.errors import DatasetRefused
from retentiond.ports.stores import Order
from tests.connectors.s3.asking import HIDE, OLD, cases, opened, ordered, scanned
from tests.connectors.s3.bucket_behind import Behind
from tests.connectors.s3.proxy import Forward, Proxy, Reply, Request, error

DUE = cases(HIDE)


@pytest.fixture
def connector(proxy: Proxy, behind: Behind) -> Iterator[S3Connector]:
    for number in range(3):
        behind.put(f"due-{number}", OLD)
    with opened(proxy.url) as connection:
        yield connection


@pytest.fixture
def asked(connector: S3Connector, proxy: Proxy) -> Order:
    hiding = ordered(DUE, scanned(connector, DUE)[0], Action.TOMBSTONE)
    marks = connector.act(hiding).marks
    proxy.seen.clear()
    decided = undo_cases(ALWAYS, None)
    return replace(hiding, action=Action.RESTORE, cases=decided, case=decided.due[0], marks=marks)


def test_one_request_names_exactly_our_markers(connector: S3Connector, asked: Order, proxy: Proxy) -> None:
    assert set(connector.act(asked).outcomes) == {Outcome.DONE}
    (request,) = proxy.deletions
    assert all(mark.encode() in request.body for mark in asked.marks.values())
    assert not any(record.version in request.body for record in asked.records)


def test_what_is_uploaded_before_the_request_stays_what_is_seen(
    connector: S3Connector, asked: Order, behind: Behind, proxy: Proxy
) -> None:
    def upload_first(request: Request, forward: Forward) -> Reply | None:
        if request.deletes:
            behind.put("due-1", body=b"anew")
        return forward(request)

    proxy.script = upload_first
    assert list(connector.act(asked).outcomes) == [Outcome.DONE, Outcome.CHANGED, Outcome.DONE]
    assert behind.read("due-1") == b"anew"
    assert list(connector.verify(asked).sightings) == [Sighting.VISIBLE, Sighting.CHANGED, Sighting.VISIBLE]


def test_a_marker_that_the_application_puts_before_the_request_still_hides(
    connector: S3Connector, asked: Order, behind: Behind, proxy: Proxy
) -> None:
    theirs: list[str] = []

    def hide_first(request: Request, forward: Forward) -> Reply | None:
        if request.deletes:
            theirs.append(behind.hide("due-1"))
        return forward(request)

    proxy.script = hide_first
    assert list(connector.act(asked).outcomes) == [Outcome.DONE, Outcome.CHANGED, Outcome.DONE]
    assert theirs[0] in behind.versions("due-1")
    assert behind.visible() == {"due-0", "due-2"}


def test_without_its_mark_nothing_is_asked_for(connector: S3Connector, asked: Order, proxy: Proxy) -> None:
    acted = connector.act(replace(asked, marks={}))
    assert set(acted.outcomes) == {Outcome.REFUSED}
    assert "nobody can tell" in acted.reasons[0]
    assert proxy.deletions == []


def test_a_key_that_a_server_cannot_read_keeps_no_other(
    connector: S3Connector, asked: Order, behind: Behind, proxy: Proxy
) -> None:
    def malformed(request: Request, forward: Forward) -> Reply | None:
        return error(400, "MalformedXML") if request.deletes and b"due-1" in request.body else forward(request)

    proxy.script = malformed
    acted = connector.act(asked)
    assert list(acted.outcomes) == [Outcome.DONE, Outcome.REFUSED, Outcome.DONE]
    assert behind.visible() == {"due-0", "due-2"}


def test_an_answer_that_was_lost_is_found_out_by_looking(connector: S3Connector, asked: Order, proxy: Proxy) -> None:
    def lose(request: Request, forward: Forward) -> Reply | None:
        done = forward(request)
        return error(500, "InternalError") if request.deletes else done

    proxy.script = lose
    assert set(connector.act(asked).outcomes) == {Outcome.DONE}


def test_a_dataset_that_hides_nothing_any_more_is_refused(connector: S3Connector, asked: Order) -> None:
    with pytest.raises(DatasetRefused, match="cannot restore objects"):
        connector.act(replace(asked, dataset=replace(asked.dataset, tombstone=None)))
