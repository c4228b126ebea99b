"""What /metrics counts of stores, and that what the alerts ask for is there."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.exposition import generate_latest
from ruamel.yaml import YAML

from retentiond.clock import SystemClock
from retentiond.engine.approvals import approve
from retentiond.engine.closures import close_account
from retentiond.engine.running import apply_plan, run_all
from retentiond.errors import ConnectorError, DatasetRefused
from retentiond.ports.stores import Acted, Order
from retentiond.service.health import Health
from retentiond.service.metrics import Metrics
from tests.engine.office import Office, Proxy, make_office, plan
from tests.readme.pages import ROOT

ALERTS = ROOT / "deploy" / "alerts.yaml"


class Failing(Proxy):
    """Cannot act on feedback."""

    error = ConnectorError("denied", remedy="grant it")

    def act(self, order: Order) -> Acted:
        if order.dataset.name == "feedback":
            raise self.error
        return super().act(order)


class Breaking(Proxy):
    """Breaks off in the middle of a scan."""

    def scan(self, *given: object) -> Iterator[object]:
        yield from self.real.scan(*given)
        raise ConnectorError("cut", transient=True)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = make_office(tmp_path)
    for number in range(10, 20):
        office.request(f"young {number}", 0)
        office.feedback(number, 0)
    office.request("due", 3, account="acct-zero")
    office.feedback(1, 40)
    return office


@pytest.fixture
def metrics() -> Metrics:
    health = Health(SystemClock())
    health.ticked()
    return Metrics(health)


def shown(metrics: Metrics) -> dict[str, float]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def carried(office: Office, metrics: Metrics) -> dict[str, float]:
    with office.open() as opened:
        ctx = metrics.watched(opened)
        planned = plan(ctx)
        assert planned.plan is not None
        approve(ctx, planned.plan.id, None)
        metrics.count(apply_plan(ctx, planned.plan.id))
        metrics.watch(ctx)
        return shown(metrics)


def test_bytes_and_seconds_of_what_was_removed(office: Office, metrics: Metrics) -> None:
    found = carried(office, metrics)
    assert found['retentiond_batch_seconds_count{store="app"}'] == 2
    assert found['retentiond_batch_seconds_sum{store="app"}'] == 0  # by a clock that stood still
    sizes = {
        part["policy"]: part["bytes"] for bundle in office.bundles() for part in _annex(bundle)["parts"] if part["due"]
    }
    assert {name: found[f'retentiond_bytes_total{{policy="{name}"}}'] for name in sizes} == sizes
    assert all(sizes.values())
    assert not any(name.startswith("retentiond_store_errors_total") for name in found)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectorError("denied"), "permanent"),
        (ConnectorError("cut", transient=True), "transient"),
        (DatasetRefused("a view"), "refused"),
    ],
)
def test_what_a_store_fails_at_is_counted(
    office: Office, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, error: ConnectorError, kind: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setattr(Failing, "error", error)
    office.wraps["app"] = Failing
    found = carried(office, metrics)
    assert found[f'retentiond_store_errors_total{{kind="{kind}",store="app"}}'] >= 1
    assert found['retentiond_batch_seconds_count{store="app"}'] == 1  # of the other policy
    assert 1 in office.rows("feedback")


def test_an_error_in_the_middle_of_a_scan_is_counted(office: Office, metrics: Metrics) -> None:
    office.wraps["app"] = Breaking
    with office.open() as opened, pytest.raises(ConnectorError, match="cut"):
        run_all(metrics.watched(opened))
    assert shown(metrics)['retentiond_store_errors_total{kind="transient",store="app"}'] >= 1


def test_every_metric_that_an_alert_asks_for_is_there(office: Office, metrics: Metrics) -> None:
    office.edit("policies.yaml", "closure: {grace: none", "closure: {grace: 14 days")
    office.edit("policies.yaml", "keep: 2 days", "zero_retention: {after: 15 minutes}")
    carried(office, metrics)
    with office.open() as ctx:
        close_account(ctx, "acct-a", "contract ended", None)
        metrics.watch(ctx)
        found = {re.split(r"[{ ]", name)[0] for name in shown(metrics)}
    rules = [rule for group in YAML(typ="safe").load(ALERTS)["groups"] for rule in group["rules"]]
    asked = {name for rule in rules for name in re.findall(r"retentiond_\w+", rule["expr"])}
    assert len(asked) > 6
    assert asked <= found
    tested = YAML(typ="safe").load(ALERTS.with_name("alerts_test.yaml"))["tests"]
    assert {each["alertname"] for test in tested for each in test["alert_rule_test"] if "exp_alerts" in each} == {
        rule["alert"] for rule in rules
    }


def _annex(bundle: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads(base64.b64decode(bundle["annex"]))
    return found
