"""What people do to a run from outside while it is under way: stop it, forbid it, change its policy, place a hold."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.oracle import DATASETS, Oracle
from tests.faults.world import Size, World, end, make_world

HELD = "acct-gum"


@dataclass(slots=True)
class Underway:
    """A run that has ended some batches, and not all."""

    world: World
    plan: str
    oracle: Oracle
    process: subprocess.Popen[str]

    def leave_what_is_left(self) -> None:
        """What is due and still there by now is expected to stay."""
        now = self.oracle.world.look()
        for dataset in DATASETS:
            self.oracle.carried[dataset] = len(self.world.due[dataset]) - len(self.oracle.gone(now, dataset))
        self.oracle.carried["requests"] += len(self.world.hide) - len(self.oracle.hidden(now))


@pytest.fixture
def underway(tmp_path: Path) -> Underway:
    world = make_world(tmp_path / "world", Size(40_000, 2_000, requests=60, files=30), seed=11)
    oracle = Oracle(world, world.look())
    plan = world.approved_plan()
    process = world.start("apply", plan)
    while world.keeping.ask("SELECT count(*) FROM batches WHERE state = 'verified'") == [[(0,)]]:
        assert process.poll() is None, end(process).err
        time.sleep(0.005)
    return Underway(world, plan, oracle, process)


def test_ctrl_c_finishes_the_batch_in_hand_and_the_run_goes_on_later(underway: Underway) -> None:
    underway.process.send_signal(signal.SIGINT)
    ended = end(underway.process)
    assert ended.code == 130, ended.err
    underway.oracle.glance()
    assert len(underway.oracle.gone(underway.world.look(), "events")) < 40_000
    assert underway.world.run("apply", underway.plan).code == 0
    underway.oracle.final(underway.plan)
    assert underway.oracle.violations == []


def test_nothing_more_is_removed_while_the_stop_file_is_there(underway: Underway) -> None:
    stop = underway.world.config / "STOP"
    stop.touch()
    ended = end(underway.process)
    assert ended.code == 4, ended.err
    stopped_at = underway.world.look()
    assert len(underway.oracle.gone(stopped_at, "events")) < 40_000
    assert underway.world.run("run").code == 4
    assert underway.world.run("apply", underway.plan).code == 4
    assert underway.world.look() == stopped_at
    stop.unlink()
    assert underway.world.run("apply", underway.plan).code == 0
    underway.oracle.final(underway.plan)
    assert underway.oracle.violations == []


def test_a_policy_that_is_edited_stops_its_run_which_ends_in_one_partial_receipt(underway: Underway) -> None:
    policies = underway.world.config / "policies.yaml"
    text = policies.read_text(encoding="utf-8")
    policies.write_text(text.replace("keep: 40 days", "keep: 50 days"), encoding="utf-8")
    ended = end(underway.process)
    assert ended.code == 4, ended.err
    stopped_at = underway.world.look()
    assert underway.world.run("apply", underway.plan).code == 5
    assert underway.world.look() == stopped_at
    underway.leave_what_is_left()
    assert underway.oracle.carried["events"] > 0
    underway.oracle.final(underway.plan, outcome="partial")
    assert underway.oracle.violations == []


def test_a_hold_that_is_placed_during_a_run_wins(underway: Underway) -> None:
    placed = underway.world.run("hold", "add", "--account", HELD, "--matter", "Case-1", "--json")
    assert placed.code == 0, placed.err
    held_at = {key: row for key, row in underway.world.look().events.items() if row[1] == HELD}
    ended = end(underway.process)
    assert ended.code == 0, ended.err
    after = underway.world.look().events
    assert held_at.items() <= after.items()
    underway.leave_what_is_left()
    assert all(underway.world.due["events"][key] == HELD for key in underway.world.due["events"] if key in after)
    underway.oracle.final(underway.plan)
    assert underway.oracle.violations == []
