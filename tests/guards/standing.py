"""What the tests of guards share: their register, what stands before and after, and how a verb is refused."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.world import World

Test = Callable[[Any], None]


@dataclass(frozen=True)
class Case:
    """A guard's test, and the fixture that it is handed."""

    test: Test
    where: str


CASES: dict[str, Case] = {}


def guard(name: str, where: str = "small") -> Callable[[Test], Test]:
    """Register a test as that of a guard."""

    def register(test: Test) -> Test:
        CASES[name] = Case(test, where)
        return test

    return register


def standing(world: World) -> tuple[object, ...]:
    """Give everything that a guard must leave alone: rows, files, versions, receipts."""
    versions = world.versions_left() if world.endpoint else []
    receipts = sorted(path.name for path in (world.config / "receipts").glob("*"))
    return world.rows_left(), world.files_left(), versions, receipts


def log_size(config: Path) -> int:
    """Give how many entries were signed."""
    checkpoint = config / "log" / "checkpoint"
    return int(checkpoint.read_text(encoding="utf-8").splitlines()[1]) if checkpoint.exists() else 0


def refused(
    world: World, *verb: str | Path, guard: str, says: str, remedy: str, code: int = 4, **environ: str
) -> dict[str, Any]:
    """Call a verb that a guard stops: it says so, and nothing is removed and nothing signed."""
    before, size = standing(world), log_size(world.config)
    document: dict[str, Any] = world(*verb, code=code, **environ)
    check_told(document, guard, says, remedy)
    assert standing(world) == before
    assert log_size(world.config) == size
    return document


def check_told(document: Mapping[str, Any], guard: str, says: str, remedy: str) -> None:
    """Check which guard it was, what it said, and what it said to do."""
    told = document.get("stopped") or document
    assert told.get("guard", "") == guard, document
    assert says in told.get("what", ""), document
    assert remedy in told.get("remedy", ""), document


def waiting(world: World) -> str:
    """Plan what is due, and give the plan's id; nothing is said of whether it needs approval."""
    return str(world("plan", code=[0, 4])["plan"])


def approve(world: World, plan: str) -> str:
    world("approve", plan, "--ssh-key", world.ssh_key)
    return plan


def ready(world: World) -> str:
    """Plan and approve what is due, and give the plan's id."""
    return approve(world, waiting(world))


def first_pass(world: World) -> None:
    """Have the policies approved and carried out once; from then on `run` goes ahead by itself."""
    world("apply", ready(world))
    assert world.passed()


def ask_always(world: World) -> None:
    """Have each plan of requests ask for approval, also where the policy is approved, or nobody looks whether it is."""
    edit(world, "policies.yaml", "limits: {max_percent: 80}", "limits: {max_percent: 5}")


def add_due(world: World, count: int = 1) -> None:
    """Add rows that are due."""
    for number in range(count):
        world.add_row(f"later-{number}", "acct-a", 45)


def edit(world: World, name: str, old: str, new: str) -> None:
    """Change the first place of a file of the configuration."""
    path = world.config / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def name_person(world: World, name: str) -> Path:
    """Name somebody in the approvers file, and give their key."""
    key = world.root / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    kind, public, *_ = key.with_suffix(".pub").read_text(encoding="utf-8").split()
    with (world.config / "approvers").open("a", encoding="utf-8") as file:
        file.write(f"{name} {kind} {public}\n")
    return key


def in_ledger(world: World, statement: str, *values: object) -> None:
    """Change the ledger behind the program's back."""
    with closing(sqlite3.connect(world.config / "ledger.db")) as db, db:
        assert db.execute(statement, values).rowcount
