"""Tables of a real PostgreSQL server that would lose more than the plan says, or keep what it says is gone.

Each is refused with its remedy, before a plan and after its approval; nothing of it is removed, and nothing is called
done. The other tables go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.postgres_world import DUE, PostgresWorld
from tests.acceptance.program import Program
from tests.servers.postgres import PASSWORD, Server, started

SOUND = "sound"


@dataclass(frozen=True)
class Hazard:
    """What somebody does to a table, how it is undone, and what is said of it: what is wrong, what helps, and in a run.

    Attributes:
        told: What `apply` says where it came after the approval; empty where it says the same.
    """

    do: str
    undo: str
    what: str
    remedy: str
    told: str = ""


CHILD = (
    "CREATE TABLE {{t}}_child (id int PRIMARY KEY, r text CONSTRAINT link REFERENCES {{t}} {});"
    "INSERT INTO {{t}}_child SELECT row_number() OVER (), request_id FROM {{t}};"
)
INDEX = "CREATE INDEX ON {t}_child (r)"
UNLINK = "ALTER TABLE {t}_child DROP CONSTRAINT link"
SWALLOW = (
    "CREATE FUNCTION {t}_keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    "CREATE TRIGGER keep BEFORE DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION {t}_keep()"
)
HAZARDS = {
    "hides": Hazard(  # exactly the rows that are due: to whom they are hidden, all is done
        "CREATE POLICY young ON {t} USING (created_at > now() - interval '30 days');"
        "ALTER TABLE {t} ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE {t} DISABLE ROW LEVEL SECURITY",
        "row-level security hides rows",
        "BYPASSRLS",
        told="permission was denied",
    ),
    "cascades": Hazard(CHILD.format("ON DELETE CASCADE") + INDEX, UNLINK, "would CASCADE rows of", "NO ACTION"),
    "sets_null": Hazard(CHILD.format("ON DELETE SET NULL") + INDEX, UNLINK, "would SET NULL rows of", "NO ACTION"),
    "unindexed": Hazard(CHILD.format(""), UNLINK, "would read all of", "CREATE INDEX CONCURRENTLY"),
    "swallows": Hazard(SWALLOW, "DROP TRIGGER keep ON {t}", "trigger 'keep' acts on every DELETE", "DROP TRIGGER"),
    "rewrites": Hazard(
        "CREATE RULE keep AS ON DELETE TO {t} DO INSTEAD NOTHING",
        "DROP RULE keep ON {t}",
        "rule 'keep' acts on every DELETE",
        "DROP RULE",
    ),
    "shows": Hazard(
        "ALTER TABLE {t} RENAME TO {t}_kept; CREATE VIEW {t} AS SELECT * FROM {t}_kept; GRANT ALL ON {t} TO PUBLIC",
        "DROP VIEW {t}; ALTER TABLE {t}_kept RENAME TO {t}",
        "is a view",
        "declare the table that holds the rows",
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Give a server that forgets nothing, as `check` wants it of one that holds the ledger."""
    with started() as running:
        running.configure(fsync="on")
        running.restart()
        yield running


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    with server.database() as name:
        yield name


@pytest.fixture
def world(program: Program, tmp_path: Path, server: Server, database: str) -> PostgresWorld:
    """Give a database with a sound table, and one for each hazard, which are sound, too."""
    return PostgresWorld.made(program, tmp_path, server, database, (SOUND, *HAZARDS))


def inflict(world: PostgresWorld) -> None:
    for table, hazard in HAZARDS.items():
        world.run(hazard.do.format(t=table))


def undo(world: PostgresWorld) -> None:
    for table, hazard in HAZARDS.items():
        world.run(hazard.undo.format(t=table))


def outcomes(run: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Give what became of records, by dataset, without what became of none."""
    return {
        each["dataset"]: {name: count for name, count in each["outcomes"].items() if count} for each in run["datasets"]
    }


def check_left_out(document: dict[str, Any]) -> None:
    """Check that each hazard is named, with its remedy, as what left its dataset out."""
    why = {each["dataset"]: each["why"] for each in document["left_out"]}
    assert why.keys() == HAZARDS.keys()
    assert [name for name, each in HAZARDS.items() if each.what not in why[name] or each.remedy not in why[name]] == []


def test_unsafe_tables_are_left_out_of_the_plan_each_with_its_remedy(world: PostgresWorld) -> None:
    world.configure()
    inflict(world)
    before = world.contents()

    findings = [each for each in world("check", code=3)["findings"] if each["refuses"]]
    assert {each["where"] for each in findings} == HAZARDS.keys()
    for each in findings:
        hazard = HAZARDS[each["where"]]
        assert hazard.what in each["what"]
        assert hazard.remedy in each["remedy"]

    plan = world("plan", code=4)
    assert [each["dataset"] for each in plan["datasets"]] == [SOUND]
    for table, hazard in HAZARDS.items():
        (reason,) = (each for each in plan["reasons"] if each.startswith(f"dataset {table} was left out"))
        assert hazard.what in reason
        assert hazard.remedy in reason
    world("approve", plan["plan"], "--ssh-key", world.ssh_key)
    (run,) = world("apply", plan["plan"])["runs"]
    assert outcomes(run) == {SOUND: {"purged": DUE}}
    assert world.contents() == world.kept(before, SOUND)

    again = world("run", code=5)
    assert again["runs"] == []
    check_left_out(again)
    assert world("plan", code=5)["plan"] is None
    assert world.contents() == world.kept(before, SOUND)
    assert world.verified() == ["complete"]


def test_what_makes_a_table_unsafe_after_the_approval_stops_its_batch(world: PostgresWorld) -> None:
    world.configure()
    assert world("check")["findings"] == []
    plan = world.approved_plan()
    inflict(world)
    before = world.contents()

    applied = world.call("apply", plan, "--json", code=5)
    (run,) = applied.json["runs"]
    assert run["state"] == "partial"
    assert applied.json["overdue"] == DUE * len(HAZARDS)
    assert outcomes(run) == {SOUND: {"purged": DUE}} | {name: {"carriedOver": DUE} for name in HAZARDS}
    assert world.contents() == world.kept(before, SOUND)
    for table, hazard in HAZARDS.items():
        (_, told) = applied.err.split(f"dataset {table} stops at batch", 1)
        said = told.split("dataset ", 1)[0]
        assert (hazard.told or hazard.what) in said
        assert "what to do:" in said
    assert world.verified() == ["partial"]

    check_left_out(world("run", code=5))
    assert world.contents() == world.kept(before, SOUND)
    undo(world)
    sound = world.contents()
    (run,) = world("run")["runs"]
    assert outcomes(run) == {name: {"purged": DUE} for name in HAZARDS}
    assert world.contents() == world.kept(sound, *HAZARDS)
    assert sorted(world.verified()) == ["complete", "partial"]


def test_where_no_table_can_be_worked_on_the_program_fails_with_the_remedy(
    program: Program, tmp_path: Path, server: Server, database: str
) -> None:
    """What is hidden is exactly what is due, so that nothing seems to be."""
    world = PostgresWorld.made(program, tmp_path, server, database, ("hides",))
    world.configure()
    world.run(HAZARDS["hides"].do.format(t="hides"))
    before = world.contents()
    for verb in ("plan", "run"):
        error = world(verb, code=1)
        assert (error["error"], error["where"]) == ("DatasetRefused", "hides")
        assert HAZARDS["hides"].what in error["what"]
        assert HAZARDS["hides"].remedy in error["remedy"]
    assert world.contents() == before
    assert world("receipt", "list")["receipts"] == []


def test_what_the_verifying_role_cannot_see_is_not_called_done(
    program: Program, tmp_path: Path, server: Server, database: str
) -> None:
    """The statement took effect, and nobody can tell: carried over, and no receipt says that it is gone."""
    world = PostgresWorld.made(program, tmp_path, server, database, (SOUND,), attributes="BYPASSRLS")
    world.configure()
    plan = world.approved_plan()
    world.run(HAZARDS["hides"].do.format(t=SOUND))
    applied = world.call("apply", plan, "--json", code=5)
    (run,) = applied.json["runs"]
    assert outcomes(run) == {SOUND: {"carriedOver": DUE}}
    assert f"dataset {SOUND} stops at batch 0: unknown" in applied.err
    assert world.verified() == ["partial"]
    error = world("run", code=1)
    assert "BYPASSRLS" in error["remedy"]


@pytest.mark.parametrize("place", ["in a database of its own", "beside the tables"])
def test_from_init_to_a_verified_receipt_with_the_ledger_in_postgresql(
    program: Program, tmp_path: Path, server: Server, database: str, place: str
) -> None:
    world = PostgresWorld.made(program, tmp_path, server, database, ("api_requests", "feedback"))
    owner = server.role(PASSWORD)
    with server.database() as other:
        where = database if place == "beside the tables" else other
        world.environ["LEDGER_DSN"] = server.dsn(where, owner, PASSWORD)
        with server.connect() as admin:
            admin.execute(f"GRANT CREATE ON DATABASE {where} TO {owner}".encode())
        world.configure("--ledger-dsn-env", "LEDGER_DSN")
        before = world.contents()
        assert world("check")["findings"] == []
        plan = world("plan", code=4)
        assert {each["dataset"]: each["due"] for each in plan["datasets"]} == dict.fromkeys(world.tables, DUE)
        assert world("apply", plan["plan"], code=4)["error"] == "GuardStopped"
        assert world.contents() == before

        world("approve", plan["plan"], "--ssh-key", world.ssh_key)
        (run,) = world("apply", plan["plan"])["runs"]
        assert (run["state"], outcomes(run)) == ("done", {name: {"purged": DUE} for name in world.tables})
        assert world.contents() == world.kept(before, *world.tables)
        assert world.verified() == ["complete"]
        assert world("status")["policies"][0]["overdue"] == 0
        assert world("run") == {"runs": [], "overdue": 0}
        assert world("ledger", "check")["findings"] == []
        assert not list(world.root.rglob("ledger.db*"))
