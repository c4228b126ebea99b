"""Whoever is killed in the midst of a replay goes on with it; a few points here, all of them by `make faults`."""

from __future__ import annotations

from pathlib import Path

from tests.faults.moments import warm_up
from tests.replay.killing import kill_at, make_restored


def test_a_replay_that_is_killed_is_gone_on_with(tmp_path: Path) -> None:
    warm_up()
    figures = kill_at(make_restored(tmp_path / "first"), lambda count: [count // 3, count // 2, count * 4 // 5])
    assert figures.violations == []
    assert figures.killed == 3
