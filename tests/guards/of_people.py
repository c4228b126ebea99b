"""Guards of who says yes."""

from __future__ import annotations

import subprocess
from datetime import timedelta

from tests.acceptance.world import World, days_ago
from tests.guards.standing import (
    add_due,
    approve,
    ask_always,
    edit,
    first_pass,
    guard,
    in_ledger,
    name_person,
    ready,
    refused,
    waiting,
)

AGAIN = "make a new plan, and approve it"
PURGE = ("purge", "--dataset", "requests", "--account", "acct-b", "--reason", "ticket 17", "--ssh-key")


@guard("approval-waiting")
def a_plan_that_nobody_approved(world: World) -> None:
    ask_always(world)
    plan = waiting(world)
    says = f"plan {plan} waits for approval: "
    refused(world, "apply", plan, guard="approval", says=says, remedy=f"retentiond approve {plan}")
    world("apply", approve(world, plan))
    assert world.passed()


@guard("approval-missing")
def a_plan_that_only_its_state_calls_approved(world: World) -> None:
    ask_always(world)
    plan = waiting(world)
    in_ledger(world, "UPDATE plans SET state = 'planned' WHERE id = ?", plan)
    refused(world, "apply", plan, guard="approval", says=f"plan {plan} needs 1 approvals and has 0", remedy=AGAIN)
    world("apply", ready(world))
    assert world.passed()


@guard("approval-foreign")
def an_approval_that_was_given_to_another_instance(world: World) -> None:
    made = world("plan", code=[0, 4])
    not_after = f"{days_ago(0) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    text = f"retentiond-approval/v1\nanother\n{made['sha256']}\napprove\nalice\n{not_after}\n"
    sign = ["ssh-keygen", "-q", "-Y", "sign", "-n", "retentiond", "-f", str(world.ssh_key)]
    signature = subprocess.run(sign, input=text, capture_output=True, text=True, check=True).stdout
    now = int(days_ago(0).timestamp() * 1_000_000)
    in_ledger(
        world,
        "INSERT INTO approvals (plan_sha256, principal, approve, not_after, signature, at, log_index)"
        " VALUES (?, 'alice', 1, ?, ?, ?, 0)",
        *(made["sha256"], not_after, signature, now),
    )
    in_ledger(world, "UPDATE plans SET state = 'planned' WHERE id = ?", made["plan"])
    told = refused(
        world, "apply", made["plan"], guard="", says="the signature is not one of this text", remedy="sign exactly"
    )
    assert told["error"] == "ApprovalError"
    world("apply", ready(world))
    assert world.passed()


@guard("approvers-changed")
def somebody_whom_only_a_changed_file_names(world: World) -> None:
    ask_always(world)
    first_pass(world)
    bob = name_person(world, "bob")
    edit(world, "policies.yaml", "- {keep: 30 days}", "- {keep: 31 days}")
    add_due(world)
    verb = ("approve", waiting(world), "--ssh-key", bob)
    says = "is named only in the changed approvers file, which is not in force"
    refused(world, *verb, guard="approvers-changed", says=says, remedy="`retentiond approve`")
    world("approve", world.config / "approvers", "--ssh-key", world.ssh_key)
    world(*verb)
    world("apply", verb[1])
    assert world.passed()


@guard("approvers-empty")
def nobody_is_named(world: World) -> None:
    ask_always(world)
    approvers = world.config / "approvers"
    named = approvers.read_text(encoding="utf-8")
    approvers.write_text("# nobody yet\n", encoding="utf-8")
    plan = waiting(world)
    verb = ("approve", plan, "--ssh-key", world.ssh_key)
    says = "nobody is named in the approvers file"
    refused(world, *verb, guard="approvers-empty", says=says, remedy="add a line `NAME ssh-ed25519")
    approvers.write_text(named, encoding="utf-8")
    world(*verb)
    world("apply", plan)
    assert world.passed()


@guard("two-people")
def a_purge_where_one_person_is_named(world: World) -> None:
    says = "a manual purge needs two people, and the approvers file names one"
    refused(world, *PURGE, world.ssh_key, guard="two-people", says=says, remedy="name a second person in `approvers`")
    bob = name_person(world, "bob")  # no file was in force yet
    purged(world, str(world(*PURGE, world.ssh_key, code=4)["plan"]), bob)


def purged(world: World, plan: str, *somebody: object) -> None:
    """Have somebody else approve a purge, and carry it out."""
    world("approve", plan, "--ssh-key", *map(str, somebody))
    world("apply", plan)
    assert world.rows_left() == {name for name, (account, *_) in world.rows.items() if account != "acct-b"}
    assert world.files_left() == set(world.files)


@guard("approval-own")
def whoever_asked_for_a_purge_approves_it(world: World) -> None:
    bob = name_person(world, "bob")
    plan = str(world(*PURGE, world.ssh_key, code=4)["plan"])
    verb = ("approve", plan, "--ssh-key", world.ssh_key)
    told = refused(world, *verb, guard="", says=f"alice asked for plan {plan}", remedy="somebody else")
    assert told["error"] == "ApprovalError"
    purged(world, plan, bob)
