"""Several daemons on one ledger in PostgreSQL: each slot is worked on by one of them, whatever befalls the others."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from retentiond.bootstrap import initialise, open_context
from retentiond.bootstrap.initialising import Names
from retentiond.domain.plan import RunState
from retentiond.engine.approvals import approve
from retentiond.engine.context import Context
from retentiond.engine.planning import Request, make_plan
from retentiond.ports.rows import PlanRow
from tests.engine.office import Quiet
from tests.servers.postgres import Server
from tests.service.daemon import Running, await_that

DATAMAP = """
stores: {app: {kind: postgresql, dsn_env: STORE_DSN, backups: none}}
datasets:
  requests:
    store: app
    table: public.requests
    key: [id]
    clock: {column: created_at, earliest: 2023-01-01}
    account: account
    class: content
unmapped: report
"""
POLICIES = """
policies:
  content:
    class: content
    promise: {live: 40 days}
    rules: [{keep: 30 days}]
    schedule: "every 1 second"
    limits: {max_percent: 95}
floor: 1 hour
"""


@pytest.fixture
def database(postgresql_newest: Server) -> Iterator[str]:
    with postgresql_newest.database() as name:
        yield name


@pytest.fixture
def config(tmp_path: Path, database: str, postgresql_newest: Server) -> Path:
    config = tmp_path / "config"
    dsn = postgresql_newest.dsn(database)
    initialise(config, names=Names(ledger_dsn_env="LEDGER_DSN"), environ={"LEDGER_DSN": dsn})
    for name, text in (("datamap.yaml", DATAMAP), ("policies.yaml", POLICIES)):
        (config / name).write_text(text, "utf-8")
    settings = config / "retentiond.yaml"
    settings.write_text(settings.read_text("utf-8").replace("single_operator: false", "single_operator: true"))
    with postgresql_newest.connect(database) as db:
        db.execute("CREATE TABLE requests (id bigint PRIMARY KEY, account text, created_at timestamptz)")
        db.execute("CREATE INDEX ON requests (created_at)")
        db.execute("INSERT INTO requests SELECT -n, 'a', now() FROM generate_series(1, 1000) AS n")
    return config


@pytest.fixture
def environ(database: str, postgresql_newest: Server) -> dict[str, str]:
    dsn = postgresql_newest.dsn(database)
    return {"LEDGER_DSN": dsn, "STORE_DSN": dsn}


@pytest.fixture
def two(
    config: Path, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Running]]:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    two = [Running(config, tmp_path / f"said {number}", environ) for number in range(2)]
    yield two
    for each in two:
        each.kill()


def test_each_slot_is_worked_on_once_while_one_freezes_and_one_is_killed(
    two: list[Running], config: Path, environ: dict[str, str], database: str, postgresql_newest: Server, tmp_path: Path
) -> None:
    with postgresql_newest.connect(database) as db:
        db.autocommit = True

        def add(first: int) -> None:
            numbers = "generate_series(%s::int, %s::int) AS n"
            old = f"INSERT INTO requests SELECT n, 'a', now() - interval '31 days' FROM {numbers}"
            db.execute(old.encode(), [first, first + 9])

        def left() -> int:
            found = db.execute("SELECT count(*) FROM requests WHERE id > 0").fetchone()
            assert found is not None
            return int(found[0])

        add(1)
        with open_context(config, environ, Quiet(), lambda: False) as ctx:
            planned = await_that(lambda: make_plan(ctx, Request()).plan or _waiting(ctx), "a plan waits")
            approve(ctx, planned.id, None)
        await_that(lambda: not left(), "the first are removed")

        two[0].signal(signal.SIGSTOP)  # perhaps inside a run: then its lease runs out
        add(1_000)
        await_that(lambda: not left(), "the other one takes over", 90)
        two[0].signal(signal.SIGCONT)
        dice = random.Random(3)
        for round_ in range(4):
            add(10_000 + 100 * round_)
            time.sleep(dice.random())
            two[1].kill()
            two[1] = Running(config, tmp_path / f"said again {round_}", environ)
            await_that(lambda: not left(), "it goes on")
        assert [each.stop() for each in two] == [0, 0]
        db.execute("SET search_path = retentiond")
        finished = db.execute("SELECT slot FROM slots WHERE finished_at IS NULL").fetchall()
        assert len(finished) <= 1
        removed: Counter[str] = Counter()
        for (outcomes,) in db.execute("SELECT outcomes::json FROM batches").fetchall():
            removed.update(outcomes)
        # What was removed in the moment of a kill is found already gone by whoever goes on.
        assert removed.keys() <= {"purged", "alreadyGone"}
        assert removed.total() == 60
        plans = db.execute("SELECT count(*), count(DISTINCT plan) FROM receipts").fetchall()
        assert plans[0][0] == plans[0][1]
    said = "".join(path.read_text("utf-8") for path in tmp_path.glob("said*"))
    assert "Traceback" not in said
    done = Counter(
        slot for each in tmp_path.glob("said*") for line in _ticks(each) for slot in line["slots"] if line["slots"]
    )
    assert max(done.values()) == 1


def _waiting(ctx: Context) -> PlanRow | None:
    with ctx.ledger.begin() as tx:
        plans = tx.plans.in_state(RunState.WAITING)
    return plans[-1] if plans else None


def _ticks(path: Path) -> list[dict[str, list[str]]]:
    lines = [line for line in path.read_text("utf-8").splitlines() if line.startswith("{") and line.endswith("}")]
    return [line for line in map(json.loads, lines) if line["event"] == "tick"]
