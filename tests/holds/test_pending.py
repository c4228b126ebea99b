"""What stops counts from its commit, whatever journal and log do; what lets go waits until its entry is published."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from retentiond.domain.account import AccountState
from retentiond.domain.hold import Scope
from retentiond.domain.plan import RunState
from retentiond.engine.accounts import account_status
from retentiond.engine.approvals import approve, reject
from retentiond.engine.closures import cancel_closure, close_account
from retentiond.engine.holds import (
    RELEASE,
    add_hold,
    list_holds,
    pending_releases,
    release_hold,
    settle_releases,
)
from retentiond.errors import AccountStateError, ApprovalError, Exit, GuardStopped, LogIntegrityError, RetentiondError
from retentiond.evidence.entry import EntryKind, parse_entry
from retentiond.ports.rows import PendingRow
from retentiond.tlog import directory
from retentiond.tlog.journal import DirectoryJournal
from tests.engine.office import log_entries
from tests.holds.stock import HELD, SCOPES, after_run
from tests.holds.world import World

ACCOUNT = Scope(accounts=(HELD,))
Fill = Callable[[], None]


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(params=["log", "journal"])
def full(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Fill:
    """Fill the disk of the log, or of the journal; undone by `monkeypatch.undo`."""

    def fill() -> None:
        if request.param == "log":
            monkeypatch.setattr(directory, "_write", _full)
        else:
            monkeypatch.setattr(DirectoryJournal, "_write", _full)

    return fill


def journalled(world: World) -> list[str]:
    """Name the kinds of records that stand in the journal, by the log's order."""
    with world.office.open() as ctx:
        records = []
        for entry in map(parse_entry, ctx.log.read_entries()):
            if entry.kind is EntryKind.STATE:
                sealed = ctx.journal.sealed(entry.sha256)
                assert sealed is not None
                records.append(str(ctx.journal.open(sealed)["kind"]))
        return records


def test_a_hold_is_in_force_whatever_journal_and_log_do(
    world: World, full: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, start = world.plan(), world.look()
    full()
    with pytest.raises(LogIntegrityError, match="in force, but not yet logged") as caught:
        world.hold(ACCOUNT)
    assert caught.value.exit_code is Exit.FAILED
    assert "removed meanwhile: 0" in caught.value.what
    with world.office.open() as ctx:
        assert [hold.matter for hold in list_holds(ctx)] == ["Case 1"]
    monkeypatch.undo()
    world.apply(plan)
    assert world.look() == after_run(world.rows, start, world.office.clock.at, kept=SCOPES["account"].of(world.rows))
    assert "hold" in journalled(world)


def test_a_release_is_pending_until_its_entry_is_published(
    world: World, full: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.hold(ACCOUNT)
    full()
    with pytest.raises(LogIntegrityError, match=r"release .* is pending"):
        world.release()
    with world.office.open() as ctx:
        (hold,) = list_holds(ctx)
        assert pending_releases(ctx) == {hold.id}
    monkeypatch.undo()
    start = world.look()
    world.apply(world.plan())  # the plan was made while the hold was in force, and a release adds nothing to it
    with world.office.open() as ctx:
        assert list_holds(ctx) == []
        assert pending_releases(ctx) == frozenset()
    assert world.look() == after_run(world.rows, start, world.office.clock.at, kept=SCOPES["account"].of(world.rows))
    assert journalled(world)[:2] == ["hold", "hold-release"]


def test_a_change_waits_for_its_own_entry(world: World) -> None:
    """The log may have grown by other entries; what counts is whether it has this one."""
    world.hold(ACCOUNT)
    with world.office.open() as ctx:
        (hold,) = list_holds(ctx)
        with ctx.ledger.begin() as tx:
            tx.pending.add(PendingRow(7, RELEASE, hold.id, "somebody", world.office.clock.at))
        settle_releases(ctx, 7)
        assert list_holds(ctx) == [hold]
        settle_releases(ctx, 8)
        assert list_holds(ctx) == []


def test_an_approval_is_pending_until_its_entry_is_published(
    world: World, full: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, start = world.plan(approved=False), world.look()
    full()
    with pytest.raises(LogIntegrityError, match=r"approval .* is pending"):
        world.approve(plan)
    with world.office.open() as ctx, ctx.ledger.begin() as tx:
        row = tx.plans.get(plan)
        assert row is not None
        assert row.state is RunState.WAITING
    monkeypatch.undo()
    world.apply(plan)
    assert world.look() == after_run(world.rows, start, world.office.clock.at)


def test_a_rejection_counts_at_once(world: World, full: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, start = world.plan(), world.look()
    full()
    with world.office.open() as ctx, pytest.raises(LogIntegrityError, match="is void, but not yet logged"):
        reject(ctx, plan, None)
    monkeypatch.undo()
    with pytest.raises(ApprovalError, match="is void"):
        world.apply(plan)
    assert world.look() == start
    assert "void" in log_entries(world.office)
    assert "approval" in journalled(world)


def test_a_closure_and_its_cancellation_are_pending_until_published(
    world: World, full: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = world.look()
    full()
    with world.office.open() as ctx:
        with pytest.raises(LogIntegrityError, match="closure is pending"):
            close_account(ctx, HELD, "asked to", None)
        assert account_status(ctx, HELD).state is AccountState.OPEN
        with pytest.raises(RetentiondError, match="No space left"):
            world.run()
        assert world.look() == start
        with pytest.raises(AccountStateError, match="pending"):
            close_account(ctx, HELD, "asked to", None)
    monkeypatch.undo()
    world.run()
    assert all(row.key not in world.look() for row in world.rows if row.account == HELD)


def test_a_cancelled_closure_keeps_no_name(world: World) -> None:
    world.office.edit("policies.yaml", "grace: none", "grace: 2 days")
    with world.office.open() as ctx:
        closure = close_account(ctx, HELD, "asked to", None)
        cancel_closure(ctx, HELD, None)
        with ctx.ledger.begin() as tx:
            kept = tx.closures.get(closure.id)
        assert kept is not None
        assert (kept.state, kept.account_sealed) == (AccountState.OPEN, b"")
        assert account_status(ctx, HELD).state is AccountState.OPEN
        assert close_account(ctx, HELD, "again", None).state is AccountState.GRACE


def test_the_journal_holds_everything_that_replay_needs(world: World) -> None:
    """Each record, opened with the wrapping key alone, says who, what and until when; nothing of it is in the clear."""
    hostile = "Case\n'\"\x00\u202e\U0001f512 ../%2e"
    condition = SCOPES["condition"].scope(world.office)
    with world.office.open() as ctx:
        add_hold(ctx, Scope(accounts=(HELD, "a\nb")), hostile, "why\n", None)
        add_hold(ctx, Scope("requests", keys=(b"\xff\x00key",)), hostile, "", None)
        add_hold(ctx, condition, "Case 2", "", None)
        release_hold(ctx, "Case 2", None)
        close_account(ctx, "acct-leaves", "asked to", None)
    plan = world.plan(approved=False)
    with world.office.open() as ctx:
        approve(ctx, plan, None)
    assert journalled(world) == ["hold", "hold", "hold", "hold-release", "closure", "approval"]
    with world.office.open() as ctx:
        records = [
            ctx.journal.open(sealed)
            for entry in map(parse_entry, ctx.log.read_entries())
            if entry.kind is EntryKind.STATE and (sealed := ctx.journal.sealed(entry.sha256)) is not None
        ]
    assert records[0]["scope"] == {"dataset": "", "accounts": [HELD, "a\nb"], "keys": [], "condition": None}
    assert records[0]["matter"] == hostile
    assert records[1]["scope"]["keys"] == ["ff006b6579"]  # type: ignore[index,call-overload]
    assert records[2]["scope"]["condition"] == {"any_of": ["attribute:tier", ["legal", "sealed"]]}  # type: ignore[index,call-overload]
    assert {"id", "account", "reason", "requestedAt", "dueAt", "deadlineAt", "by"} <= records[4].keys()
    assert records[5]["planId"] == plan
    raw = b"".join(path.read_bytes() for path in Path(world.office.root / "journal").iterdir())
    for secret in (HELD, "acct-leaves", "Case"):
        assert secret.encode() not in raw
        assert json.dumps(secret)[1:-1].encode() not in raw


def test_nothing_is_staged_in_a_ledger_that_is_behind_its_log(world: World, tmp_path: Path) -> None:
    """A hold is in force there, too; its entry waits, since another one stands at its place in the log."""
    with world.office.open() as ctx:
        ctx.ledger.backup(tmp_path / "older.db")
    world.hold(ACCOUNT, "Case 1")
    world.hold(ACCOUNT, "Case 2")
    for path in world.office.root.glob("ledger.db*"):
        path.unlink()
    (tmp_path / "older.db").rename(world.office.root / "ledger.db")
    with world.office.open() as ctx:
        size = ctx.ledger.log_state.size()
    with pytest.raises(LogIntegrityError, match="in force, but not yet logged"):
        world.hold(ACCOUNT, "Case 3")
    with world.office.open() as ctx:
        assert [hold.matter for hold in list_holds(ctx)] == ["Case 3"]
        for forbidden in (
            lambda: release_hold(ctx, "Case 3", None),
            lambda: close_account(ctx, HELD, "asked to", None),
        ):
            with pytest.raises((LogIntegrityError, GuardStopped)):
                forbidden()
        assert ctx.ledger.log_state.size() == size
