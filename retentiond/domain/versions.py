"""Versions of one object: a delete marker goes last, when nothing lies beneath it that stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from retentiond.domain.record import Record

MARKER = "marker"
NONCURRENT = "noncurrent"


def markers_last(
    found: Iterable[tuple[Record, int]], due: frozenset[int], otherwise: int
) -> Sequence[tuple[Record, int]]:
    """Return records with their winning cases, where a marker above a version that stays falls to another case.

    Args:
        found: Records, all versions of a key together, each with the index of its winning case.
        due: Indexes of the cases that remove for good.
        otherwise: Index of the case that such a marker falls to.
    """
    settled: list[tuple[Record, int]] = []
    for _, versions in groupby(found, key=lambda each: each[0].key):
        group = list(versions)
        stays = any(record.place != MARKER and case not in due for record, case in group)
        for record, case in group:
            settled.append((record, otherwise if stays and record.place == MARKER else case))
    return settled
