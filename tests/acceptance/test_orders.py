"""With a ledger in PostgreSQL the daemon alone acts: people elsewhere have its ledger, and neither keys nor stores."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from retentiond.errors import LedgerBusy
from retentiond.ledger import Database, SqlLedger, open_ledger
from retentiond.ledger.database import DEFAULT_SCHEMA
from tests.acceptance.postgres_world import KEEP_DAYS, PostgresWorld
from tests.acceptance.program import Answer, Program
from tests.deploy.grants import Right, rights, statements
from tests.servers.postgres import PASSWORD, Server, started

TABLE = "requests"
Code = int | list[int] | None


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started() as running:
        running.configure(fsync="on")
        yield running


@dataclass
class Desk:
    """Somebody's desk: the service's settings, their own SSH key, and a role that may only give orders."""

    world: PostgresWorld
    home: Path
    environ: dict[str, str]

    def __call__(self, *words: str | Path, code: Code = 0) -> Any:
        return self.call(*words, "--json", code=code).json

    def call(self, *words: str | Path, code: Code = 0) -> Answer:
        return self.world.program.within(self.home, **self.environ)("--config", self.home, *words, code=code)


@dataclass
class Served:
    """
    Attributes:
        rights: Of the role that gives orders.
    """

    world: PostgresWorld
    rights: list[Right]
    desk: Desk
    bob: Path
    stop: Callable[[], None]


@pytest.fixture
def served(program: Program, tmp_path: Path, server: Server) -> Iterator[Served]:
    """Give a world whose daemon runs, and a desk elsewhere."""
    with server.database() as database:
        world = PostgresWorld.made(program, tmp_path, server, database, [TABLE])
        world.environ["LEDGER_DSN"] = server.dsn(database)
        world.configure("--ledger-dsn-env", "LEDGER_DSN")
        bob = tmp_path / "bob"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(bob)], check=True)
        with (world.config / "approvers").open("a", encoding="utf-8") as file:
            file.write(f"bob {' '.join(bob.with_suffix('.pub').read_text('utf-8').split()[:2])}\n")
        role = server.role(PASSWORD)
        granted = statements("people", {"DBNAME": database}, {"retentiond_people": role})
        world.run(";".join(granted))
        home = tmp_path / "desk"
        home.mkdir()
        for name in ("retentiond.yaml", "approvers"):
            shutil.copy(world.config / name, home)
        desk = Desk(world, home, {"LEDGER_DSN": server.dsn(database, role, PASSWORD)})
        environ = {**world.environ, "RETENTIOND_LISTEN": "127.0.0.1:0"}
        running = [world.program.within(world.root, **environ).start("--config", world.config, "serve")]

        def stop() -> None:
            for process in running:
                process.terminate()
                _, said = process.communicate(timeout=60)
                assert b"Traceback" not in said, said.decode()
            running.clear()

        yield Served(world, list(rights(granted)), desk, bob, stop)
        stop()


def until_served(desk: Desk) -> None:
    """Wait until a daemon is at its desk: before that there is no key here to act with."""
    until = time.monotonic() + 30
    while desk.call("status", "--json", code=None).code:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_from_a_plan_to_a_receipt_with_no_key_and_no_store_at_hand(served: Served) -> None:
    world, desk = served.world, served.desk
    until_served(desk)
    before = world.contents()
    plan = desk("plan", "-o", desk.home / "plan.json", code=4)
    assert json.loads((desk.home / "plan.json").read_text("utf-8"))["plan"] == plan["plan"]
    assert plan["records"] == sum(age > KEEP_DAYS for age in world.ages.values())
    refused = desk.call("approve", plan["plan"], code=2)
    assert "--ssh-key" in refused.err
    desk("approve", desk.home / "plan.json", "--ssh-key", world.ssh_key)
    run = desk("apply", desk.home / "plan.json")
    assert run["runs"][0]["state"] == "done"
    assert world.contents() == world.kept(before, TABLE)
    assert world.verified() == ["complete"]
    said = desk.call("apply", plan["plan"])
    assert "receipt" in said.out
    assert not [path for path in desk.home.rglob("*") if path.suffix in (".key", ".json") and path.name != "plan.json"]


def test_a_hold_wins_and_whoever_asks_may_look(served: Served) -> None:
    world, desk = served.world, served.desk
    until_served(desk)
    held = world.contents()[TABLE][0]
    placed = desk("hold", "add", "--matter", "Case-1", "--account", held[1], "--ssh-key", world.ssh_key)
    assert placed["accounts"] == [held[1]]
    before = world.contents()
    plan = desk("plan", code=4)["plan"]
    desk("approve", plan, "--ssh-key", world.ssh_key)
    desk("run")
    left = world.contents()[TABLE]
    assert left == [row for row in before[TABLE] if row[1] == held[1] or world.ages[row[0]] <= KEEP_DAYS]
    assert desk("hold", "list")["holds"][0]["hold"] == placed["hold"]
    assert desk.call("explain", TABLE, held[0]).out


def test_a_file_of_custodians_and_a_report_are_where_whoever_asks_is(served: Served) -> None:
    world, desk = served.world, served.desk
    until_served(desk)
    who = world.contents()[TABLE][0][1]
    file, written = desk.home / "custodians.yaml", desk.home / "report.json"
    custodians = [{"custodian": who, "datasets": [TABLE]}, {"custodian": "x"}]
    file.write_text(json.dumps({"custodians": custodians}), "utf-8")
    sign = ("--ssh-key", world.ssh_key)
    placed = desk("hold", "add", "--matter", "Case-2\n", "--file", file, "--review", "2099-01-01", *sign)
    assert [each["custodian"] for each in placed["holds"]] == [who, "x"]
    desk("hold", "review", "Case-2\n", "--until", "2099-06-01", "--reason", "longer\u202e", *sign)
    desk("hold", "release", "Case-2\n", "--custodian", "x", *sign)
    desk("hold", "report", "Case-2\n", "-o", written)
    found = json.loads(written.read_text("utf-8"))
    assert (found["matter"], found["holds_in_force"], found["review_at"]) == ("Case-2\n", 1, "2099-06-01T00:00:00Z")
    assert found["datasets"][0]["records"] == sum(row[1] == who for row in world.contents()[TABLE])
    assert [each["change"] for each in found["history"]] == ["placed"] * 2 + ["reviewed"] * 2 + ["released"]
    assert desk("status")["holds"][0].keys() == {"hold", "placed_at", "review_at"}
    kept = whole_ledger(world.environ["LEDGER_DSN"])
    assert found["history"][0]["hold"] in kept
    assert "Case-2" not in kept
    assert "longer" not in kept


def whole_ledger(dsn: str) -> str:
    """Read every row of every table of the ledger, as a dump has it."""
    with psycopg.connect(dsn) as db:
        tables = db.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = %s::regnamespace",
            [DEFAULT_SCHEMA],
        )
        return "".join(str(db.execute(f"SELECT each::text FROM {name} each".encode()).fetchall()) for (name,) in tables)


def test_errors_come_with_their_place_exit_code_and_remedy(served: Served) -> None:
    desk = served.desk
    until_served(desk)
    refused = desk.call("apply", "no-such-plan", "--json", code=2)
    assert refused.json["error"] == "NotFound"
    assert refused.json["remedy"] == "`retentiond status` lists the plans that wait"
    stopped = desk.call("run", "--json", code=4).json
    assert stopped["stopped"]["guard"] == "approval"
    assert " approval: policy request-content" in desk.call("run", code=4).err


def test_no_right_of_whoever_gives_orders_can_be_left_out(served: Served) -> None:
    desk = served.desk
    until_served(desk)
    rights = [each for each in served.rights if each.right != "CONNECT"]  # which everybody has here
    assert len(rights) > 5
    for right in rights:
        desk("pause")  # whose end is signed
        served.world.run(right.revoke)
        refused = desk.call("resume", "--ssh-key", served.world.ssh_key, code=[1, 2])
        assert refused.err.startswith("error: ")
        served.world.run(right.grant)
    desk("resume", "--ssh-key", served.world.ssh_key)
    assert not desk("status")["paused"]


def test_two_people_purge_and_an_account_leaves(served: Served) -> None:
    world, desk = served.world, served.desk
    until_served(desk)
    young = next(row for row in world.contents()[TABLE] if world.ages[row[0]] <= KEEP_DAYS)
    purge = ("purge", "--dataset", TABLE, "--key", young[0], "--reason", "a slip", "--ssh-key", world.ssh_key)
    plan = desk(*purge, code=4)["plan"]
    assert "asked for plan" in desk.call("approve", plan, "--ssh-key", world.ssh_key, code=4).err
    desk("approve", plan, "--ssh-key", served.bob)
    desk("apply", plan)
    assert young not in world.contents()[TABLE]
    leaver = world.contents()[TABLE][0][1]
    closed = desk("account", "close", leaver, "--reason", "asked to", "--ssh-key", world.ssh_key, code=[0, 4])
    assert closed["account"] == leaver
    assert desk("account", "status", leaver)["state"] in ("grace", "closing", "closed")


def test_without_a_daemon_and_without_keys_it_says_what_is_missing(served: Served) -> None:
    served.stop()
    refused = served.desk.call("run", code=2)
    assert "have a daemon serve this ledger" in refused.err
    assert served.world("plan", code=4)["plan"]  # where the keys are, verbs act in their own process then


def test_a_hold_waits_for_nobody_and_a_run_for_whoever_acts(served: Served) -> None:
    world, desk = served.world, served.desk
    until_served(desk)
    plan = desk("plan", code=4)["plan"]
    desk("approve", plan, "--ssh-key", world.ssh_key)
    ledger = open_ledger(Database(world.environ["LEDGER_DSN"]))
    before = world.contents()
    with ThreadPoolExecutor() as pool:
        with acting(ledger):
            run = pool.submit(desk, "apply", plan)
            account = before[TABLE][0][1]
            desk("hold", "add", "--matter", "Case-1", "--account", account, "--ssh-key", world.ssh_key)
            assert not run.done()
            assert world.contents() == before
        assert run.result(60)["runs"][0]["plan"] == plan
    ledger.close()
    assert [row for row in before[TABLE] if row[1] == account] == [
        row for row in world.contents()[TABLE] if row[1] == account
    ]


@contextmanager
def acting(ledger: SqlLedger) -> Iterator[None]:
    """Be the one who acts, as soon as nobody else does."""
    until = time.monotonic() + 30
    while True:
        try:
            with ledger.acting():
                yield
                return
        except LedgerBusy:
            assert time.monotonic() < until
            time.sleep(0.05)
