"""A first backlog as a script sees it: a chain of plans, approved once, with a receipt for each."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.test_contract import verified
from tests.acceptance.world import World


def chained(world: World, records: int) -> None:
    path = world.config / "policies.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}limits: {{chain_records: {records}}}\n", encoding="utf-8")


def test_a_backlog_is_a_chain_of_plans_approved_once(world: World, tmp_path: Path) -> None:
    chained(world, 10)
    file = tmp_path / "plan.json"
    plan = world("plan", "-o", file, code=4)
    due = sum(each["due"] for each in plan["datasets"])
    assert plan["chain"]
    assert plan["estimate"]["plans"] == 1 + len(plan["chain"])
    assert plan["records"] == plan["estimate"]["records"] == due
    assert all(0 < each["records"] <= 10 for each in plan["chain"])
    ids = [plan["plan"], *(each["plan"] for each in plan["chain"])]

    refused = world("approve", ids[1], "--ssh-key", world.ssh_key, code=2)
    assert ids[0] in refused["remedy"]
    assert world("apply", ids[1], code=2)["error"] == "UsageError"
    assert world("apply", file, code=4)["error"] == "GuardStopped"
    assert world.untouched()

    assert world("approve", file, "--ssh-key", world.ssh_key)["chain"] == ids[1:]
    assert [each["plan"] for each in world("status")["waiting"]] == [ids[0]]
    applied = world("apply", file)
    assert [run["plan"] for run in applied["runs"]] == ids
    assert {run["state"] for run in applied["runs"]} == {"done"}
    assert applied["overdue"] == 0
    assert world.passed()
    outcomes = [each["outcomes"]["purged"] for run in applied["runs"] for each in run["datasets"]]
    assert sum(outcomes) == due

    files = [world.root / run["file"] for run in applied["runs"]]
    assert len(set(files)) == len(ids)
    assert all(verified(world, each, "--log", world.config / "log")["valid"] for each in files)
    world("ledger", "check")
    assert world("run")["runs"] == []


def test_rejecting_the_first_ends_the_chain(small: World) -> None:
    chained(small, 5)
    plan = small("plan", code=4)
    small("reject", plan["plan"], "--ssh-key", small.ssh_key)
    assert small("status")["waiting"] == []
    assert small("apply", plan["plan"], code=4)["error"] == "ApprovalError"
    assert small.untouched()
