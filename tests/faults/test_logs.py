"""A log that grows while its writers are killed has no fork, and loses nothing that was said to be published."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.logs import grown


@pytest.mark.parametrize(("place", "writers", "entries"), [("directory", 1, 2_000), ("bucket", 2, 1_000)])
def test_a_log_whose_writers_are_killed_is_one_and_whole(
    tmp_path: Path, place: str, writers: int, entries: int
) -> None:
    with grown(tmp_path, place, 5) as log:
        report = log.go(entries, 3, writers=writers)
    assert report.violations == []
    assert report.kills == 3
    assert report.acknowledged > entries // 3
    assert report.seen > 3
