"""A configuration is taken up as a whole or not at all; whatever cannot be told is not called nought."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.bootstrap import Configuration, read_configuration
from retentiond.clock import SystemClock
from retentiond.engine.context import Context
from retentiond.engine.overview import PolicyStatus, Status
from retentiond.engine.running import apply_plan
from retentiond.errors import GuardStopped
from retentiond.ports.orders import OrderRow
from retentiond.service import Daemon, Instances, ServiceManager
from retentiond.service.metrics import of_status
from tests.engine.office import FakeClock, Office, Quiet, make_office, plan
from tests.engine.test_ticking import old

NOW = datetime(2026, 6, 1, tzinfo=UTC)
COUNTS = (
    "stopped_by_file",
    "pending",
    "closures_past_deadline",
    "closure_records_overdue",
    "erasures_past_deadline",
    "erasures_near_deadline",
)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = make_office(tmp_path)
    office.clock = FakeClock(SystemClock().now().replace(microsecond=0))
    old(office, "old")
    office.request("young", 1)
    return office


def instances(office: Office) -> Instances:
    def read() -> Configuration:
        return read_configuration(office.config, {})

    return Instances(read, read())


def test_a_run_stops_before_its_next_batch_once_another_configuration_was_read(office: Office) -> None:
    found = instances(office)
    assert found.reload() is False
    with office.open() as ctx:
        planned = plan(ctx).plan
        assert planned is not None
        from retentiond.engine.approvals import approve  # noqa: PLC0415

        approve(ctx, planned.id, None)
    present = read_configuration(office.config, {})
    with present.open(Quiet(), lambda: False, found.changed) as ctx:
        office.edit("policies.yaml", "keep: 30 days", "keep: 29 days")
        assert found.reload() is True
        with pytest.raises(GuardStopped) as caught:
            apply_plan(ctx, planned.id)
        assert caught.value.guard == "policy-changed"
        assert office.rows() == {"old", "young"}
        office.edit("policies.yaml", "keep: 29 days", "keep: 30 days")
        assert found.reload() is False  # as it was: nothing keeps it any more
        apply_plan(ctx, planned.id)
    assert office.rows() == {"young"}


def nobody(ctx: Context, order: OrderRow) -> dict[str, object]:
    raise AssertionError((ctx, order))


class Job:
    """What the scheduler does at its next time."""

    def __init__(self) -> None:
        self.at: list[datetime] = []

    def modify(self, *, next_run_time: datetime) -> None:
        self.at.append(next_run_time)


def test_a_clock_that_was_set_back_does_not_keep_the_daemon_from_ticking(office: Office) -> None:
    clock, job = FakeClock(NOW), Job()
    daemon = Daemon(instances(office), clock, ServiceManager({}), nobody)
    daemon._catch_up(job)
    clock.at += timedelta(seconds=4)
    daemon._catch_up(job)
    assert job.at == []
    clock.at += timedelta(seconds=4)
    daemon._working = True
    daemon._catch_up(job)
    assert job.at == []
    daemon._working = False
    daemon._catch_up(job)
    daemon._catch_up(job)
    assert job.at == [clock.at]


@pytest.mark.parametrize(
    ("overdue", "oldest", "said"), [(0, None, [0.0]), (3, 60, [60.0]), (3, None, []), (None, None, [])]
)
def test_the_age_of_the_oldest_is_left_out_where_it_is_not_known(
    overdue: int | None, oldest: int | None, said: list[float]
) -> None:
    policy = PolicyStatus("content", overdue, oldest, None, None)
    nothing: dict[str, Any] = dict.fromkeys(Status.__slots__, ()) | dict.fromkeys(COUNTS, 0)
    found = Status(**{**nothing, "policies": (policy,)})
    values = {family.name: [sample.value for sample in family.samples] for family in of_status(found, NOW, log_size=0)}
    assert values["retentiond_oldest_overdue_seconds"] == said
    assert values["retentiond_overdue_records"] == ([] if overdue is None else [float(overdue)])
    assert values["retentiond_last_success_timestamp_seconds"] == [0.0]  # never
