"""A manual purge as a script sees it: asked for by one, approved by another, and a receipt that says so."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.acceptance.test_contract import verified
from tests.acceptance.world import KEEP_DAYS, World, days_ago


def second_person(world: World) -> Path:
    """Name bob beside alice, and give his key."""
    key = world.root / "bob"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    kind, public, *_ = key.with_suffix(".pub").read_text(encoding="utf-8").split()
    with (world.config / "approvers").open("a", encoding="utf-8") as file:
        file.write(f"bob {kind} {public}\n")
    return key


def test_one_asks_another_approves_and_exactly_that_is_gone(world: World) -> None:
    bob = second_person(world)
    of_b = {name for name, (account, *_) in world.rows.items() if account == "acct-b"}
    before = world.versions_left()
    words = ("--dataset", "requests", "--account", "acct-b", "--reason", "erasure ticket 17")
    asked = world("purge", *words, "--ssh-key", world.ssh_key, code=4)
    assert asked["needs_approval"]
    assert asked["request"] == {"by": "alice", "reason": "erasure ticket 17"}
    samples = {each["dataset"]: each for each in asked["sample"]}
    assert samples["requests"]["records"] == len(of_b)
    assert samples["payloads"]["records"] == 2 * len(of_b)
    assert set(samples["requests"]["keys"]) < of_b
    assert len(samples["requests"]["keys"]) == 5
    assert world.untouched()

    plan = asked["plan"]
    refused = world("approve", plan, "--ssh-key", world.ssh_key, code=4)
    assert refused["error"] == "ApprovalError"
    assert "alice asked for" in refused["what"]
    assert world("apply", plan, code=4)["error"] == "GuardStopped"
    assert world("status")["waiting"][0]["plan"] == plan
    assert world("approve", plan, "--ssh-key", bob)["approved"]
    (run,) = world("apply", plan)["runs"]
    assert world.rows_left() == set(world.rows) - of_b
    assert world.files_left() == set(world.files)
    assert world.versions_left() == [each for each in before if "/acct-b/" not in each[0]]

    file = world.root / run["file"]
    assert verified(world, file, "--log", world.config / "log")["valid"]
    shown = json.dumps(world("receipt", "show", run["receipt"]))
    assert "manual" in shown
    world("ledger", "check")


def test_nothing_selected_and_selectors_that_say_nothing(small: World) -> None:
    second_person(small)
    sign = ("--reason", "why", "--ssh-key", small.ssh_key)
    nothing = small("purge", "--dataset", "requests", "--key", "nowhere", *sign)
    assert nothing["plan"] is None
    assert nothing["missing_keys"] == ["nowhere"]
    small("purge", "--dataset", "requests", *sign, code=2)
    small("purge", "--dataset", "requests", "--key", "a", "--account", "b", *sign, code=2)
    small("purge", "--dataset", "requests", "--where", "{colour: red}", *sign, code=2)
    small("purge", "--dataset", "requests", "--key", "a", "--yes", *sign, code=2)
    assert small.untouched()


def test_a_condition_and_people_that_read(small: World) -> None:
    bob = second_person(small)
    flagged = {name for name, (*_, flag) in small.rows.items() if flag}
    said = small.program(
        *("--config", small.config, "purge", "--dataset", "requests", "--where", "{flagged: true}"),
        *("--reason", "mislabelled", "--ssh-key", small.ssh_key),
        code=4,
    )
    assert "mislabelled" in said.out
    assert "somebody else" in said.out
    plan = small("status")["waiting"][0]["plan"]
    small("approve", plan, "--ssh-key", bob)
    small("run", code=4)  # carries the purge out; what policies make due waits for approval
    assert small.rows_left() == set(small.rows) - flagged


def test_people_of_the_file_before_let_a_changed_approvers_file_count(small: World) -> None:
    bob = second_person(small)
    approvers = small.config / "approvers"
    hold = ("hold", "add", "--account", "acct-c", "--matter", "Case 1", "--ssh-key")
    small(*hold, bob)
    lines = approvers.read_text(encoding="utf-8").splitlines()
    approvers.write_text(lines[0] + "\n", encoding="utf-8")
    changed = small("status")["approvers_changed"]
    assert changed["missing"] == 2
    small(*hold, bob)
    assert small("approve", approvers, "--ssh-key", small.ssh_key, code=4)["missing"] == 1
    assert small("approve", approvers, "--ssh-key", bob) == {
        "plan": changed["sha256"],
        "approved": True,
        "missing": 0,
        "chain": [],
    }
    assert small("status")["approvers_changed"] is None
    assert "belongs to nobody" in small(*hold, bob, code=4)["what"]
    small(*hold, small.ssh_key)
    small("ledger", "check")


def test_pause_resume_and_cancel(small: World) -> None:
    plan = small.approved_plan()
    assert small("pause", "--reason", "incident 7")["paused"]
    assert small("status")["paused"]["reason"] == "incident 7"
    stopped = small("apply", plan, code=4)
    assert "paused" in stopped["what"]
    assert "resume" in stopped["remedy"]
    small("resume", "--ssh-key", small.ssh_key)
    assert small("status")["paused"] is None
    assert small("cancel", plan, "--ssh-key", small.ssh_key)["state"] == "cancelled"
    assert small("apply", plan, code=4)["error"] == "ApprovalError"
    assert small.untouched()
    small("run")  # what policy makes due is due still
    assert small.passed()
    small("ledger", "check")


def test_a_forecast_and_a_comparison_are_no_plans(small: World, tmp_path: Path) -> None:
    small("run", code=4)
    small("approve", small("status")["waiting"][0]["plan"], "--ssh-key", small.ssh_key)
    small("run")
    assert small.passed()
    file = tmp_path / "forecast.json"
    found = small("plan", "--at", f"{days_ago(-15):%Y-%m-%dT%H:%MZ}", "-o", file)
    assert (found["plan"], found["forecast"]) == (None, True)
    of_age = sum(20 <= age <= KEEP_DAYS for _, age, flagged in small.rows.values() if not flagged)
    assert next(each["due"] for each in found["datasets"] if each["dataset"] == "requests") == of_age
    for verb in ("approve", "apply", "reject"):
        assert "holds no plan" in small(verb, file, code=2)["what"]
    small("plan", "--at", "2020-01-01T00:00Z", code=2)

    policies = small.config / "policies.yaml"
    policies.write_text(policies.read_text(encoding="utf-8").replace("- {keep: 30 days}", "- {keep: 15 days}", 1))
    requests, exports = small("plan", "--diff")["diff"]
    assert (requests["changed"], requests["more"], requests["less"]) == (True, of_age, 0)
    assert requests["oldest"].startswith(f"{days_ago(20):%Y-%m-%d}")
    assert (exports["changed"], exports["more"]) == (False, 0)
    assert small("status")["waiting"] == []
    assert small.passed()
