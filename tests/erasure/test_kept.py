"""What has to be kept binds requests for erasure: until its date, and not a run longer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.cli.erasure_views import erasure_document
from retentiond.domain.account import KeptPart
from retentiond.domain.erasure import ErasureState, Person
from retentiond.domain.hold import Scope
from retentiond.domain.obligation import erasing_cases
from retentiond.engine import erasures
from retentiond.engine.approvals import approve
from retentiond.engine.erasing import ErasureStatus, erasure_status
from retentiond.engine.erasures import Asked
from retentiond.engine.holds import add_hold, release_hold
from retentiond.engine.leaving import persons_of
from retentiond.engine.overview import status
from retentiond.engine.replaying import replay
from retentiond.engine.running import Session
from retentiond.errors import UsageError
from retentiond.service.metrics import of_status
from tests.engine.office import NOW
from tests.erasure.scene import HOSTILE, Scene, make_scene
from tests.erasure.test_erasing import receipts
from tests.replay.restoring import back_up, restore

LAW, BOOKS = "flagged chats are evidence", "chats are kept for ten days"


def keeping(scene: Scene, *kept: dict[str, Any], **closure: Any) -> None:
    """Say what has to be kept; JSON is YAML."""
    path = scene.config / "policies.yaml"
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith(("closure:", "lists:"))]
    lists = closure.pop("lists", {})
    terms = {
        "grace": "none",
        "deadline": "30 days",
        **({"classes": {"content": list(kept)}} if kept else {}),
        **closure,
    }
    more = [f"lists: {json.dumps(lists)}"] if lists else []
    path.write_text("\n".join([*lines, *more, f"closure: {json.dumps(terms)}"]) + "\n", "utf-8")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = make_scene(tmp_path)
    made.edit("policies.yaml", "max_percent: 95", "max_percent: 100")
    path = made.config / "datamap.yaml"
    head, tail = path.read_text("utf-8").split("  scores:\n")
    tail = tail.replace("class: content", "class: counts")
    head = head.replace(
        "    blobs: {column: payload", "    attributes: {flagged: flagged}\n    blobs: {column: payload"
    )
    path.write_text(f"{head}  scores:\n{tail}", "utf-8")
    made.edit("policies.yaml", "closure:", "  counts: {class: counts, rules: [{keep: 5 years}]}\nclosure:")
    made.chat("plain", "acct-a", HOSTILE, payload="plain")
    made.chat("flagged", "acct-a", HOSTILE, payload="flagged")
    made.chat("unsaid", "acct-b", HOSTILE)
    made.chat("theirs", "acct-a", "other", payload="theirs")
    made.chat("shared", "acct-a", "other", [HOSTILE])
    with made.db() as db:
        db.execute("ALTER TABLE chats ADD COLUMN flagged")
        db.execute("UPDATE chats SET flagged = (id IN ('flagged', 'theirs'))")
        db.execute("UPDATE chats SET flagged = NULL WHERE id = 'unsaid'")
    made.approve_datasets()
    return made


def run(scene: Scene, days: float = 0) -> Session:
    scene.clock.at = NOW + timedelta(days=days)
    return scene.run()


def approved(scene: Scene) -> None:
    """Run, and let somebody approve what is kept, which nobody did yet."""
    session = scene.run()
    assert session.stopped is not None
    assert session.stopped.guard == "erasure-approval"
    with scene.open() as ctx:
        for waiting in status(ctx).waiting:
            approve(ctx, waiting.id, None)
    assert not scene.run().stops


def told(scene: Scene, name: str) -> ErasureStatus:
    with scene.open() as ctx:
        return erasure_status(ctx, scene.row(name))


def ask(scene: Scene, where: str = "", account: str = "acct-a", user: str = HOSTILE) -> str:
    asked = Asked(Person(account, user), "gdpr", None, "ticket", "seen", where)
    with scene.open() as ctx:
        return erasures.add_erasure(ctx, asked, None).id


def test_what_has_to_be_kept_stays_until_its_date_and_then_the_request_ends_with_its_receipt(scene: Scene) -> None:
    keeping(
        scene, {"when": {"flagged": True}, "keep": "12 months", "reason": LAW}, {"keep": "10 days", "reason": BOOKS}
    )
    name = ask(scene)
    everything = {"plain", "flagged", "unsaid", "theirs", "shared"}
    run(scene, 6.9)  # three days old, and kept for ten
    assert scene.rows("chats") == everything
    scene.clock.at = NOW + timedelta(days=7.1)
    approved(scene)
    assert scene.rows("chats") == {"flagged", "unsaid", "theirs"}
    assert scene.blobs() == {"flagged", "theirs"}
    row, date = scene.row(name), datetime(2027, 5, 29, 12, tzinfo=UTC)
    assert row.remainder is not None
    assert row.remainder.kept == (KeptPart("chats", "content", LAW, 1, date, date),)
    assert (row.next_deadline, row.state) == (date, ErasureState.IN_PROGRESS)
    run(scene, 361.9)
    assert scene.rows("chats") == {"flagged", "unsaid", "theirs"}
    assert receipts(scene) == []
    run(scene, 362.1)
    assert scene.rows("chats") == {"unsaid", "theirs"}
    assert scene.blobs() == {"theirs"}
    assert scene.row(name).state is ErasureState.DONE
    (receipt,) = receipts(scene)
    assert receipt["runs"]["count"] == 2


def test_it_is_dated_in_words_and_not_overdue_before_its_date(scene: Scene) -> None:
    keeping(scene, {"keep": "100 days", "reason": BOOKS})
    name = ask(scene)
    scene.run()
    late = NOW + timedelta(days=50)
    scene.clock.at = late
    scene.run()
    with scene.open() as ctx:
        found, at = status(ctx), ctx.now()
        metrics = {each.name: each.samples[0].value for each in of_status(found, at, 0) if "erasure" in each.name}
        documents = [erasure_document(each, at) for each in erasures.list_erasures(ctx)]
    assert (found.erasures_past_deadline, found.erasures_near_deadline) == (0, 0)
    assert any(0 < value < 48 * 86400 for name, value in metrics.items() if "deadline_seconds" in name)
    assert documents[0]["deadline_at"] < documents[0]["next_deadline_at"] == "2026-09-06T12:00:00Z"
    assert documents[0]["days_left"] >= 46
    said = erasure_document(scene.row(name), late, told(scene, name))
    assert said["dated"] == [
        {
            "dataset": "chats",
            "class": "content",
            "records": 3,
            "why": BOOKS,
            "first_at": "2026-09-06T12:00:00Z",
            "until": "2026-09-06T12:00:00Z",
        },
        {**said["dated"][1], "dataset": "payloads", "records": 2, "why": BOOKS},
    ]
    assert documents[0]["stays"]["kept"][0]["reason"] == BOOKS


def test_a_hold_beside_it_has_no_date_and_no_matter_and_wins_after_it(scene: Scene) -> None:
    keeping(scene, {"keep": "10 days", "reason": BOOKS})
    with scene.open() as ctx:
        held = add_hold(ctx, Scope(dataset="chats", keys=(b"plain",)), "Matter-1", "", None)
    name = ask(scene)
    scene.run()
    said = told(scene, name)
    assert {
        (part.dataset, part.records, part.why, bool(part.until)) for part in said.dated if part.dataset == "chats"
    } == {
        ("chats", 2, BOOKS, True),
        ("chats", 1, "the law forbids removing it for now", False),
    }
    assert "Matter-1" not in repr(said)
    keeping(scene, {"keep": "10 days", "reason": BOOKS})
    scene.clock.at = NOW + timedelta(days=7.1)
    approved(scene)
    assert scene.rows("chats") == {"plain", "unsaid", "theirs"}
    assert scene.row(name).state is ErasureState.IN_PROGRESS
    with scene.open() as ctx:
        release_hold(ctx, held.hold.id, None)
    run(scene, 8)
    assert scene.rows("chats") == {"unsaid", "theirs"}
    assert scene.row(name).state is ErasureState.DONE


def test_what_nobody_can_tell_stays_undetermined(scene: Scene) -> None:
    keeping(scene, {"when": {"flagged": True}, "keep": "12 months", "reason": LAW})
    name = ask(scene, account="acct-b")
    scene.run()
    row = scene.row(name)
    assert row.remainder is not None
    assert (row.remainder.undetermined, row.remainder.kept) == (1, ())
    assert "unsaid" in scene.rows("chats")
    assert row.next_deadline == row.deadline_at


@pytest.mark.parametrize("months_end", [datetime(2027, 1, 31, 12, tzinfo=UTC), datetime(2027, 12, 31, 12, tzinfo=UTC)])
def test_what_counts_from_a_closure_counts_from_the_intake_of_the_request(scene: Scene, months_end: datetime) -> None:
    scene.clock.at = months_end
    keeping(scene, {"after_closure": "1 month", "reason": BOOKS})
    with scene.db() as db:
        db.execute("UPDATE chats SET created = '2026-05-01T00:00:00Z'")
    asked = Asked(Person("acct-a", HOSTILE), "gdpr", (months_end - timedelta(days=25)).date(), "t", "seen")
    with scene.open() as ctx:
        name = erasures.add_erasure(ctx, asked, None).id
    scene.run()
    first = datetime(2027, 3, 1, tzinfo=UTC) if months_end.month == 1 else datetime(2028, 1, 31, 12, tzinfo=UTC)
    remainder = scene.row(name).remainder
    assert remainder is not None
    assert [part.until for part in remainder.kept] == [first]
    scene.clock.at = first - timedelta(seconds=1)
    scene.run()
    assert scene.rows("chats") == {"plain", "flagged", "unsaid", "theirs", "shared"}
    scene.clock.at = first + timedelta(seconds=1)
    approved(scene)
    assert scene.rows("chats") == {"unsaid", "theirs"}


def test_an_obligation_may_say_that_it_is_of_closures_alone(scene: Scene) -> None:
    keeping(scene, {"keep": "10 days", "reason": BOOKS, "erasures": False})
    name = ask(scene)
    approved(scene)
    assert scene.row(name).state is ErasureState.DONE
    assert scene.rows("chats") == {"unsaid", "theirs"}


def test_where_an_account_belongs_is_said_or_listed_and_never_guessed(scene: Scene) -> None:
    places = {"jurisdictions": {"de": {}, "us": {"accounts": "americans"}}, "lists": {"americans": ["acct-b"]}}
    keeping(scene, {"keep": "10 days", "reason": BOOKS, "jurisdictions": ["de"]}, **places)
    with scene.db() as db:
        db.execute("UPDATE chats SET flagged = 0")
    with pytest.raises(UsageError, match="a list says"):
        ask(scene, "de", "acct-b")
    with pytest.raises(UsageError, match="there is no jurisdiction"):
        ask(scene, "fr")
    unknown, listed = ask(scene), ask(scene, account="acct-b")
    american = ask(scene, "us", "acct-a", "other")
    approved(scene)
    assert scene.rows("chats") == {"plain", "flagged", "shared"}, "as nobody said where acct-a belongs"
    assert told(scene, unknown).unnamed == ("de",)
    assert [scene.row(each).state for each in (listed, american)] == [ErasureState.DONE, ErasureState.IN_PROGRESS]
    assert scene.row(american).jurisdiction == "us"
    assert scene.row(listed).jurisdiction == "us"
    run(scene, 7.1)
    assert [scene.row(each).state for each in (unknown, american)] == [ErasureState.DONE] * 2


def test_a_policy_that_keeps_less_than_was_approved_waits_for_a_person(scene: Scene) -> None:
    keeping(scene, {"keep": "10 days", "reason": BOOKS})
    ask(scene)
    scene.clock.at = NOW + timedelta(days=7.1)
    approved(scene)
    second = ask(scene, user="other")
    for kept in ((), ({"keep": "1 day", "reason": BOOKS},)):
        keeping(scene, *kept)
        session = scene.run()
        assert session.stopped is not None
        assert "what erasures keep of class content was not approved in its present form" in str(session.stopped)
        assert scene.rows("chats") == {"unsaid", "theirs"}
    assert scene.row(second).state is ErasureState.IN_PROGRESS


def test_both_readings_agree_and_one_case_removes(scene: Scene) -> None:
    kept = [
        {"when": {"flagged": True}, "keep": "2 days", "reason": LAW, "jurisdictions": ["de"]},
        {"after_closure": "5 days", "reason": BOOKS, "jurisdictions": ["us"]},
    ]
    keeping(scene, *kept, jurisdictions={"de": {}, "us": {}})
    with scene.db() as db:
        db.execute("DELETE FROM chats")
        flags, clocks = (0, 1, None, "odd"), (scene.ago(1), scene.ago(3), "no clock", None, scene.ago(-9))
        people = (
            ("acct-a", "u-1"),
            ("acct-a", "u-2"),
            ("acct-a", None),
            ("acct-b", "u-1"),
            ("acct-c", "x"),
            (None, "u-1"),
        )
        rows = [(who, flag, clock) for who in people for flag in flags for clock in clocks]
        for number, (who, flag, clock) in enumerate(rows):
            db.execute("INSERT INTO chats VALUES (?, ?, ?, NULL, ?, NULL, ?)", (str(number), *who, clock, flag))
    asked = [("de", "acct-a", "u-1"), ("us", "acct-b", "u-1"), ("", "acct-c", "")]
    names = [ask(scene, *each) for each in asked]
    with scene.open() as ctx:
        requests = {Person(*each[1:]).text: scene.row(name) for each, name in zip(asked, names, strict=True)}
        dataset = ctx.datamap.datasets["chats"]
        cases = erasing_cases(persons_of(requests), ctx.policies.of_class("content"), dataset, ctx.now())
        every = frozenset(range(len(cases.cases)))
        found = [each for window in ctx.connector(dataset).scan(dataset, cases, every) for each in window.found]
    assert cases.due == (1,)
    read = cases.python()
    assert [read(each.record) for each in found] == [each.case for each in found]
    gone = {each.record.key[0] for each in found if each.case == 1}
    expected = {
        str(number)
        for number, ((account, user), flag, clock) in enumerate(rows)
        if (account, user) == ("acct-a", "u-1") and (flag == 0 or clock == clocks[1])
    }
    assert gone == expected, "of others something is kept, or nobody can tell"


def test_what_is_perhaps_of_a_user_and_kept_of_its_account_keeps_both_requests_open(scene: Scene) -> None:
    keeping(scene, {"keep": "10 days", "reason": BOOKS})
    with scene.db() as db:
        db.execute("UPDATE chats SET user_id = x'ff' WHERE id = 'plain'")
        db.execute("DELETE FROM chats WHERE id != 'plain'")
    names = [ask(scene), ask(scene, user="")]
    scene.run()
    assert [scene.row(each).state for each in names] == [ErasureState.IN_PROGRESS] * 2
    assert receipts(scene) == []


def test_a_replay_keeps_what_has_to_be_kept_by_now_and_removes_what_is_past_it(scene: Scene) -> None:
    keeping(scene, {"keep": "10 days", "reason": BOOKS})
    name = ask(scene)
    backup = back_up(scene)
    scene.clock.at = NOW + timedelta(days=7.1)
    approved(scene)
    assert scene.row(name).state is ErasureState.DONE
    scene.clock.at = NOW + timedelta(days=8)
    restore(scene, backup)
    keeping(scene, {"keep": "30 days", "reason": BOOKS})
    with scene.open() as ctx:
        replay(ctx)
    assert scene.rows("chats") == {"plain", "flagged", "unsaid", "theirs", "shared"}, "by a policy of today"
    keeping(scene, {"keep": "10 days", "reason": BOOKS})
    with scene.open() as ctx:
        done = replay(ctx)
    assert not done.session.stops
    assert scene.rows("chats") == {"unsaid", "theirs"}, "each date was over when the request ended"
