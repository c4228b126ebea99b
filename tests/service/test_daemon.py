"""The daemon as its operator, its service manager and monitoring see it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from retentiond.clock import SystemClock
from retentiond.engine.approvals import approve
from tests.engine.office import FakeClock, Office, make_office, plan
from tests.service.daemon import Manager, Running, await_that

YOUNG = {"young", "young too"}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """An instance on the real clock, with schedules of a second, whose policies are approved."""
    office = make_office(tmp_path)
    office.clock = FakeClock(SystemClock().now().replace(microsecond=0))
    policies = office.config / "policies.yaml"
    policies.write_text(policies.read_text("utf-8").replace("every 6 hours", "every 1 second"), "utf-8")
    old(office, "first")
    office.request("young", 1)
    office.request("young too", 1)
    office.feedback(1, 1)
    office.feedback(2, 40)
    with office.open() as ctx:
        planned = plan(ctx)
        assert planned.plan is not None
        approve(ctx, planned.plan.id, None)
    return office


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


@pytest.fixture
def daemon(office: Office, tmp_path: Path, manager: Manager) -> Iterator[Running]:
    running = Running(office.config, tmp_path / "said", manager.environ)
    yield running
    running.kill()


def old(office: Office, key: str) -> None:
    office.request(key, 40)
    office.hide(key, 30)


def states(office: Office) -> set[str]:
    with office.open() as ctx, ctx.ledger.begin() as tx:
        return {run.state.value for run in tx.runs.recent(100)}


def test_it_removes_what_is_due_answers_and_ends_when_it_is_told_to(
    office: Office, daemon: Running, manager: Manager
) -> None:
    await_that(lambda: office.rows() == YOUNG, "the approved plan is carried out")
    old(office, "old")
    await_that(lambda: office.rows() == YOUNG, "the schedule is kept")
    await_that(lambda: len(daemon.lines("tick")) > 3, "ticks")
    assert daemon.get("/livez") == (200, "alive\n")
    assert daemon.get("/readyz") == (200, "ready\n")
    assert daemon.get("/elsewhere")[0] == 404
    assert daemon.metric('overdue_records{policy="content"}') == 0
    assert daemon.metric('records_total{disposition="purged",policy="content"}') >= 2
    assert abs(daemon.metric("last_tick_timestamp_seconds") - SystemClock().now().timestamp()) < 30
    assert "acct-a" not in daemon.get("/metrics")[1]
    assert daemon.stop() == 0
    heard = manager.heard
    assert heard[0] == "READY=1"
    assert heard.count("WATCHDOG=1") > 2
    assert "STOPPING=1" in heard
    assert "Traceback" not in daemon.text()
    assert {run["state"] for line in daemon.lines("tick") for run in line["runs"]} == {"done"}


def test_a_wrong_configuration_changes_nothing_and_a_right_one_is_in_force(office: Office, daemon: Running) -> None:
    await_that(lambda: office.rows() == YOUNG, "the approved plan is carried out")
    office.edit("policies.yaml", "keep: 30 days", "keep: 30")
    daemon.signal(signal.SIGHUP)
    (refused,) = await_that(lambda: daemon.lines("config.refused"), "it is refused")
    assert "policies.yaml" in refused["where"]
    assert daemon.metric("config_right") == 0
    old(office, "old")
    await_that(lambda: office.rows() == YOUNG, "the old configuration is kept")

    office.edit("policies.yaml", "keep: 30", "keep: 5 days")
    office.feedback(3, 6)
    daemon.signal(signal.SIGHUP)
    await_that(lambda: daemon.lines("config.read"), "it is read")
    await_that(lambda: any(line["outcome"] == "waiting" for line in daemon.lines("tick")), "a changed policy waits")
    assert daemon.metric("config_right") == 1
    assert daemon.metric("plans_waiting") >= 1
    assert office.rows("feedback") == {1, 3}
    old(office, "older")
    assert daemon.stop() == 0


def test_a_configuration_that_cannot_be_opened_is_refused_and_the_old_one_kept(office: Office, daemon: Running) -> None:
    await_that(lambda: office.rows() == YOUNG, "the approved plan is carried out")
    office.edit("retentiond.yaml", "keys: ../keys", "keys: ../nowhere")
    daemon.signal(signal.SIGHUP)
    await_that(lambda: daemon.lines("config.refused"), "it is refused")
    assert daemon.metric("config_right") == 0
    old(office, "old")
    await_that(lambda: office.rows() == YOUNG, "the old configuration is kept")
    assert daemon.stop() == 0


def test_one_that_was_killed_is_followed_by_one_that_goes_on(office: Office, daemon: Running, tmp_path: Path) -> None:
    await_that(lambda: office.rows() == YOUNG, "the approved plan is carried out")
    for round_ in range(3):
        for number in range(12):
            old(office, f"old {round_} {number}")
        await_that(lambda: len(office.rows()) < 14, "it has begun")
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
        daemon = Running(office.config, tmp_path / f"said {round_}")
        await_that(lambda: office.rows() == YOUNG, "it is finished")
    await_that(lambda: states(office) == {"done"}, "every run ends")
    assert daemon.stop() == 0


def test_an_address_that_is_taken_is_said(office: Office, daemon: Running, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="cannot be listened at"):
        Running(office.config, tmp_path / "second", {"RETENTIOND_LISTEN": daemon.address})
    assert daemon.process.poll() is None
