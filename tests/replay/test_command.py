"""The verbs as an operator and a script see them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.engine.office import Office
from tests.replay.killing import ACCOUNTS, make_restored
from tests.servers.forking import of_this_interpreter


def said(office: Office, *words: str) -> tuple[int, str, str]:
    """Return the exit code of a verb, and what it said on stdout and stderr."""
    words = ("--config", str(office.config), *words)
    code, out, err = of_this_interpreter().call(words, cwd=office.root, environ=os.environ, seconds=60)
    return code, out.decode(), err.decode()


def call(office: Office, *words: str) -> tuple[int, dict[str, Any], str]:
    code, out, err = said(office, *words, "--json")
    return code, json.loads(out), err


def test_check_names_the_remedy_and_replay_says_what_it_did(tmp_path: Path) -> None:
    office = make_restored(tmp_path / "first").copy(1)
    code, checked, _ = call(office, "check")
    assert code == 3
    (found,) = [
        each for each in checked["findings"] if "retentiond replay" in each["remedy"] and "closed" in each["what"]
    ]
    assert found["where"] == "store app"
    assert found["refuses"] is False

    code, done, told = call(office, "replay")
    assert code == 0, told
    assert {name: done[name] for name in ("closures", "accounts_back", "since_closure", "overdue")} == {
        "closures": 6, "accounts_back": 6, "since_closure": 0, "overdue": 0
    }  # fmt: skip
    assert done["manual_purges_not_replayed"] == 0
    (run,) = done["runs"]
    assert (run["state"], Path(run["file"]).exists()) == ("done", True)
    assert {each["dataset"]: each["due"] for each in done["datasets"]} == {"requests": 18, "payloads": 1, "feedback": 6}
    assert call(office, "check")[0] == 0

    office.request("since", -1e-3, account=ACCOUNTS[0])
    office.request("back", 9, account=ACCOUNTS[0])
    code, stopped, told = call(office, "replay")
    assert code == 4
    assert stopped["stopped"]["guard"] == "approval"
    assert "1 records of closed accounts were written since their closure" in told
    assert not any(account in told + json.dumps(stopped) for account in ACCOUNTS)
    code, out, _ = said(office, "replay")
    assert code == 4
    assert "closed accounts" not in out or not any(account in out for account in ACCOUNTS)
    code, _, _ = call(office, "approve", stopped["plan"])
    assert code == 0
    assert call(office, "replay")[0] == 0
    assert office.rows() & {"since", "back"} == {"since"}


def test_what_could_not_be_looked_at_is_not_told_as_nothing_overdue(tmp_path: Path) -> None:
    office = make_restored(tmp_path / "first").copy(1)
    with office.db() as db:
        db.execute("ALTER TABLE feedback RENAME TO away")
    code, done, told = call(office, "replay")
    assert (code, done["overdue"]) == (5, None)
    assert "dataset feedback was left out" in told
    assert [each["dataset"] for each in done["left_out"]] == ["feedback"]
    assert "overdue: not known" in said(office, "replay")[1]
    _, stands, _ = call(office, "status")
    assert {each["policy"]: each["overdue"] for each in stands["policies"]} == {"content": 0, "feedback": None}
    with office.db() as db:
        db.execute("ALTER TABLE away RENAME TO feedback")
    code, done, _ = call(office, "replay")
    assert (code, done["overdue"]) == (0, 0)
