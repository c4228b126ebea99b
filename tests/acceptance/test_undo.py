"""Undo as a script sees it: a run that a bad rule made hid too much, and all of it comes back."""

from __future__ import annotations

import sqlite3

from tests.acceptance.world import KEEP_DAYS, World

QUARANTINE = """
CREATE TABLE hidden (request_id TEXT PRIMARY KEY, account_id TEXT, created_at, flagged INTEGER, prompt TEXT,
    payload_key TEXT, tombstoned_at TEXT NOT NULL)
"""


def hiding(world: World) -> None:
    """Have rows hidden in a table, and files in a directory, before they are purged."""
    policies, datamap = world.config / "policies.yaml", world.config / "datamap.yaml"
    rule = "- {keep: 30 days}"
    policies.write_text(policies.read_text().replace(rule, "- {keep: 30 days, then: tombstone, grace: 5 days}"))
    text = datamap.read_text().replace(
        "    key: [request_id]\n", "    key: [request_id]\n    tombstone: {table: hidden}\n"
    )
    datamap.write_text(text.replace('    prefix: ""\n', '    prefix: ""\n    tombstone: {directory: .quarantine}\n'))
    with sqlite3.connect(world.database) as db:
        db.execute(QUARANTINE)
    db.close()


def test_a_run_is_undone_after_a_pause_and_again_in_part(small: World) -> None:
    hiding(small)
    plan = small.approved_plan()
    (run,) = small("apply", plan)["runs"]
    due = {name for name, (_, age, flagged) in small.rows.items() if age > KEEP_DAYS and not flagged}
    assert small.rows_left() == set(small.rows) - due
    small("pause", "--reason", "bad rule")

    sign = ("--reason", "bad rule", "--ssh-key", small.ssh_key)
    found = small("undo", "--plan", run["run"], *sign)
    assert small.rows_left() == set(small.rows)
    assert small.files_left() - {".quarantine/.retentiond-quarantine"} == set(small.files)
    assert found["request"] == {"by": "alice", "reason": "bad rule"}
    restored = {each["dataset"]: each["outcomes"]["restored"] for each in found["datasets"]}
    assert restored["requests"] == len(due)
    assert sum(restored.values()) == run_total(run) == found["due_again"]
    assert (found["records"], found["forgotten"]) == ([], [])

    again = small("undo", "--dataset", "requests", "--key", "acct-a-3", "--key", "nowhere", *sign, code=5)
    assert [(each["key"], each["outcome"]) for each in again["records"]] == [("acct-a-3", "there"), ("nowhere", "gone")]
    assert small("undo", "--dataset", "requests", "--key", "nowhere", *sign, code=1)["due_again"] == 0
    assert small("undo", "--dataset", "requests", *sign, code=2)["error"] == "UsageError"
    assert small("undo", "--plan", run["run"], "--dataset", "requests", "--account", "acct-a", *sign, code=2)
    small("ledger", "check")

    small("resume", "--ssh-key", small.ssh_key)
    small("run")  # what policy makes due is due still, and goes into hiding once more
    assert small.rows_left() == set(small.rows) - due
    command = ("undo", "--dataset", "requests", "--account", "acct-b", *sign)
    said = small.program("--config", small.config, *command).out
    assert "due again by policy" in said
    assert "place a hold" in said
    of_b = {name for name in due if name.startswith("acct-b")}
    assert small.rows_left() == set(small.rows) - due | of_b


def run_total(run: dict[str, list[dict[str, dict[str, int]]]]) -> int:
    return sum(each["outcomes"]["tombstoned"] for each in run["datasets"])
