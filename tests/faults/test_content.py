"""A run that redacts is killed: between the act and the look, and anywhere. It ends in what is true.

`RETENTIOND_FAULTS=all` kills it at every moment.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from retentiond.clock import SystemClock
from retentiond.connectors.sqlite.store import SqliteStore
from retentiond.engine.approvals import approve
from tests.engine.handed_out import verdict
from tests.engine.office import Office, make_office, plan
from tests.engine.test_content import TEXT, WINDOW, fill, row, with_windows
from tests.faults.moments import run_in_fork, warm_up

DUE = [f"due-{number}" for number in range(5)]


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """An instance with an approved plan that redacts five rows."""
    warm_up()
    office = with_windows(make_office(tmp_path_factory.mktemp("content")), WINDOW)
    office.clock.at = SystemClock().now()
    for number, key in enumerate((*DUE, "young")):
        fill(office, key, 1 if key == "young" else 4 + number)
    with office.open() as ctx:
        planned = plan(ctx).plan
        assert planned is not None
        approve(ctx, planned.id, None)
    return office


def killed(seed: Office, root: Path, moment: int, prepare: Callable[[], None] = lambda: None) -> Office:
    """Kill a run, go on with it, and judge what came of it."""
    shutil.copytree(seed.root, root)
    office = Office(root, seed.clock)
    code, told = run_in_fork(office.config, {}, ("run",), moment, prepare)
    assert code == -signal.SIGKILL, told
    assert run_in_fork(office.config, {}, ("run",))[0] == 0
    (bundle,) = office.bundles()
    (part,) = json.loads(base64.b64decode(bundle["annex"]))["parts"]
    said = {name: count for name, count in part["outcomes"].items() if count}
    assert part["due"] == said.get("redacted", 0) + said.get("alreadyGone", 0) == len(DUE)
    assert verdict(office, next((root / "receipts").glob("*.bundle.json"))).valid
    for key in DUE:
        left = row(office, key)
        assert (left["messages"], left["response"], left["model"]) == (None, None, "m")
        assert left["metadata"] == '{"prompt": null, "tokens": 1.5}'
    assert row(office, "young")["messages"] == f"{TEXT} young"
    return office


def _die_before_the_look() -> None:
    def die(*_arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    SqliteStore.verify = die  # type: ignore[assignment,method-assign]


def test_killed_between_act_and_look_it_says_absent_and_not_redacted(seed: Office, tmp_path: Path) -> None:
    office = killed(seed, tmp_path / "copy", 0, _die_before_the_look)
    (bundle,) = office.bundles()
    (part,) = json.loads(base64.b64decode(bundle["annex"]))["parts"]
    assert (part["outcomes"]["alreadyGone"], part["outcomes"]["redacted"]) == (len(DUE), 0)
    assert part["verifiedBy"] == "select-by-key"


def test_killed_anywhere_it_ends_in_what_is_true(seed: Office, tmp_path: Path) -> None:
    shutil.copytree(seed.root, tmp_path / "whole")
    code, told = run_in_fork(tmp_path / "whole" / "config", {}, ("run",))
    assert code == 0
    count = sum(int(line.rpartition(": ")[2]) for line in told.splitlines())
    wanted = range(1, count + 1) if os.environ.get("RETENTIOND_FAULTS") == "all" else (count // 4, count // 2)
    for moment in wanted:
        killed(seed, tmp_path / str(moment), moment)
