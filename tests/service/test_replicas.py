"""Several daemons on one ledger in PostgreSQL: each slot is worked on by one of them, whatever befalls the others."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from tests.faults.replicas import replicas
from tests.servers.postgres import Server


def test_each_slot_is_worked_on_once_while_one_freezes_and_one_is_killed(
    tmp_path: Path, postgresql_newest: Server
) -> None:
    with replicas(tmp_path, postgresql_newest) as scene:
        one, two = scene.start(), scene.start()
        scene.add(10)
        scene.approve()
        scene.await_none_left("the first are removed")
        one.signal(signal.SIGSTOP)  # perhaps inside a run: then its lease runs out
        scene.add(10)
        scene.await_none_left("the other one takes over", 90)
        one.signal(signal.SIGCONT)
        dice = random.Random(3)
        for _ in range(4):
            scene.add(10)
            time.sleep(dice.random())
            two.kill()
            two = scene.start()
            scene.await_none_left("it goes on")
        assert [each.stop() for each in (one, two)] == [0, 0]
        assert list(scene.violations()) == []
        assert scene.slots()
