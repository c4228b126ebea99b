"""What a request names goes, all of it, and nothing else; whatever may be of it and cannot be told keeps it open."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from retentiond.domain.erasure import ErasureState
from tests.erasure.scene import HOSTILE, Scene


def receipts(scene: Scene, kind: str = "erasure") -> list[dict[str, Any]]:
    statements = [json.loads(base64.b64decode(each["dsseEnvelope"]["payload"])) for each in scene.bundles()]
    return [each["predicate"] for each in statements if each["predicate"]["kind"] == kind]


def fill(scene: Scene) -> None:
    scene.chat("mine", "acct-a", HOSTILE, payload="mine")
    scene.chat("shared", "acct-a", "other", [HOSTILE, "third"])
    scene.chat("theirs", "acct-a", "other", payload="theirs")
    scene.chat("nobodys", "acct-a", None)
    scene.chat("namesake", "acct-b", HOSTILE, payload="namesake")
    scene.score(1, "acct-a", "mine")
    scene.score(2, "acct-a", "theirs")
    scene.score(3, "acct-b", "namesake")
    scene.bill(1, "acct-a")


def test_everything_of_a_user_goes_and_nothing_of_anybody_else(scene: Scene) -> None:
    fill(scene)
    name = scene.ask("acct-a", HOSTILE)
    assert scene.rows("chats") == {"mine", "shared", "theirs", "nobodys", "namesake"}
    session = scene.run()
    assert not session.failures
    assert not session.stops
    assert scene.rows("chats") == {"theirs", "nobodys", "namesake"}
    assert scene.rows("scores") == {2, 3}
    assert scene.rows("bills") == {1}
    assert scene.blobs() == {"theirs", "namesake"}
    row = scene.row(name)
    assert row.state is ErasureState.DONE
    assert row.receipt
    assert len(receipts(scene)) == 1
    assert not row.subject_sealed
