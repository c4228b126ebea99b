"""Keys, accounts and contents made to break programs, through all three stores, to the receipts."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.world import BUCKET, World, days_ago

NAMES = (
    'it\'s "quoted" `so`',
    "line\nfeed\r\n",
    "nul\x00in",
    "nul\x00other",
    "right\u202eto-left",
    "\u05d0\u05d1\u05d2",
    "\U0001f5d1\ufe0f\U0001f469\u200d\U0001f467",
    "k" * 1_024,
    "../../etc/passwd",
    "..",
    "a//b",
    "%2e%2e%2f",
    "%00",
    "a+b c",
    "__proto__",
    "'; DROP TABLE api_requests; --",
    "x') OR ('1'='1",
    "<script>alert(1)</script>",
    '["a","b"]',
    "\u00e9",
    "e\u0301",
    "Case",
    "case",
    "-rf",
    "--config",
    "%",
    "_",
    "*",
    " spaces ",
    "[red]markup[/red]",
)
KEEP = {name for number, name in enumerate(NAMES) if number % 3 == 0}  # these are young


def in_file(name: str) -> bool:
    return "\x00" not in name and "/" not in name and name not in (".", "..") and len(name.encode()) <= 240


def in_bucket(name: str) -> bool:
    """Say whether a server that lists in XML can hold it, and an HTTP client sends it as it is."""
    return all(character >= " " for character in name) and "//" not in name and len(name) < 1_000 and ".." not in name


@pytest.fixture
def hostile(world: World) -> World:
    """Give the world with one row, one payload and one export of each name, and each name an account."""
    datamap = world.config / "datamap.yaml"
    text = datamap.read_text(encoding="utf-8")
    pattern = '    key_pattern: "requests/{account}/{request_id}.json"\n'
    assert pattern in text
    datamap.write_text(text.replace(pattern, ""), encoding="utf-8")
    with sqlite3.connect(world.database) as db:
        for name in NAMES:
            age = 3 if name in KEEP else 44
            payload = f"requests/{name}" if in_bucket(name) else None
            created = f"{days_ago(age):%Y-%m-%dT%H:%M:%SZ}"
            db.execute("INSERT INTO api_requests VALUES (?, ?, ?, 0, ?, ?)", (name, name, created, name, payload))
            world.rows[name] = (name, age, False)
            if payload:
                world.s3().put_object(Bucket=BUCKET, Key=payload, Body=name.encode())
            if in_file(name):
                world.add_file(name, age)
    db.close()
    return world


def test_hostile_names_go_or_stay_as_any_other(hostile: World) -> None:
    before = hostile.versions_left()
    hostile.program.within(hostile.root)("--config", hostile.config, "check", code=[0, 3])
    (run,) = hostile("apply", hostile.approved_plan())["runs"]
    assert run["state"] == "done"
    assert hostile.rows_left() == hostile.rows_kept()
    assert hostile.files_left() == hostile.files_kept()
    old = {f"requests/{name}" for name in NAMES if name not in KEEP}
    left = {key for key, _ in hostile.versions_left()}
    assert left.isdisjoint(old)
    assert {f"requests/{name}" for name in KEEP if in_bucket(name)} <= left
    assert len(before) - len(hostile.versions_left()) == purged(run)["payloads"]
    assert purged(run)["requests"] == len(hostile.rows) - len(hostile.rows_kept())

    handed = hostile.root / "handed-out"
    hostile("receipt", "export", "--all", handed)
    (bundle,) = handed.iterdir()
    assert valid(hostile, bundle)
    text = bundle.read_text(encoding="utf-8")
    assert [name for name in NAMES if len(name) > 5 and json.dumps(name)[1:-1] in text] == []


def purged(run: dict[str, Any]) -> dict[str, int]:
    return {each["dataset"]: each["outcomes"]["purged"] for each in run["datasets"]}


def valid(world: World, bundle: Path) -> bool:
    keys = ("--key", world.config / "log/keys/issuer.pem", "--key", world.config / "log/keys/log.vkey")
    return world.program("receipt", "verify", bundle, *keys, "--json").json["valid"] is True


def test_accounts_with_hostile_names_leave_and_nobody_else_does(hostile: World) -> None:
    hostile("apply", hostile.approved_plan())
    names = ('it\'s "quoted" `so`', "..", "*", "'; DROP TABLE api_requests; --")  # each has a young row
    for name in names:
        rows, files = hostile.rows_left(), hostile.files_left()
        closed = hostile("account", "close", name, "--reason", "'; <b>left</b>", "--ssh-key", hostile.ssh_key)
        assert (closed["account"], closed["state"]) == (name, "closed")
        assert hostile.rows_left() == rows - {name}
        assert hostile.files_left() == {path for path in files if not path.startswith(f"{name}/")}
    handed = hostile.root / "handed-out"
    hostile("receipt", "export", "--all", handed, "--account", names[0])
    assert list(handed.iterdir())
    assert all(valid(hostile, bundle) for bundle in handed.iterdir())


def test_holds_and_explanations_by_hostile_keys(hostile: World) -> None:
    due = [name for name in NAMES if name not in KEEP and "\x00" not in name and not name.startswith("-")]
    words = [word for name in due for word in ("--key", name)]
    sign = ("--ssh-key", hostile.ssh_key)
    matter = "<b>'M\"</b>"
    hold = hostile("hold", "add", "--dataset", "requests", *words, "--matter", matter, *sign)["hold"]
    for name in due[:2]:
        found = hostile("explain", "requests", name)
        assert (found["key"], found["disposition"], found["holds"]) == (name, "held", [hold])
    hostile("apply", hostile.approved_plan())
    assert hostile.rows_left() == hostile.rows_kept() | set(due)


def test_people_read_hostile_names_unharmed(hostile: World) -> None:
    name = "[red]markup[/red]"
    said = hostile.program("--config", hostile.config, "explain", "requests", name).out
    assert name in said
    sign = ("--ssh-key", hostile.ssh_key)
    escape = "matter \x1b[31mred [bold]x"
    hostile.program("--config", hostile.config, "hold", "add", "--account", name, "--matter", escape, *sign)
    shown = hostile.program("--config", hostile.config, "hold", "list").out
    assert "\x1b" not in shown
    assert "[bold]x" in shown
