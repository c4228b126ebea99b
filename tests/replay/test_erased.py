"""Users of an account whose data was erased: a restore brings it back, and a replay removes exactly that again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from retentiond.domain.erasure import ErasureState
from retentiond.domain.hold import Scope
from retentiond.domain.plan import Trigger
from retentiond.engine.holds import add_hold
from retentiond.engine.retracting import retract
from tests.erasure.scene import HOSTILE, Scene, make_scene
from tests.replay.restoring import back_up, restore
from tests.replay.searching import files_below, hits
from tests.replay.test_check import looked
from tests.replay.test_replay import again, age


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = make_scene(tmp_path)
    made.edit("policies.yaml", "max_percent: 95", "max_percent: 100")
    made.chat("mine", "acct-a", HOSTILE, payload="mine")
    made.chat("shared", "acct-a", "other", [HOSTILE, "third"])
    made.chat("theirs", "acct-a", "other", payload="theirs")
    made.chat("nobodys", "acct-a", None)
    made.chat("namesake", "acct-b", HOSTILE, payload="namesake")
    made.chat("whole", "acct-c", "anybody")
    made.score(1, "acct-a", "mine")
    made.score(2, "acct-a", "theirs")
    made.bill(1, "acct-a")
    made.bill(2, "acct-c")
    return made


def everything(scene: Scene) -> dict[str, set[Any]]:
    with scene.db() as db:
        rows = {
            table: {tuple(row) for row in db.execute(f"SELECT * FROM {table}").fetchall()}
            for table in ("chats", "scores", "bills")
        }
    return {**rows, "files": scene.blobs()}


def erase(scene: Scene) -> list[str]:
    requests = [scene.ask("acct-a", HOSTILE), scene.ask("acct-c")]
    session = scene.run()
    assert (session.failures, session.stops) == ([], [])
    assert {scene.row(each).state for each in requests} == {ErasureState.DONE}
    return requests


def test_what_was_erased_goes_again_and_nothing_else(scene: Scene) -> None:
    backup = back_up(scene)
    erase(scene)
    expected = everything(scene)
    age(scene, days=9)
    scene.run()
    age(scene, days=1)
    assert looked(scene) == []
    restore(scene, backup)
    scene.chat("since", "acct-a", HOSTILE)
    with scene.db() as db:  # written since the erasure, by its clock
        db.execute("UPDATE chats SET created = ? WHERE id = 'since'", (scene.ago(0.5),))
        since = {tuple(row) for row in db.execute("SELECT * FROM chats WHERE id = 'since'").fetchall()}
    said = "; ".join(looked(scene))
    assert "2 records of chats are of erased users, and older than the erasure" in said
    assert "1 records of bills are of closed accounts" in said
    assert HOSTILE not in said

    done = again(scene)
    assert (done.session.failures, done.session.stops, done.session.overdue) == ([], [], 0)
    assert (done.erasures, done.people, done.back, done.since) == (2, 1, 1, 0)
    assert [each.plan.trigger for each in done.session.carried] == [Trigger.REPLAY]
    left = everything(scene)
    assert left == {**expected, "chats": expected["chats"] | since}
    assert hits(files_below(*scene.root.glob("ledger*"), scene.root / "journal"), [HOSTILE, "acct-c"]) == []
    twice = again(scene)
    assert (twice.session.carried, twice.people, everything(scene)) == ([], 1, left)


def test_what_may_be_of_an_erased_user_stays_and_is_counted(scene: Scene) -> None:
    erase(scene)
    expected = everything(scene)
    age(scene, hours=1)
    scene.chat("blurred", "acct-a", b"\xff")
    done = again(scene)
    assert done.session.carried == []
    assert scene.rows("chats") - {row[0] for row in expected["chats"]} == {"blurred"}
    scene.chat("plain", "acct-a", HOSTILE)
    done = again(scene)
    assert dict(done.found["chats", "content"].doubts) == {"user-unreadable": 1}
    assert scene.rows("chats") - {row[0] for row in expected["chats"]} == {"blurred"}


def test_a_hold_wins_and_a_request_whose_receipt_was_taken_back_erases_nobody(scene: Scene) -> None:
    backup = back_up(scene)
    _, whole = erase(scene)
    age(scene, hours=1)
    restore(scene, backup)
    before = everything(scene)
    receipt = scene.row(whole).receipt
    with scene.open() as ctx:
        add_hold(ctx, Scope(accounts=("acct-a",)), "matter-1", "a reason", None)
        retract(ctx, receipt, "mistaken", None)
    done = again(scene)
    assert (done.erasures, done.people, done.back) == (1, 1, 0)
    assert (done.session.carried, done.found["chats", "content"].held) == ([], 2)
    assert everything(scene) == before
