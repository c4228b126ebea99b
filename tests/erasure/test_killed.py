"""Whatever step it dies at, the next run goes on, and each request ends once, with one receipt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from retentiond.domain.erasure import ErasureState
from retentiond.domain.hold import Scope
from retentiond.domain.plan import RunState
from retentiond.engine import closing, closure_receipts, erasing, erasures, running
from retentiond.engine.bundles import list_receipts
from retentiond.engine.holds import add_hold, release_hold
from retentiond.engine.running import run_all
from tests.erasure.scene import Scene


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


MOMENTS = (
    (running, "erase_due"),
    (erasing, "_begin"),
    (closing, "make_plan"),
    (closing, "carry_out_chain"),
    (closing, "_keep"),
    (closing, "issue_closure_receipts"),
    (closure_receipts, "confirm"),
    (closure_receipts, "sign"),
    (closure_receipts, "deliver"),
    (closure_receipts, "write_bundles"),
    (closure_receipts, "record_state"),
)


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [(*moment, number % 2) for number, moment in enumerate(MOMENTS)],  # both of each step: `test_closing.py` does that
    ids=[f"{name}-{number % 2}" for number, (_, name) in enumerate(MOMENTS)],
)
def test_whatever_step_it_dies_at_it_goes_on(
    owner: Any,
    name: str,
    after: int,
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(closure_receipts, "AT_ONCE", 1)
    for user in ("u-1", "u-2", "u-3", "stays"):
        scene.chat(f"of {user}", "acct-a", user, payload=f"p-{user}")
    with scene.open() as ctx:
        held = add_hold(ctx, Scope(dataset="chats", keys=(b"of u-3",)), "Case-1", "", None)
        names = list(scene.ask_all(ctx, [("acct-a", f"u-{number}") for number in (1, 2, 3)]))
    real = getattr(owner, name)

    def dies(*arguments: Any, **named: Any) -> Any:
        if after:
            found = real(*arguments, **named)
            if name == "carry_out_chain":
                next(found)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dies)
        with pytest.raises(Killed):
            scene.run()
    scene.run()
    states = [scene.row(each).state for each in names]
    assert states == [ErasureState.DONE, ErasureState.DONE, ErasureState.IN_PROGRESS]
    with scene.open() as ctx:
        release_hold(ctx, held.hold.id, None)
        run_all(ctx)
        receipts = [row for row in list_receipts(ctx) if row.kind == "erasure"]
        assert len(receipts) == 3
        assert all(Path(row.file).exists() for row in receipts)
        with ctx.ledger.begin() as tx:
            assert not tx.plans.in_state(RunState.RUNNING, RunState.STOPPED, RunState.PLANNED, RunState.WAITING)
        assert list(ctx.ledger.check()) == []
    assert scene.row(names[2]).state is ErasureState.DONE
    assert scene.rows("chats") == {"of stays"}
    assert scene.blobs() == {"p-stays"}


@pytest.mark.parametrize("name", ["request", "record_state", "deliver_what_waits"])
def test_a_request_whose_intake_dies_is_there_whole_or_not_at_all(
    name: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.chat("mine", "acct-a", "u-1")

    def dies(*_arguments: Any, **_named: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(erasures, name, dies)
        with pytest.raises(Killed):
            scene.ask("acct-a", "u-1")
    scene.run()
    gone = name == "deliver_what_waits"  # what was stored goes out with the next run, and counts
    assert scene.rows("chats") == (set() if gone else {"mine"})
