"""A restore brings erased people's data back; a replay removes exactly that again, though the ledger has no names."""

from __future__ import annotations

import shutil
from datetime import timedelta

from retentiond.domain.erasure import ErasureState, Person
from retentiond.engine.bundles import list_receipts
from retentiond.engine.erased import erased_among
from retentiond.engine.replaying import replay
from retentiond.engine.rewrapping import rotate_replay
from tests.erasure.scene import HOSTILE, Scene


def everything(scene: Scene) -> list[set[object]]:
    return [scene.rows("chats"), scene.rows("scores"), scene.rows("bills"), set(scene.blobs())]


def test_what_was_erased_goes_again_after_a_restore_and_nothing_else(scene: Scene) -> None:
    scene.edit("policies.yaml", "max_percent: 95", "max_percent: 100")
    for account in ("acct-a", "acct-b"):
        for user in (HOSTILE, "other"):
            scene.chat(f"{account} {user[:4]}", account, user, payload=f"{account}-{user[:2]}")
    scene.chat("shared", "acct-a", "other", [HOSTILE])
    scene.score(1, "acct-a", f"acct-a {HOSTILE[:4]}")
    scene.chat("whole", "acct-c", None)
    scene.bill(3, "acct-c")
    for path in (scene.root / "app.db", scene.root / "payloads"):
        (shutil.copytree if path.is_dir() else shutil.copy)(path, scene.root / f"backup-{path.name}")
    names = [scene.ask("acct-a", HOSTILE), scene.ask("acct-c")]
    scene.run()
    assert {scene.row(name).state for name in names} == {ErasureState.DONE}
    expected = everything(scene)
    with scene.open() as ctx:
        rotate_replay(ctx, None)
    scene.clock.at += timedelta(hours=2)
    for path in scene.root.glob("app.db*"):
        path.unlink()
    shutil.copy(scene.root / "backup-app.db", scene.root / "app.db")
    shutil.copytree(scene.root / "backup-payloads", scene.root / "payloads", dirs_exist_ok=True)
    assert everything(scene) != expected
    scene.chat("new", "acct-a", HOSTILE)
    with scene.db() as db:
        db.execute("UPDATE chats SET created = ? WHERE id = 'new'", (scene.ago(0),))
    with scene.open() as ctx:
        assert set(erased_among(ctx, [Person("acct-a", HOSTILE), Person("acct-b", HOSTILE), Person("acct-c")])) == {
            Person("acct-a", HOSTILE).text,
            Person("acct-c").text,
        }
        done = replay(ctx)
    assert (done.requests, done.people) == (2, 2)
    if done.session.stopped_plan is not None:  # somebody whose erasure was carried out wrote again: a person looks
        scene.approve(done.session.stopped_plan.id)
        with scene.open() as ctx:
            replay(ctx)
    expected[0].add("new")
    assert everything(scene) == expected
    with scene.open() as ctx:
        assert [each.kind for each in list_receipts(ctx)].count("erasure") == 2
