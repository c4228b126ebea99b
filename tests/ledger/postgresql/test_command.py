"""An operator begins with a ledger in PostgreSQL, through the command line."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from retentiond.ledger import Database, open_ledger
from tests.servers.forking import of_this_interpreter
from tests.servers.postgres import PASSWORD, Server

Run = Any


@pytest.fixture
def run(postgresql_newest: Server, database: str, tmp_path: Path) -> Run:
    """Run the program with the DSN of an empty database in LEDGER_DSN, which has a password."""
    with postgresql_newest.connect() as admin:
        role = postgresql_newest.role(PASSWORD)
        admin.execute(f"ALTER DATABASE {database} OWNER TO {role}")

    def runner(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
        dsn = postgresql_newest.dsn(database, role, PASSWORD)
        programs = str(postgresql_newest.installation.programs)
        environ = {**os.environ, "LEDGER_DSN": dsn, "PATH": f"{programs}:{os.environ['PATH']}"} | environ
        words = [*map(str, arguments)]
        code, *said = of_this_interpreter().call(words, cwd=tmp_path, environ=environ, seconds=60)
        done = subprocess.CompletedProcess(words, code, *(text.decode() for text in said))
        assert PASSWORD not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return runner


def test_an_instance_begins_lives_and_is_copied_in_a_database(run: Run, tmp_path: Path) -> None:
    begun = run("init", "config", "--ledger-dsn-env", "LEDGER_DSN", "--json")
    assert begun.returncode == 0, begun.stderr
    assert any("schema retentiond" in file for file in json.loads(begun.stdout)["files"])
    assert "\nledger: {dsn_env: LEDGER_DSN}\n" in (tmp_path / "config" / "retentiond.yaml").read_text()
    assert not list((tmp_path / "config").glob("*.db"))
    assert run("status", "--json").returncode == 0
    assert json.loads(run("ledger", "upgrade", "--json").stdout) == {"upgraded": False}
    checked = run("ledger", "check", "--json")
    assert ["setting fsync" in each for each in json.loads(checked.stdout)["findings"]] == [True]
    audited = run("audit", "--log", "--json")
    assert audited.returncode == 3
    assert ["setting fsync" in each["what"] for each in json.loads(audited.stdout)["findings"]] == [True]
    assert run("ledger", "backup", "copy.dump").returncode == 0
    assert (tmp_path / "copy.dump").read_bytes().startswith(b"PGDMP")


def test_a_ledger_of_another_instance_is_refused_and_nothing_is_written(run: Run, tmp_path: Path) -> None:
    assert run("init", "first", "--ledger-dsn-env", "LEDGER_DSN").returncode == 0
    second = run("init", "second", "--ledger-dsn-env", "LEDGER_DSN")
    assert second.returncode == 2
    assert "another instance's" in second.stderr
    assert "schema" in second.stderr
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("name", "environ", "code", "words"),
    [
        ("NOT_SET", {}, 2, "NOT_SET is not set"),
        ("two words", {}, 2, "no name of an environment variable"),
        ("LEDGER_DSN", {"LEDGER_DSN": "nonsense"}, 1, "DSN cannot be read"),
        ("LEDGER_DSN", {"LEDGER_DSN": "postgresql://127.0.0.1:1/x"}, 1, "cannot be reached"),
    ],
)
def test_a_dsn_that_is_wrong_leaves_nothing_behind(
    run: Run, tmp_path: Path, name: str, environ: dict[str, str], code: int, words: str
) -> None:
    done = run("init", "config", "--ledger-dsn-env", name, **environ)
    assert done.returncode == code
    assert words in done.stderr
    assert "what to do" in done.stderr
    assert not (tmp_path / "config").exists()


def test_init_writes_over_nothing_and_makes_no_ledger_then(
    run: Run, tmp_path: Path, postgresql_newest: Server, database: str
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "approvers").write_text("mine")
    done = run("init", "config", "--ledger-dsn-env", "LEDGER_DSN")
    assert done.returncode == 2
    assert "it is there already" in done.stderr
    with pytest.raises(Exception, match="there is no ledger"):
        open_ledger(Database(postgresql_newest.dsn(database)))
