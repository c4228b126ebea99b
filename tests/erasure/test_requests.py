"""The life of a request: who is named, what is signed and logged, when it may be extended, refused, cancelled."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime, timedelta

import pytest

from retentiond.domain.erasure import ErasureEvent, ErasureState
from retentiond.domain.plan import RunState
from retentiond.engine import drafting, erasures
from retentiond.engine.pseudonyms import pseudonyms_of
from retentiond.engine.recovery import recover
from retentiond.engine.running import go_on_acting, has_work
from retentiond.errors import ErasureStateError, Interrupted, LogIntegrityError, NotFound, UsageError
from retentiond.ports.rows import PendingRow
from retentiond.ports.stores import Acted, Order
from tests.engine.office import Proxy
from tests.erasure.scene import HOSTILE, Scene

MONTH_LATER = datetime(2026, 7, 1, 22, tzinfo=UTC)  # the end of 1 July in Berlin


def test_a_request_begins_only_once_somebody_said_how_the_identity_was_verified(scene: Scene) -> None:
    scene.chat("mine", "acct-a", "u-1")
    name = scene.ask("acct-a", "u-1", identity="")
    scene.run()
    assert scene.row(name).state is ErasureState.RECEIVED
    assert scene.rows("chats") == {"mine"}
    scene.change(name, ErasureEvent.VERIFY, "called back under the number on file")
    scene.run()
    assert scene.row(name).state is ErasureState.DONE
    assert scene.rows("chats") == set()
    with scene.open() as ctx:
        texts = erasures.texts_of(ctx, erasures.erasure_of(ctx, name))
    assert [(each["verb"], each["text"]) for each in texts] == [
        ("add", "ticket 1"),
        ("verify", "called back under the number on file"),
    ]


def test_in_observe_mode_nothing_begins_and_the_clock_runs(scene: Scene) -> None:
    scene.edit("retentiond.yaml", "mode: enforce", "mode: observe")
    scene.chat("mine", "acct-a", "u-1")
    name = scene.ask("acct-a", "u-1")
    scene.run()
    row = scene.row(name)
    assert row.state is ErasureState.VERIFIED
    assert row.deadline_at == MONTH_LATER
    assert scene.rows("chats") == {"mine"}


def test_a_request_is_extended_once_with_a_reason_and_before_its_first_deadline(scene: Scene) -> None:
    name = scene.ask("acct-a", "u-1", identity="")
    assert scene.row(name).deadline_at == MONTH_LATER
    with pytest.raises(UsageError, match="in words"):
        scene.change(name, ErasureEvent.EXTEND, "  ")
    scene.clock.at = MONTH_LATER - timedelta(seconds=1)
    row = scene.change(name, ErasureEvent.EXTEND, "many requests at once")
    assert row.deadline_at == datetime(2026, 9, 1, 22, tzinfo=UTC)
    with pytest.raises(ErasureStateError, match="extended once"):
        scene.change(name, ErasureEvent.EXTEND)


def test_past_the_first_deadline_nothing_is_extended_any_more(scene: Scene) -> None:
    name = scene.ask("acct-a", "u-1", identity="")
    scene.clock.at = MONTH_LATER
    with pytest.raises(ErasureStateError, match="before that"):
        scene.change(name, ErasureEvent.EXTEND)


def test_a_refused_request_removes_nothing_and_forgets_who_asked(scene: Scene) -> None:
    scene.chat("mine", "acct-a", HOSTILE)
    name = scene.ask("acct-a", HOSTILE)
    row = scene.change(name, ErasureEvent.REFUSE, "kept for a claim, article 17(3)(e)")
    assert row.state is ErasureState.REFUSED
    assert row.ended_at == scene.clock.at
    scene.run()
    assert scene.rows("chats") == {"mine"}
    assert not scene.row(name).subject_sealed
    with pytest.raises(ErasureStateError, match="refused cannot extend"):
        scene.change(name, ErasureEvent.EXTEND)
    assert scene.row(scene.ask("acct-a", HOSTILE)).state is ErasureState.VERIFIED  # asked again, it is another request


def test_a_request_is_cancelled_only_before_it_begins(scene: Scene) -> None:
    first = scene.ask("acct-a", "u-1", identity="")
    assert scene.change(first, ErasureEvent.CANCEL).state is ErasureState.CANCELLED
    scene.chat("odd", "acct-a", b"\xff")
    second = scene.ask("acct-a", "u-1")
    scene.run()
    with pytest.raises(ErasureStateError, match="in-progress cannot cancel"):
        scene.change(second, ErasureEvent.CANCEL)
    assert scene.change(second, ErasureEvent.REFUSE, "nobody can tell").state is ErasureState.REFUSED


def test_one_person_has_one_request_at_a_time(scene: Scene) -> None:
    scene.ask("acct-a", "u-1", identity="")
    with pytest.raises(ErasureStateError, match="is received since 2026-06-01"):
        scene.ask("acct-a", "u-1", law="ccpa")
    scene.ask("acct-a", "u-2")
    scene.ask("acct-a")


@pytest.mark.parametrize(
    ("account", "user", "more", "says"),
    [
        ("", "u-1", {}, "names an account"),
        ("acct-a", "u-1", {"law": "lex-talionis"}, "one of: gdpr, ccpa"),
        ("acct-a", "u-1", {"received": date(2026, 6, 2)}, "still to come"),
        ("acct-a", "u-1", {"received": date(9999, 12, 1)}, "still to come"),
        ("acct-a", "u\udc80", {}, "not valid Unicode"),
    ],
)
def test_a_request_of_nobody_or_under_no_law_is_refused(
    scene: Scene, account: str, user: str, more: dict[str, object], says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        scene.ask(account, user, **more)  # type: ignore[arg-type]
    assert says in str(caught.value)
    with scene.open() as ctx:
        assert erasures.list_erasures(ctx, ended=True) == []


def test_what_nobody_knows_is_not_found(scene: Scene) -> None:
    with pytest.raises(NotFound):
        scene.change("nothing", ErasureEvent.VERIFY)


def test_a_person_whose_request_has_ended_stands_nowhere_in_the_ledger(scene: Scene) -> None:
    scene.chat("mine", "acct-hidden", HOSTILE)
    name = scene.ask("acct-hidden", HOSTILE)
    scene.run()
    assert scene.row(name).state is ErasureState.DONE
    for path in (*scene.root.glob("ledger.db*"), *(scene.root / "journal").rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            for text in ("acct-hidden", HOSTILE, json.dumps(HOSTILE), "passport seen"):
                assert text.encode() not in data


def test_texts_of_a_request_are_forgotten_when_their_time_is_over(scene: Scene) -> None:
    scene.edit("policies.yaml", "{zone: Europe/Berlin}", "{zone: Europe/Berlin, keep: 30 days}")
    name = scene.ask("acct-a", "u-1")
    scene.run()
    scene.clock.at += timedelta(days=30)
    scene.run()
    assert scene.row(name).texts_sealed
    scene.clock.at += timedelta(seconds=1)
    scene.run()
    assert not scene.row(name).texts_sealed


def test_a_request_counts_only_once_its_entry_is_published(scene: Scene) -> None:
    scene.chat("mine", "acct-a", "u-1")
    tiles = scene.root / "log" / "tile"
    shutil.move(tiles, scene.root / "aside")
    tiles.write_text("in the way")
    with pytest.raises(LogIntegrityError, match="pending"):
        scene.ask("acct-a", "u-1")
    with scene.open() as ctx:
        (row,) = erasures.list_erasures(ctx)
    assert row.state is ErasureState.ASKED
    tiles.unlink()
    shutil.move(scene.root / "aside", tiles)
    scene.run()
    assert scene.row(row.id).state is ErasureState.DONE


def test_a_lost_ledger_is_rebuilt_with_all_requests_and_what_became_of_them(scene: Scene) -> None:
    old = scene.root / "old"
    old.mkdir()
    for path in scene.root.glob("ledger.db*"):
        shutil.copy(path, old)
    scene.chat("mine", "acct-a", "u-1")
    done = scene.ask("acct-a", "u-1")
    scene.run()
    names = [scene.ask("acct-a", f"u-{number}", identity="") for number in range(2, 7)]
    scene.change(names[0], ErasureEvent.VERIFY, "seen")
    scene.change(names[1], ErasureEvent.EXTEND, "more time")
    scene.change(names[2], ErasureEvent.REFUSE, "no")
    scene.change(names[3], ErasureEvent.CANCEL, "taken back")
    before = {name: scene.row(name) for name in (done, *names)}
    for path in scene.root.glob("ledger.db*"):
        path.unlink()
    shutil.copytree(old, scene.root, dirs_exist_ok=True)
    with scene.open() as ctx:
        recover(ctx)
    for name, row in before.items():
        found = scene.row(name)
        same = (
            "state",
            "deadline_at",
            "first_at",
            "last_at",
            "received_on",
            "law",
            "receipt",
            "commitment",
            "of_account",
        )
        for field in same:
            assert getattr(found, field) == getattr(row, field), (name, field)
        with scene.open() as ctx:
            assert erasures.subject_of(ctx, found) == erasures.subject_of(ctx, row)
            assert [each["text"] for each in erasures.texts_of(ctx, found)] == [
                each["text"] for each in erasures.texts_of(ctx, row)
            ]


def test_a_ledger_that_is_rebuilt_knows_no_pseudonym_of_an_account_that_was_erased(scene: Scene) -> None:
    with scene.open() as ctx:
        before = pseudonyms_of(ctx, ["acct-a", "acct-b"])
    old = scene.root / "old"
    old.mkdir()
    for path in scene.root.glob("ledger.db*"):
        shutil.copy(path, old)
    scene.chat("mine", "acct-a", "u-1")
    scene.ask("acct-a", "")
    scene.ask("acct-b", "u-1")
    scene.run()
    for path in scene.root.glob("ledger.db*"):
        path.unlink()
    shutil.copytree(old, scene.root, dirs_exist_ok=True)
    with scene.open() as ctx:
        recover(ctx)
        after = pseudonyms_of(ctx, ["acct-a", "acct-b"])
    assert (after["acct-a"] == before["acct-a"], after["acct-b"] == before["acct-b"]) == (False, True)


def test_a_request_that_is_refused_while_its_run_stands_still_removes_nothing_more(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafting, "BATCH_RECORDS", 1)
    for number in range(3):
        scene.chat(f"c-{number}", "acct-a", "u-1")
        scene.chat(f"d-{number}", "acct-a", "u-2")
    first, second = scene.ask("acct-a", "u-1"), scene.ask("acct-a", "u-2")
    asked = iter((False, False))  # the operator asks to stop after two batches
    scene.stop = lambda: next(asked, True)
    with pytest.raises(Interrupted):
        scene.run()
    scene.stop = lambda: False
    before = scene.rows("chats")
    assert 0 < len(before) < 6
    scene.change(first, ErasureEvent.REFUSE, "a claim came up")
    scene.run()
    assert {name for name in before if name.startswith("c")} == scene.rows("chats")
    assert scene.row(second).state is ErasureState.DONE
    with scene.open() as ctx, ctx.ledger.begin() as tx:
        assert not tx.plans.in_state(RunState.RUNNING, RunState.STOPPED, RunState.PLANNED, RunState.WAITING)


def test_a_run_all_of_whose_requests_are_refused_ends_with_its_receipt(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafting, "BATCH_RECORDS", 1)
    for number in range(3):
        scene.chat(f"c-{number}", "acct-a", "u-1")
    name = scene.ask("acct-a", "u-1")
    asked = iter((False, False))
    scene.stop = lambda: next(asked, True)
    with pytest.raises(Interrupted):
        scene.run()
    scene.stop = lambda: False
    before = scene.rows("chats")
    scene.change(name, ErasureEvent.REFUSE, "a claim came up")
    session = scene.run()
    assert scene.rows("chats") == before != set()
    assert not session.failures
    with scene.open() as ctx, ctx.ledger.begin() as tx:
        assert not tx.plans.in_state(RunState.RUNNING, RunState.STOPPED, RunState.PLANNED, RunState.WAITING)


def test_the_daemon_begins_a_verified_request_between_schedules_and_leaves_what_something_keeps_to_the_next(
    scene: Scene,
) -> None:
    scene.chat("mine", "acct-a", "u-1")
    scene.chat("odd", "acct-b", b"\xff")
    with scene.open() as ctx:
        assert not has_work(ctx)
    scene.ask("acct-a", "u-1", identity="")
    with scene.open() as ctx:
        assert not has_work(ctx)
    scene.ask("acct-a", "u-2")
    scene.ask("acct-b", "u-1")
    with scene.open() as ctx:
        assert has_work(ctx)
        go_on_acting(ctx)
        assert not has_work(ctx)
        states = sorted(row.state for row in erasures.list_erasures(ctx, ended=True))
    assert states == [ErasureState.DONE, ErasureState.IN_PROGRESS, ErasureState.RECEIVED]


def test_no_more_begin_in_a_day_than_the_limit_says(scene: Scene) -> None:
    scene.edit("policies.yaml", "{zone: Europe/Berlin}", "{zone: Europe/Berlin, limits: {per_day: 2}}")
    for number in range(3):
        scene.ask("acct-a", f"u-{number}")
    scene.run()
    with scene.open() as ctx:
        assert len(erasures.list_erasures(ctx)) == 1
    scene.clock.at += timedelta(days=1, seconds=1)
    scene.run()
    with scene.open() as ctx:
        assert erasures.list_erasures(ctx) == []


class Refusing(Proxy):
    """Somebody refuses a request while its records are removed, after the first of them."""

    scene: Scene
    name = ""

    def act(self, order: Order) -> Acted:
        acted = self.real.act(order)
        if self.scene.row(self.name).state is ErasureState.IN_PROGRESS:
            self.scene.change(self.name, ErasureEvent.REFUSE, "a claim came up")
        return acted


def test_a_refusal_counts_in_the_run_that_is_under_way(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "BATCH_RECORDS", 1)
    for number in range(3):
        scene.chat(f"c-{number}", "acct-a", "u-1")
    name = scene.ask("acct-a", "u-1")
    scene.wraps["app"] = type("Of", (Refusing,), {"scene": scene, "name": name})
    session = scene.run()
    assert not session.failures
    assert len(scene.rows("chats")) == 2
    assert scene.row(name).state is ErasureState.REFUSED


def test_no_change_counts_before_the_log_has_its_entry(scene: Scene) -> None:
    name = scene.ask("acct-a", "u-1", identity="")
    with scene.open() as ctx:
        with ctx.ledger.begin() as tx:
            tx.pending.add(PendingRow(1_000, erasures.REFUSE, name, "alice", scene.clock.at))
        erasures.settle_erasures(ctx, 1_000)
        assert erasures.erasure_of(ctx, name).state is ErasureState.RECEIVED
        erasures.settle_erasures(ctx, 1_001)
        assert erasures.erasure_of(ctx, name).state is ErasureState.REFUSED
