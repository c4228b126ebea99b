"""A delete marker goes last."""

from __future__ import annotations

from retentiond.domain.record import Record
from retentiond.domain.versions import MARKER, NONCURRENT, markers_last

DUE, KEEP = 0, 1


def versions(key: str, *places: tuple[str, int]) -> list[tuple[Record, int]]:
    return [
        (Record((key,), version=str(number).encode(), place=place), case) for number, (place, case) in enumerate(places)
    ]


def test_a_marker_stays_above_a_version_that_stays() -> None:
    settled = markers_last(versions("k", (MARKER, DUE), (NONCURRENT, DUE), (NONCURRENT, KEEP)), frozenset((DUE,)), KEEP)
    assert [case for _, case in settled] == [KEEP, DUE, KEEP]


def test_a_marker_goes_with_everything_beneath_it_or_with_nothing_beneath_it() -> None:
    both = versions("k", (MARKER, DUE), (NONCURRENT, DUE)) + versions("l", (MARKER, DUE), (MARKER, DUE))
    assert [case for _, case in markers_last(both, frozenset((DUE,)), KEEP)] == [DUE, DUE, DUE, DUE]
