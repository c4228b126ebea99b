"""What several owners find of a record that they share: each its own receipt, and nothing of the other."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from retentiond.domain.hold import Scope
from retentiond.engine.approvals import approve
from retentiond.engine.bundles import export_all
from retentiond.engine.running import apply_plan
from tests.shapes.conftest import Begin
from tests.shapes.instance import Instance
from tests.shapes.owners import owner_seeds
from tests.shapes.seeds import ACCOUNT, AUTUMN, OTHER, Seed

SEEDS = {seed.id: seed for seed in owner_seeds()}
SHARED = [SEEDS["two columns"], SEEDS["in an array"], SEEDS["in a column and in another table"]]
EVERYBODY = (ACCOUNT, OTHER, "acct-c", "nobody")


def leaves(instance: Instance, account: str, folder: Path) -> list[dict[str, Any]]:
    """Return an account's leaf in each receipt that is about it."""
    with instance.open() as ctx:
        paths = export_all(ctx, folder, account)
    bundles = [json.loads(path.read_bytes()) for path in paths]
    assert all(bundle["annex"] is None for bundle in bundles)
    return [json.loads(base64.b64decode(bundle["account"]["leaf"])) for bundle in bundles]


@pytest.mark.parametrize("seeded", SHARED, ids=str)
def test_each_owner_finds_every_record_of_its_own(seeded: Seed, begin: Begin, tmp_path: Path) -> None:
    instance = begin()
    seed = instance.declare_seed(seeded)
    instance.enforce()
    due = [row for row in seed.table.rows if row.is_due(AUTUMN)]
    for number, account in enumerate(EVERYBODY):
        mine = sum(account in row.owners for row in due if row.owners is not None)
        found = [leaf["actions"]["purged"] for leaf in leaves(instance, account, tmp_path / str(number))]
        assert found == ([mine] if mine else [])


def test_a_held_record_is_retained_for_each_owner(begin: Begin, tmp_path: Path) -> None:
    instance = begin()
    seed = instance.declare_seed(SEEDS["two columns"])
    planned = instance.plan()
    assert planned.plan is not None
    instance.hold(Scope(accounts=(ACCOUNT,)))
    with instance.open() as ctx:
        approve(ctx, planned.plan.id, None)
        apply_plan(ctx, planned.plan.id)
    shared = [row for row in seed.table.rows if row.is_due(AUTUMN) and row.owners == {ACCOUNT, OTHER}]
    (leaf,) = leaves(instance, OTHER, tmp_path / "other")
    assert leaf["retained"] == len(shared) > 0


def test_a_closure_receipt_is_of_its_account_alone(begin: Begin, tmp_path: Path) -> None:
    instance = begin()
    seed = instance.declare_seed(SEEDS["in an array"])
    rows = [row for row in seed.table.rows if row.is_doubtful]
    keys = ", ".join(str(row.values["id"]) for row in rows)
    instance.maker.run(f"DELETE FROM requests WHERE id IN ({keys})")
    assert instance.close(ACCOUNT) == "closed"
    mine = [row for row in seed.table.rows if row.owners and ACCOUNT in row.owners]
    shared = [row for row in mine if row.owners and OTHER in row.owners]
    run, closure = leaves(instance, ACCOUNT, tmp_path / "mine")
    assert run["actions"]["purged"] == closure["actions"]["purged"] == len(mine)
    assert [leaf["actions"]["purged"] for leaf in leaves(instance, OTHER, tmp_path / "other")] == [len(shared)]
    statement = instance.statements()[-1]
    assert statement["kind"] == "closure"
    assert statement["accounts"]["size"] == 16
