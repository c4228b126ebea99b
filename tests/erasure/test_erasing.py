"""What a request names goes, all of it, and nothing else; whatever may be of it and cannot be told keeps it open."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from retentiond.domain.erasure import ErasureState
from retentiond.domain.hold import Scope
from retentiond.engine.approvals import approve
from retentiond.engine.bundles import disclose_account, get_receipt
from retentiond.engine.context import Context
from retentiond.engine.erasing import erasure_status
from retentiond.engine.holds import add_hold, release_hold
from retentiond.engine.overview import status
from retentiond.engine.pseudonyms import pseudonyms_of
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


def test_a_whole_account_goes_without_being_closed_and_bills_go_with_it(scene: Scene) -> None:
    fill(scene)
    name = scene.ask("acct-a")
    with scene.open() as ctx:
        before = pseudonyms_of(ctx, ["acct-a", "acct-b"])
    scene.run()
    assert scene.rows("chats") == {"namesake"}
    assert scene.rows("bills") == set()
    assert scene.row(name).state is ErasureState.DONE
    with scene.open() as ctx:  # what was pseudonymised of it is nobody's any more
        after = pseudonyms_of(ctx, ["acct-a", "acct-b"])
    assert after["acct-a"] != before["acct-a"]
    assert after["acct-b"] == before["acct-b"]


def test_a_receipt_says_that_nobody_looked_at_rows_under_a_pseudonym(scene: Scene) -> None:
    fill(scene)
    with scene.open() as ctx:
        pseudonyms_of(ctx, ["acct-a"])
    scene.ask("acct-a", HOSTILE)
    scene.ask("acct-b", HOSTILE)
    scene.run()
    told = [[each["what"] for each in receipt["notCovered"]] for receipt in receipts(scene)]
    assert sorted("rows under a pseudonym" in each for each in told) == [False, True]


def test_a_user_whom_no_dataset_knows_is_answered_with_a_receipt_of_nothing(scene: Scene) -> None:
    fill(scene)
    name = scene.ask("acct-a", "nobody-here")
    with scene.open() as ctx:
        assert erasure_status(ctx, scene.row(name)).nothing_held
    scene.run()
    assert scene.row(name).state is ErasureState.DONE
    (receipt,) = receipts(scene)
    assert receipt["runs"]["count"] == 0
    assert receipt["evidence"] == "hidden"
    assert len(scene.rows("chats")) == 5


@pytest.mark.parametrize("members", [None, ["other"]])
def test_a_record_whose_users_cannot_be_read_stays_and_keeps_the_request_open(
    scene: Scene, members: list[str] | None
) -> None:
    scene.chat("odd", "acct-a", b"\xff\xfe", members)
    scene.chat("mine", "acct-a", "u-1")
    scene.chat("elsewhere", "acct-b", b"\xff\xfe")
    name = scene.ask("acct-a", "u-1")
    scene.run()
    assert scene.rows("chats") == {"odd", "elsewhere"}
    row = scene.row(name)
    assert row.state is ErasureState.IN_PROGRESS
    assert row.remainder is not None
    assert row.remainder.undetermined == 1
    assert receipts(scene) == []
    with scene.db() as db:
        db.execute("UPDATE chats SET user_id = 'u-2' WHERE id = 'odd'")
    scene.run()
    assert scene.row(name).state is ErasureState.DONE
    assert scene.rows("chats") == {"odd", "elsewhere"}


def test_a_dataset_that_does_not_say_whose_its_records_are_keeps_the_request_open_until_somebody_decides(
    scene: Scene,
) -> None:
    scene.edit("datamap.yaml", "    user: {nobody: sums of an account for a month}\n", "")
    fill(scene)
    name = scene.ask("acct-a", HOSTILE)
    scene.run()
    with scene.open() as ctx:
        found = erasure_status(ctx, scene.row(name))
    assert found.not_told_apart == {"bills": 1}
    assert scene.row(name).state is ErasureState.IN_PROGRESS
    assert scene.rows("bills") == {1}
    scene.edit(
        "datamap.yaml", "    table: bills\n", "    table: bills\n    user: {nobody: sums of an account for a month}\n"
    )
    scene.run()
    assert scene.row(name).state is ErasureState.DONE
    assert scene.rows("bills") == {1}


def test_a_dataset_without_users_keeps_no_request_open_where_it_holds_nothing_of_the_account(scene: Scene) -> None:
    scene.edit("datamap.yaml", "    user: {nobody: sums of an account for a month}\n", "")
    scene.chat("mine", "acct-a", "u-1")
    scene.bill(1, "acct-b")
    name = scene.ask("acct-a", "u-1")
    scene.run()
    assert scene.row(name).state is ErasureState.DONE


def test_a_hold_wins_and_the_request_ends_by_itself_once_it_is_released(scene: Scene) -> None:
    fill(scene)
    with scene.open() as ctx:
        held = add_hold(ctx, Scope(dataset="chats", keys=(b"mine",)), "Case-1", "", None)
    name = scene.ask("acct-a", HOSTILE)
    scene.run()
    row = scene.row(name)
    assert "mine" in scene.rows("chats")
    assert "mine" in scene.blobs()
    assert row.state is ErasureState.IN_PROGRESS
    assert row.remainder is not None
    assert row.remainder.held == 1
    with scene.open() as ctx:
        release_hold(ctx, held.hold.id, None)
    scene.run()
    assert scene.row(name).state is ErasureState.DONE
    assert scene.rows("chats") == {"theirs", "nobodys", "namesake"}


def test_two_people_in_one_pass_each_get_their_own_receipt(scene: Scene) -> None:
    fill(scene)
    accounts = ("acct-a", "acct-a", "acct-b")
    names = [scene.ask(account, user) for account, user in zip(accounts, (HOSTILE, "other", HOSTILE), strict=True)]
    scene.run()
    assert scene.rows("chats") == {"nobodys"}
    assert {scene.row(name).state for name in names} == {ErasureState.DONE}
    with scene.open() as ctx:
        own = [_records(ctx, scene.row(name).receipt, account) for name, account in zip(names, accounts, strict=True)]
    assert own == [4, 4, 3]  # a chat with its payload and score, the shared one in both; no shared one in acct-b


def _records(ctx: Context, receipt: str, account: str) -> int:
    """Return how many records a receipt says of its account."""
    count: int = json.loads(disclose_account(ctx, get_receipt(ctx, receipt), account).leaf)["records"]
    return count


def test_a_dataset_that_nobody_approved_as_it_stands_has_its_erasure_wait_for_a_person(scene: Scene) -> None:
    fill(scene)
    scene.edit("datamap.yaml", "{column: user_id, optional: true}, ", "user_id, ")
    name = scene.ask("acct-a", "other")
    session = scene.run()
    assert session.stopped is not None
    assert session.stopped.guard == "erasure-approval"
    assert "dataset chats, which says whose data it is, was not approved" in str(session.stopped)
    assert len(scene.rows("chats")) == 5
    with scene.open() as ctx:
        (waiting,) = status(ctx).waiting
        approve(ctx, waiting.id, None)
    scene.run()
    assert scene.rows("chats") == {"mine", "nobodys", "namesake"}
    assert scene.row(name).state is ErasureState.IN_PROGRESS  # nobody says whose `nobodys` is any more
    second = scene.ask("acct-b", HOSTILE)
    scene.run()
    assert scene.row(second).state is ErasureState.DONE  # and that form is approved by now
