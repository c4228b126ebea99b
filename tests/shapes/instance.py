"""An instance of the program beside one database: declared, planned, approved, carried out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from retentiond.bootstrap import initialise, open_context
from retentiond.domain.hold import Scope
from retentiond.domain.plan import Forecast
from retentiond.engine.accounts import account_status
from retentiond.engine.approvals import approve
from retentiond.engine.bundles import list_receipts
from retentiond.engine.closures import close_account
from retentiond.engine.context import Context
from retentiond.engine.holds import add_hold
from retentiond.engine.planning import Planned, Request, make_plan
from retentiond.engine.running import Session, apply_plan, close_now
from retentiond.ports.stores import Connector
from tests.engine.office import FakeClock, Quiet, Timed
from tests.shapes.makers import TableMaker
from tests.shapes.seeds import Seed

POLICIES = {
    "policies": {
        name: {
            "class": name,
            "rules": [{"keep": "30 days"}],
            "schedule": "every 6 hours",
            "limits": {"max_records": 1_000_000, "max_percent": 100},
        }
        for name in ("content", "more")
    },
    "closure": {"grace": "none", "deadline": "30 days", "limits": {"per_day": 500, "max_percent": 100}},
}


@dataclass
class Instance:
    """A configured instance, its clock, and who made the tables."""

    root: Path
    maker: TableMaker
    clock: FakeClock
    wrap: Callable[[Connector], Any] | None = None

    @property
    def config(self) -> Path:
        return self.root / "config"

    def declare(self, datasets: Mapping[str, Mapping[str, Any]], policies: Mapping[str, Any] = POLICIES) -> None:
        """Write data map and policies: JSON is YAML."""
        stores = {"app": self.maker.store()}
        declared = {name: {"store": "app", "class": "content", **dataset} for name, dataset in datasets.items()}
        datamap = {"stores": stores, "datasets": declared, "unmapped": "report"}
        (self.config / "datamap.yaml").write_text(json.dumps(datamap), "utf-8")
        (self.config / "policies.yaml").write_text(json.dumps(policies), "utf-8")

    def declare_seed(self, seeded: Seed, **more: Any) -> Seed:
        """Make a seed's tables, declare the one in question, and return the seed with the rows that there are."""
        table, *beside = (replace(each, rows=list(each.rows)) for each in (seeded.table, *seeded.beside))
        seed = replace(seeded, table=table, beside=beside)
        for table in (seed.table, *seed.beside):
            self.maker.make(table)
        declared = {"table": self.maker.name(seed.table), "key": list(seed.table.key), **seed.declares, **more}
        self.declare({"requests": declared})
        return seed

    @contextmanager
    def open(self) -> Iterator[Context]:
        with open_context(self.config, {}, Quiet(), lambda: False, clock=self.clock) as ctx:
            wrap = self.wrap or (lambda connector: connector)
            yield replace(ctx, store=lambda name: wrap(Timed(ctx.store(name), self.clock)))

    def plan(self) -> Planned:
        with self.open() as ctx:
            return make_plan(ctx, Request())

    def enforce(self) -> tuple[Planned, Session | None]:
        """Plan, approve, and carry out what is due now."""
        with self.open() as ctx:
            planned = make_plan(ctx, Request())
            if planned.plan is None:
                return planned, None
            if planned.plan.approvals_needed:
                approve(ctx, planned.plan.id, None)
            return planned, apply_plan(ctx, planned.plan.id)

    def close(self, account: str) -> str:
        """Close an account as far as that goes, and return its state."""
        with self.open() as ctx:
            close_now(ctx, close_account(ctx, account, "contract ended", None))
            return account_status(ctx, account).state.value

    def remaining(self, account: str) -> dict[str, int | None]:
        with self.open() as ctx:
            return dict(account_status(ctx, account).remaining)

    def hold(self, scope: Scope, matter: str = "matter-1") -> None:
        with self.open() as ctx:
            add_hold(ctx, scope, matter, "asked for", None)

    def annexes(self) -> list[dict[str, Any]]:
        """Return the annexes of all receipts, oldest first."""
        with self.open() as ctx:
            rows = sorted(list_receipts(ctx), key=lambda row: row.log_index)
        return [json.loads(row.annex) for row in rows]

    def statements(self) -> list[dict[str, Any]]:
        """Return the predicates of all receipts, oldest first."""
        with self.open() as ctx:
            rows = sorted(list_receipts(ctx), key=lambda row: row.log_index)
        payloads = [base64.b64decode(json.loads(row.envelope)["payload"]) for row in rows]
        return [json.loads(payload)["predicate"] for payload in payloads]


def make_instance(root: Path, maker: TableMaker, now: datetime) -> Instance:
    """Make an instance with nothing declared yet."""
    instance = Instance(root, maker, FakeClock(now))
    initialise(instance.config, state="..", clock=instance.clock)
    path = instance.config / "retentiond.yaml"
    text = path.read_text("utf-8")
    assert "single_operator: false" in text
    path.write_text(text.replace("single_operator: false", "single_operator: true"), "utf-8")
    return instance


def forecast_of(planned: Planned, dataset: str = "requests") -> Forecast:
    return next(each for each in planned.forecasts if each.dataset == dataset)
