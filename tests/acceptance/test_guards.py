"""Every guard as an operator meets it: what sets it off, what it says, how the call ends, and what unblocks it.

Each is met in a world of its own, and once more with the guard taken out of the program, which its test has to notice.
`python -m tests.guards.removal` takes one guard after the other out, and runs the tests of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.postgres_world import PostgresWorld
from tests.acceptance.program import Program
from tests.guards import of_amounts, of_changes, of_people, of_time, patches
from tests.guards.patches import REMOVALS, WITHOUT
from tests.guards.standing import CASES
from tests.servers.forking import PATCHED_BY
from tests.servers.postgres import Server

MODULES = (of_amounts, of_changes, of_people, of_time)


@pytest.fixture(autouse=True)
def _patched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATCHED_BY, patches.__file__)


@pytest.fixture
def database_world(program: Program, tmp_path: Path, postgresql_newest: Server) -> Iterator[PostgresWorld]:
    """Give a table in a PostgreSQL server, described and approved by nobody yet."""
    with postgresql_newest.database() as name:
        made = PostgresWorld.made(program, tmp_path, postgresql_newest, name, ("sound",))
        made.configure()
        yield made


def test_each_guard_can_be_taken_out() -> None:
    assert CASES.keys() == REMOVALS.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_guard_stops_what_it_should_until_it_is_content(name: str, request: pytest.FixtureRequest) -> None:
    case = CASES[name]
    case.test(request.getfixturevalue(case.where))


@pytest.mark.parametrize("name", CASES)
def test_without_the_guard_its_test_fails(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WITHOUT, name)
    case = CASES[name]
    world = request.getfixturevalue(case.where)
    with pytest.raises(AssertionError):
        case.test(world)
