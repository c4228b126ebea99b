"""Holds name records by account, key and condition; a condition that cannot be told holds."""

from __future__ import annotations

from datetime import UTC, datetime

from retentiond.domain.condition import Compare, Operator, attribute
from retentiond.domain.hold import Hold, HoldIndex, Scope
from retentiond.domain.record import Record

AT = datetime(2026, 11, 24, tzinfo=UTC)
HOSTILE = "a'; DROP TABLE x;--\u202e\x00😀"


def hold(matter: str, scope: Scope) -> Hold:
    return Hold(matter, "of a matter", scope, AT)


def test_each_matter_that_names_a_record_holds_it_once() -> None:
    index = HoldIndex(
        [
            hold("by-account", Scope(accounts=(HOSTILE, "other"))),
            hold("by-key", Scope(dataset="requests", keys=(HOSTILE.encode(),))),
            hold("by-key", Scope(dataset="requests", keys=(HOSTILE.encode(), b"42"))),
            hold("elsewhere", Scope(dataset="feedback", accounts=(HOSTILE,))),
        ],
        "requests",
    )
    assert index.ids(Record((HOSTILE,), account=HOSTILE)) == ("by-account", "by-key")
    assert index.ids(Record((42,), account="x")) == ("by-key",)
    assert index.ids(Record((43,), account="x")) == ()
    assert index.ids(Record((43,))) == ()


def test_a_condition_that_is_unknown_holds() -> None:
    condition = Compare(attribute("tier"), Operator.EQUAL, "gold")
    index = HoldIndex([hold("m", Scope(dataset="requests", condition=condition))], "requests")
    assert index.ids(Record((1,), attributes={"tier": "gold"}))
    assert index.ids(Record((1,), attributes={"tier": None}))
    assert not index.ids(Record((1,), attributes={"tier": "silver"}))


def test_an_index_without_holds_is_false() -> None:
    assert not HoldIndex([], "requests")
    assert HoldIndex([hold("m", Scope(accounts=("a",)))], "requests").by_account
