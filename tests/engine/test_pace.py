"""Kind to production: off-peak windows, replica lag and rates, on a clock that goes on only when somebody waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from retentiond.cli.views import session_document, session_exit
from retentiond.domain.plan import RunState
from retentiond.engine import drafting
from retentiond.engine.approvals import approve
from retentiond.engine.checking import check
from retentiond.engine.closures import close_account
from retentiond.engine.overview import status
from retentiond.engine.running import Session, apply_plan, run_all
from retentiond.errors import ConnectorError, Exit, GuardStopped, Interrupted
from retentiond.ports.stores import Acted, Order, Pressure
from tests.engine.office import NOW, Office, Proxy, outcomes, plan

APP = "app: {kind: sqlite, path: ../app.db, backups: none}"
DISK = "disk: {kind: files, root: ../payloads, backups: none}"
NIGHT = '{off_peak: {from: "22:00", to: "06:00", zone: Europe/Berlin}}'
OPENS = datetime(2026, 6, 1, 20, tzinfo=UTC)


def pace(office: Office, store: str, pace: str) -> None:
    office.edit("datamap.yaml", store, store.replace("backups", f"pace: {pace}, backups"))


def due(office: Office, requests: int = 3) -> None:
    for number in range(requests):
        office.request(f"due-{number}", 3, account="acct-zero")
    office.request("young", 1, account="acct-zero")
    office.feedback(1, 31)
    office.feedback(9, 1)


def approved(office: Office, *policies: str) -> str:
    with office.open() as ctx:
        row = plan(ctx, *policies).plan
        assert row is not None
        approve(ctx, row.id, None)
    return row.id


def apply_it(office: Office, plan_id: str) -> Session:
    with office.open() as ctx:
        return apply_plan(ctx, plan_id)


def run(office: Office) -> Session:
    with office.open() as ctx:
        return run_all(ctx)


def state(office: Office, plan_id: str) -> RunState:
    with office.open() as ctx, ctx.ledger.begin() as tx:
        row = tx.plans.get(plan_id)
    assert row is not None
    return row.state


def test_outside_the_window_nothing_is_removed_and_the_run_goes_on_when_it_opens(office: Office) -> None:
    due(office)
    pace(office, APP, NIGHT)
    plan_id = approved(office)
    session = apply_it(office, plan_id)
    assert len(office.rows()) == 4
    assert len(office.rows("feedback")) == 2
    assert session_exit(session) is Exit.STOPPED
    document = session_document(session)
    assert document["stopped"]["guard"] == "off-peak"
    assert "22:00 to 06:00 Europe/Berlin" in document["stopped"]["what"]
    assert document["stopped"]["remedy"] == "`retentiond run` goes on after 2026-06-01T20:00:00Z"
    assert document["overdue"] == 4
    assert state(office, plan_id) is RunState.STOPPED
    assert office.bundles() == []
    office.clock.at = OPENS - timedelta(seconds=1)
    assert run(office).carried == []
    office.clock.at = OPENS
    session = run(office)
    assert outcomes(session) == {"requests": {"purged": 3}, "feedback": {"purged": 1}}
    assert session_exit(session) is Exit.DONE
    assert session.overdue == 0
    assert len(office.bundles()) == 1
    assert office.rows() == {"young"}


def test_the_batches_of_other_stores_go_on(office: Office) -> None:
    due(office)
    office.blob("orphan", days=40)
    office.edit("policies.yaml", "{keep: 20 days, then: tombstone, grace: 5 days}", "{keep: 20 days}")
    office.edit("policies.yaml", "      - {when: {account: {in: zero}}, keep: 2 days}\n", "")
    office.edit("policies.yaml", "      - {when: {flagged: true}, keep: 23 months, promise: {live: 2 years}}\n", "")
    office.request("old", 30)
    pace(office, APP, NIGHT)
    session = apply_it(office, approved(office))
    assert office.blobs() == set()
    assert "old" in office.rows()
    assert session.overdue == 2
    assert session.carried == []


@pytest.mark.parametrize("closed", [APP, DISK], ids=["rows", "objects"])
def test_rows_and_their_objects_wait_for_each_other(office: Office, closed: str) -> None:
    office.request("with", 3, account="acct-zero", payload="blob")
    office.feedback(1, 31)
    office.feedback(9, 1)
    pace(office, closed, NIGHT)
    apply_it(office, approved(office))
    assert office.rows() == {"with"}
    assert office.blobs() == {"blob"}
    assert office.rows("feedback") == ({1, 9} if closed == APP else {9})
    office.clock.at = OPENS
    assert run(office).deferred == []
    assert office.rows() == set()
    assert office.blobs() == set()
    assert len(office.bundles()) == 1


def acting(office: Office, does: Callable[[Order], None]) -> type[Proxy]:
    """Make a connector that does something after each act."""
    del office

    class Acting(Proxy):
        def act(self, order: Order) -> Acted:
            acted = super().act(order)
            does(order)
            return acted

    return Acting


def test_a_group_that_was_begun_is_finished_when_the_window_closes(office: Office) -> None:
    office.edit("policies.yaml", "floor: 1 hour", "floor: 1 hour\nlimits: {chain_records: 1000}")
    for number in range(2):
        office.request(f"row-{number}", 3, account="acct-zero", payload=f"blob-{number}")
    pace(office, APP, NIGHT)
    office.clock.at = OPENS

    def close(_order: Order) -> None:
        office.clock.at = datetime(2026, 6, 2, 4, tzinfo=UTC)

    office.wraps["disk"] = acting(office, close)
    session = apply_it(office, approved(office, "content"))
    assert session.deferred == []
    assert office.rows() == set()


def test_a_batch_never_overtakes_an_earlier_one_of_its_store(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "BATCH_RECORDS", 1)
    due(office)
    pace(office, APP, NIGHT)
    office.clock.at = OPENS - timedelta(seconds=1)
    plan_id = approved(office)
    seen: list[Order] = []
    office.wraps["app"] = acting(office, seen.append)
    reads = iter([office.clock.at] * 30)
    real = type(office.clock).now
    # The window opens in the middle of the pass.
    monkeypatch.setattr(type(office.clock), "now", lambda self: next(reads, None) or real(self) + timedelta(hours=1))
    apply_it(office, plan_id)
    assert seen == []


class Replicas(Proxy):
    """A store whose replicas are behind as a test says."""

    said: Iterator[Any] = iter(())

    def pressure(self) -> Pressure:
        found = next(self.said, None)
        if isinstance(found, Exception):
            raise found
        return Pressure(found, "pg_stat_replication")


def behind(*lags: Any) -> type[Replicas]:
    class Behind(Replicas):
        said = iter(lags)

    return Behind


SECONDS = [timedelta(seconds=number) for number in (90, 31, 30, 0, 0, 0)]


def test_a_replica_that_is_behind_is_waited_for(office: Office) -> None:
    due(office)
    pace(office, APP, "{replica_lag: 30 seconds}")
    office.wraps["app"] = behind(*SECONDS)
    plan_id = approved(office)
    with office.open() as ctx:
        session = apply_plan(ctx, plan_id)
        notes = list(ctx.reporter.notes)  # type: ignore[attr-defined]
    assert outcomes(session)["requests"] == {"purged": 3}
    assert timedelta(seconds=4) <= office.clock.at - NOW <= timedelta(seconds=5)
    assert [note for note in notes if "waiting" in note] == [
        "a replica of store app is 90 s behind, more than the 30 s of `replica_lag`; waiting"
    ]


@pytest.mark.parametrize(
    ("lag", "said"),
    [
        (timedelta(seconds=31), "31 s behind"),
        (None, "unknown (pg_stat_replication)"),
        (ConnectorError("no permission to see standbys"), "unknown (no permission to see standbys)"),
    ],
    ids=["behind", "unknown", "error"],
)
def test_when_patience_ends_the_run_stands_still(office: Office, lag: Any, said: str) -> None:
    due(office)
    pace(office, APP, "{replica_lag: 30 seconds}")
    office.wraps["app"] = behind(*[lag] * 10_000)
    plan_id = approved(office)
    session = apply_it(office, plan_id)
    assert len(office.rows()) == 4
    assert session_exit(session) is Exit.STOPPED
    assert session.deferred[0].guard == "replica-lag"
    assert said in session.deferred[0].what
    assert "when the replicas have caught up" in session.deferred[0].remedy
    assert timedelta(minutes=10) <= office.clock.at - NOW < timedelta(minutes=11)
    office.wraps["app"] = behind(*[timedelta()] * 100)
    assert run(office).deferred == []
    assert office.rows() == {"young"}
    assert len(office.bundles()) == 1


def test_a_store_that_tells_of_no_replicas_is_never_worked_on_where_a_lag_is_declared(office: Office) -> None:
    due(office)
    pace(office, APP, "{replica_lag: 30 seconds}")
    session = apply_it(office, approved(office))
    assert "a file has no replicas" in session.deferred[0].what
    assert len(office.rows()) == 4


def test_check_names_a_store_whose_batches_would_wait_for_ever(office: Office) -> None:
    pace(office, APP, "{replica_lag: 30 seconds}")
    with office.open() as ctx:
        found = [each for each in check(ctx).findings if each.where == "app"]
    assert ["a file has no replicas" in each.what for each in found] == [True]
    assert "pace.replica_lag" in found[0].remedy
    office.wraps["app"] = behind(timedelta(seconds=60))
    with office.open() as ctx:
        assert [each for each in check(ctx).findings if each.where == "app"] == []


@pytest.mark.parametrize("how", ["signal", "file"])
def test_waiting_hears_a_request_to_stop(office: Office, how: str) -> None:
    due(office)
    pace(office, APP, "{replica_lag: 30 seconds}")
    office.wraps["app"] = behind(*[timedelta(minutes=1)] * 10_000)
    plan_id = approved(office)
    began = office.clock.at

    class Later(type(office.clock)):  # type: ignore[misc]
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.at - began > timedelta(seconds=10):
                (office.root / "STOP").touch() if how == "file" else setattr(office, "stop", lambda: True)

    office.clock = Later(office.clock.at)
    with pytest.raises(Interrupted if how == "signal" else GuardStopped):
        apply_it(office, plan_id)
    assert office.clock.at - began < timedelta(seconds=12)
    assert len(office.rows()) == 4


def test_a_rate_spaces_the_batches_of_its_store(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "BATCH_RECORDS", 2)
    due(office, 6)
    pace(office, APP, '{rate: "30 per minute"}')
    acts: list[tuple[datetime, int]] = []
    office.wraps["app"] = acting(office, lambda order: acts.append((office.clock.at, len(order.records))))
    began = office.clock.at
    session = apply_it(office, approved(office))
    assert outcomes(session) == {"requests": {"purged": 6}, "feedback": {"purged": 1}}
    assert [count for _, count in acts] == [2, 2, 2, 1]
    assert [(at - began).total_seconds() for at, _ in acts] == [0, 4, 8, 12]


def test_without_a_pace_nobody_waits(office: Office) -> None:
    due(office)
    apply_it(office, approved(office))
    assert office.clock.at == NOW


def test_a_run_that_stands_still_keeps_nobody_else_from_running(office: Office) -> None:
    due(office)
    pace(office, DISK, NIGHT)
    office.request("with", 3, account="acct-zero", payload="blob")
    apply_it(office, approved(office))
    assert len(office.rows()) == 5
    assert office.rows("feedback") == {9}
    office.feedback(2, 31)
    office.request("new", 3, account="acct-zero")
    session = run(office)
    assert [each.guard for each in session.deferred] == ["off-peak"]
    assert outcomes(session) == {"feedback": {"purged": 1}}
    assert session.overdue == 5  # four rows and a payload; what the busy dataset has besides is planned later
    with office.open() as ctx:
        overdue = {each.policy: each.overdue for each in status(ctx).policies}
    assert overdue == {"content": 5, "feedback": 0}
    office.clock.at = OPENS
    session = run(office)
    assert session.deferred == []
    assert office.rows() == {"young"}
    assert session.overdue == 0


def test_a_closure_waits_for_the_window_and_ends_in_it(office: Office) -> None:
    office.request("own", 1, account="acct-x")
    office.request("other", 1)
    pace(office, APP, NIGHT)
    with office.open() as ctx:
        close_account(ctx, "acct-x", "asked for it", None)
        session = run_all(ctx)
        assert session_exit(session) is Exit.STOPPED
        assert session.overdue == 1
        assert office.rows() == {"own", "other"}
        office.clock.at = OPENS
        session = run_all(ctx)
        assert status(ctx).closures == []
    assert office.rows() == {"other"}
    assert session_exit(session) is Exit.DONE


def test_the_stop_file_is_looked_at_right_before_the_statement(office: Office) -> None:
    due(office)

    class Late(Proxy):
        def act(self, order: Order) -> Acted:
            (office.root / "STOP").touch()
            return super().act(order)

    office.wraps["app"] = Late
    with pytest.raises(GuardStopped) as caught:
        apply_it(office, approved(office))
    assert caught.value.guard == "stop-file"
    assert len(office.rows()) == 4


def test_an_estimate_says_what_the_plan_will_take(office: Office) -> None:
    due(office, 6)
    pace(office, APP, '{rate: "2 per second", off_peak: {from: "22:00", to: "06:00", zone: Europe/Berlin}}')
    with office.open() as ctx:
        found = plan(ctx).estimate
    assert found is not None
    assert (found.records, found.plans, found.seconds, found.rate) == (7, 1, 4, "declared")
    assert found.finishes_at == OPENS + timedelta(seconds=3.5)
    assert found.wal_bytes is None


def test_an_estimate_without_any_rate_says_nothing_of_time(office: Office) -> None:
    due(office)
    with office.open() as ctx:
        found = plan(ctx).estimate
    assert found is not None
    assert (found.seconds, found.finishes_at, found.rate) == (None, None, None)


def test_an_estimate_reckons_with_the_last_runs(office: Office) -> None:
    with office.db() as db:
        rows = [(f"row-{number}", "acct-zero", office.ago(3)) for number in range(2000)]
        db.executemany("INSERT INTO requests (id, account, created, flagged) VALUES (?, ?, ?, 0)", rows)
    office.wraps["app"] = acting(office, lambda _: office.clock.sleep(10))
    apply_it(office, approved(office))
    office.wraps.clear()
    due(office, 400)
    with office.open() as ctx:
        found = plan(ctx, "content").estimate
    assert found is not None
    assert (found.rate, found.records, found.seconds) == ("measured", 400, 2)


def test_an_estimate_adds_up_the_write_ahead_log(office: Office) -> None:
    due(office)

    class Wal(Proxy):
        def survey(self, dataset: Any) -> Any:
            return replace(self.real.survey(dataset), wal_bytes_per_record=740)

    office.wraps["app"] = Wal
    with office.open() as ctx:
        found = plan(ctx).estimate
    assert found is not None
    assert found.wal_bytes == 4 * 740
