"""Guards of what changed since it was looked at, of what is not its own, and of what people switch off."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.acceptance.world import World, days_ago
from tests.guards.standing import (
    add_due,
    approve,
    ask_always,
    edit,
    first_pass,
    guard,
    ready,
    refused,
    waiting,
)

AGAIN = "make a new plan, and approve it"


@guard("policy-unapproved")
def a_policy_that_changed_since_it_was_approved(world: World) -> None:
    first_pass(world)
    add_due(world)
    edit(world, "policies.yaml", "- {keep: 30 days}", "- {keep: 31 days}")
    says = "policy request-content for dataset requests was not approved in its present form"
    plan = waiting(world)
    refused(world, "run", guard="approval", says=says, remedy=f"retentiond approve {plan}")
    approve(world, plan)
    world("run")
    assert world.passed()


def changed_after_the_plan(world: World, guard: str, says: str, file: str, *change: str) -> None:
    """Change a file after the approval: the plan is refused, and another one goes."""
    plan = ready(world)
    edit(world, file, *change)
    refused(world, "apply", plan, guard=guard, says=says.format(plan=plan), remedy=AGAIN)
    world("apply", ready(world))
    assert world.passed()


@guard("policy-changed")
def a_policy_that_changed_after_the_plan(world: World) -> None:
    says = "policy request-content changed after plan {plan} was made"
    changed_after_the_plan(world, "policy-changed", says, "policies.yaml", "- {keep: 30 days}", "- {keep: 31 days}")


@guard("list-changed")
def a_list_that_changed_after_the_plan(world: World) -> None:
    kept = "- {when: {account: {in: special}}, keep: 200 days, promise: {live: 210 days, backups: 210 days}}"
    edit(world, "policies.yaml", "      - {when", f"      {kept}\n      - {{when")
    edit(world, "policies.yaml", "closure:", "lists: {special: [acct-x]}\nclosure:")
    says = "a named list changed after plan {plan} was made"
    changed_after_the_plan(world, "policy-changed", says, "policies.yaml", "[acct-x]", "[acct-y]")


@guard("dataset-changed")
def a_dataset_that_changed_after_the_plan(world: World) -> None:
    says = "dataset requests changed after plan {plan} was made"
    changed_after_the_plan(world, "dataset-changed", says, "datamap.yaml", "2020-01-01", "2019-01-01")


@guard("hold-astray")
def a_hold_whose_dataset_has_another_name_by_now(world: World) -> None:
    named = ("--dataset", "exports", "--key", "acct-held/2020-01-01.csv")
    hold = world("hold", "add", "--matter", "M-1", *named, "--ssh-key", world.ssh_key)["hold"]
    edit(world, "datamap.yaml", "  exports:\n    store", "  reports:\n    store")
    (found,) = (each for each in world("check", code=3)["findings"] if each["guard"] == "hold-astray")
    assert found["where"] == f"hold {hold}"
    assert world("hold", "report", "M-1", code=3)["not_looked_at"][0]["dataset"] == "exports"
    says = f"hold {hold} is on dataset exports, which the data map does not have"
    plan = ready(world)
    refused(world, "apply", plan, guard="hold-astray", says=says, remedy="hold release")
    world("hold", "release", hold, "--ssh-key", world.ssh_key)
    world("apply", plan)
    assert world.passed()


@guard("unmapped")
def data_that_nothing_names(world: World) -> None:
    world("check")
    with closing(sqlite3.connect(world.database)) as db, db:
        db.executescript("CREATE TABLE forgotten (id INTEGER PRIMARY KEY); INSERT INTO forgotten VALUES (1);")
    (found,) = world("check", code=3)["findings"]
    assert (found["guard"], found["where"], found["refuses"]) == ("unmapped", "store db", False)
    assert found["what"] == "'forgotten' holds data that no dataset names"
    assert "`ignore`" in found["remedy"]
    assert world.untouched()
    edit(world, "datamap.yaml", "unmapped:", "ignore: [{store: db, pattern: forgotten, reason: a trial}]\nunmapped:")
    assert world("check")["findings"] == []


def copied(world: World, label: str, *names: str) -> dict[Path, Path]:
    """Copy parts of the program's own, and give the copy of each."""
    copies = {world.config / name: world.root / f"{label}-{name}" for name in names}
    for own, copy in copies.items():
        put(own, copy)
    return copies


def put(source: Path, target: Path) -> None:
    for beside in target.parent.glob(f"{target.name}*"):  # a database has files beside it
        if beside.is_dir():
            shutil.rmtree(beside)
        else:
            beside.unlink()
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


def went_back_in_time(world: World, says: str, *names: str) -> None:
    """Have parts of the program's own be those of before an approval; once the newest are back the plan goes."""
    ask_always(world)
    plan = waiting(world)
    older = copied(world, "older", *names)
    approve(world, plan)
    newest = copied(world, "newest", *names)
    for own, copy in older.items():
        put(copy, own)
    for verb in (("plan",), ("run",), ("apply", plan)):
        refused(world, *verb, guard="ledger-behind-log", says=says, remedy="put back the newest ledger")
    for own, copy in newest.items():
        put(copy, own)
    world("apply", plan)
    assert world.passed()


@guard("ledger-behind-log")
def a_ledger_behind_its_log(world: World) -> None:
    went_back_in_time(world, " entries and the ledger knows of ", "ledger.db")


@guard("ledger-behind-journal")
def a_ledger_and_a_log_behind_the_journal(world: World) -> None:
    says = "the journal has 2 records that the ledger does not know"  # the approval, and whom approvers names
    went_back_in_time(world, says, "ledger.db", "log")


@guard("stop-file")
def the_stop_file_is_there(world: World) -> None:
    plan = ready(world)
    stop = world.config / "STOP"
    stop.touch()
    told = refused(
        world, "apply", plan, guard="stop-file", says=f"the stop file {stop} exists", remedy="remove it to go on"
    )
    assert told["where"] == str(stop)
    stop.unlink()
    world("apply", plan)
    assert world.passed()


@guard("key-not-in-force")
def a_key_that_was_revoked(world: World) -> None:
    plan = ready(world)
    since = f"{days_ago(0):%Y-%m-%dT%H:%M:%SZ}"
    world("keys", "revoke", "issuer", "--at", since, "--reason", "lost", "--ssh-key", world.ssh_key)
    says, remedy = f" was revoked as of {since}: nothing is signed with it", "`retentiond keys rotate issuer`"
    refused(world, "apply", plan, guard="key-not-in-force", says=says, remedy=remedy)
    world("keys", "rotate", "issuer", "--ssh-key", world.ssh_key)
    world("apply", plan)
    assert world.passed()


@guard("observe")
def an_instance_that_only_observes(world: World) -> None:
    plan = ready(world)
    edit(world, "retentiond.yaml", "mode: enforce", "mode: observe")
    refused(world, "apply", plan, guard="observe", says="this instance only observes", remedy="set `mode: enforce`")
    edit(world, "retentiond.yaml", "mode: observe", "mode: enforce")
    world("apply", plan)
    assert world.passed()


@guard("paused")
def everything_is_paused(world: World) -> None:
    plan = ready(world)
    world("pause", "--reason", "incident 7")
    refused(world, "apply", plan, guard="paused", says="everything is paused", remedy="`retentiond resume`")
    world("resume", "--ssh-key", world.ssh_key)
    world("apply", plan)
    assert world.passed()


@guard("plan-foreign")
def a_plan_of_another_instance(world: World) -> None:
    plan = waiting(world)
    (world.root / "other").mkdir()
    other = World.made(world.program, world.root / "other", None)
    edit(other, "retentiond.yaml", "instance: ", "instance: other-")
    file = world.root / "other.json"
    made = other("plan", "-o", file, code=[0, 4])
    for reference in (made["plan"], made["sha256"], file):
        refused(world, "apply", reference, code=2, guard="", says="there is no plan", remedy="`retentiond status`")
    copy_plan(other, world, made["plan"])
    says = f"plan {made['plan']} is not one that this instance made and logged"
    refused(world, "apply", made["plan"], guard="foreign-plan", says=says, remedy="retentiond plan")
    world("apply", approve(world, plan))
    assert world.passed()
    assert other.untouched()


def copy_plan(source: World, target: World, plan: str) -> None:
    """Copy a plan from one ledger into another, as one that needs nobody's approval."""
    with closing(sqlite3.connect(target.config / "ledger.db")) as db, db:
        db.execute("ATTACH ? AS other", [str(source.config / "ledger.db")])
        for table, key in (("drafts", "id"), ("parts", "plan"), ("batches", "plan"), ("batch_identifiers", "plan")):
            db.execute(f"INSERT INTO main.{table} SELECT * FROM other.{table} WHERE {key} = ?", [plan])
        names = [name for _, name, *_ in db.execute("PRAGMA main.table_info(plans)")]
        changed = {"state": "'planned'", "approvals_needed": "0", "log_index": "0"}  # that of a policy's entry
        columns = ", ".join(changed.get(name, f'"{name}"') for name in names)
        db.execute(f"INSERT INTO main.plans SELECT {columns} FROM other.plans WHERE id = ?", [plan])
