"""Each shape purges exactly an oracle's set from a seeded table, and counts what it cannot tell."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import pytest

from retentiond.domain.hold import Scope
from retentiond.testing.hostile import NAMES
from tests.shapes.conftest import BINARY, EVERY, NEWEST, Begin
from tests.shapes.instance import forecast_of
from tests.shapes.owners import owner_seeds
from tests.shapes.seeds import Seed, clock_seeds, key_seeds, named_seed

LINES = [name for name in NAMES if "\x00" not in name]
OWNED = [*owner_seeds(), named_seed()]
ALL = [*clock_seeds(), *key_seeds(LINES), *OWNED]
FEW = ("sqlite", NEWEST, f"{NEWEST} {BINARY}")


def on(engines: Iterable[str], seeds: Iterable[Seed]) -> pytest.MarkDecorator:
    """Have a test run for each seed on each engine; by a second manner of the same engine only where there is one."""
    pairs = [
        pytest.param(engine, seed, id=f"{engine}-{seed}")
        for engine, seed in product(engines, seeds)
        if BINARY not in engine or {"json", "array"} & set(seed.table.columns.values())
    ]
    return pytest.mark.parametrize(("begin", "seeded"), pairs, indirect=["begin"])


@on(EVERY, ALL)
def test_policy_removes_exactly_what_is_old_and_known(seeded: Seed, begin: Begin) -> None:
    instance = begin(seeded.now)
    seed = instance.declare_seed(seeded)
    due = {seed.table.key_of(row) for row in seed.table.rows if row.is_due(seed.now)}
    kept = {seed.table.key_of(row) for row in seed.table.rows} - due
    doubtful = sum(row.is_doubtful for row in seed.table.rows)
    assert due, "a seed tells removal from keeping"
    assert kept, "a seed tells keeping from removal"

    planned, session = instance.enforce()

    assert planned.failures == ()
    forecast = forecast_of(planned)
    assert (forecast.due, forecast.undetermined, forecast.examined) == (len(due), doubtful, len(seed.table.rows))
    assert session is not None
    assert instance.maker.keys(seed.table) == kept
    outcomes = [dict(carried.outcomes()["requests"]) for carried in session.carried]
    assert outcomes == [{"purged": len(due)}]
    for table in seed.beside:
        assert instance.maker.keys(table) == {table.key_of(row) for row in table.rows}


@on(FEW, OWNED)
def test_a_closure_takes_what_is_the_accounts_and_ends_only_when_nothing_may_be(seeded: Seed, begin: Begin) -> None:
    instance = begin(seeded.now)
    seed = instance.declare_seed(seeded)
    rows = seed.table.rows
    taken = {seed.table.key_of(row) for row in rows if row.owners is not None and seed.account in row.owners}
    perhaps = sum(row.owners is None and seed.account in row.named for row in rows)

    state = instance.close(seed.account)

    assert instance.maker.keys(seed.table) == {seed.table.key_of(row) for row in rows} - taken
    assert state == ("closing" if perhaps else "closed")
    assert instance.remaining(seed.account) == {"requests": perhaps}


@on(FEW, [seed for seed in OWNED if seed.id != "two columns of numbers"])
def test_a_hold_on_one_owner_holds_what_others_own_too(seeded: Seed, begin: Begin) -> None:
    instance = begin(seeded.now)
    seed = instance.declare_seed(seeded)
    instance.hold(Scope(accounts=(seed.account,)))
    due = [row for row in seed.table.rows if row.is_due(seed.now)]
    held = [row for row in due if row.owners is not None and seed.account in row.owners]
    gone = {seed.table.key_of(row) for row in due if row not in held}

    planned, _ = instance.enforce()

    assert forecast_of(planned).held == len(held) > 0
    assert instance.maker.keys(seed.table) == {seed.table.key_of(row) for row in seed.table.rows} - gone
