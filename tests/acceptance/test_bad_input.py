"""What goes wrong around the program: each ends in a clear error, and nothing is lost, deleted or signed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.world import BUCKET, World, days_ago


def complaint(document: dict[str, Any]) -> str:
    """Give the words of an error document that says what and what to do."""
    assert document["what"], document
    assert document["remedy"], document
    return f"{document['where']}: {document['what']}; {document['remedy']}"


def findings(world: World) -> str:
    found = world("check", code=[1, 2, 3])
    return json.dumps(found, ensure_ascii=False)


def receipts(world: World) -> list[str]:
    return [each["receipt"] for each in world("receipt", "list")["receipts"]]


def outcomes(run: dict[str, Any], dataset: str) -> dict[str, int]:
    (found,) = (each["outcomes"] for each in run["datasets"] if each["dataset"] == dataset)
    return dict(found)


# ---------------------------------------------------------------------------------------------- what is not there
def test_a_table_that_is_not_there(small: World) -> None:
    change(small, "datamap.yaml", "table: api_requests", "table: no_such_table")
    assert "no_such_table" in findings(small)
    small("plan", code=[1, 2, 3, 4, 5])
    assert small.untouched()


def test_a_database_that_is_not_there_is_not_made(small: World) -> None:
    change(small, "datamap.yaml", "app.db", "no-such.db")
    assert "no-such.db" in findings(small)
    small("plan", code=[1, 2, 3, 4, 5])
    assert small.untouched()
    assert not (small.root / "data" / "no-such.db").exists()


def test_a_directory_that_is_not_there_is_not_made(small: World) -> None:
    change(small, "datamap.yaml", "../data/exports", "../data/no-such-directory")
    assert "no-such-directory" in findings(small)
    small("plan", code=[1, 2, 3, 4, 5])
    assert small.untouched()
    assert not (small.root / "data" / "no-such-directory").exists()


def test_a_bucket_that_is_not_there(world: World) -> None:
    change(world, "datamap.yaml", f"bucket: {BUCKET}", "bucket: no-such-bucket")
    before = world.versions_left()
    assert "no-such-bucket" in findings(world)
    world("plan", code=[1, 2, 3, 4, 5])
    assert world.untouched()
    assert world.versions_left() == before


def test_a_server_that_nobody_answers_at(world: World) -> None:
    before = world.versions_left()
    change(world, "datamap.yaml", str(world.endpoint), "http://127.0.0.1:9")
    world("plan", code=[1, 2, 3, 4, 5])
    assert world.untouched()
    assert world.versions_left() == before


def test_a_store_that_goes_away_after_the_plan_leaves_the_others_working(small: World) -> None:
    plan = small.approved_plan()
    away = small.exports.with_name("away")
    small.exports.rename(away)
    small("apply", plan, code=5)
    assert small.rows_left() == small.rows_kept()
    due = len(small.files) - len(small.files_kept())
    assert small("run", code=5)["overdue"] == due
    away.rename(small.exports)
    assert small.files_left() == set(small.files)
    assert small("run")["overdue"] == 0
    assert small.passed()
    assert all(is_valid(small, file) for file in (small.config / "receipts").glob("*.bundle.json"))


def change(world: World, name: str, old: str, new: str) -> None:
    path = world.config / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


# --------------------------------------------------------------------------------------------- missing permissions
def test_a_directory_that_may_not_be_listed(small: World) -> None:
    world = as_somebody(small)
    small.exports.chmod(0o300)
    assert "exports" in findings(world)
    world("plan", code=[1, 3, 4, 5])
    small.exports.chmod(0o700)
    assert small.untouched()


def test_a_database_that_may_not_be_read(small: World) -> None:
    world = as_somebody(small)
    small.database.chmod(0o000)
    assert "app.db" in findings(world)
    world("plan", code=[1, 3, 4, 5])
    small.database.chmod(0o600)
    assert small.untouched()


def test_files_that_may_not_be_deleted_are_carried_over(small: World) -> None:
    world = as_somebody(small)
    plan = world.approved_plan()
    folders = [path for path in small.exports.iterdir() if path.is_dir()]
    for folder in folders:
        folder.chmod(0o500)
    (run,) = world("apply", plan, code=5)["runs"]
    due = len(small.files) - len(small.files_kept())
    assert outcomes(run, "exports")["purged"] == 0
    assert outcomes(run, "exports")["refused"] + outcomes(run, "exports")["carriedOver"] == due
    assert small.files_left() == set(small.files)
    assert small.rows_left() == small.rows_kept()
    for folder in folders:
        folder.chmod(0o700)
    world("run")
    assert small.passed()


def test_a_database_that_may_not_be_written(small: World) -> None:
    world = as_somebody(small)
    plan = world.approved_plan()
    small.database.parent.chmod(0o500)
    small.database.chmod(0o400)
    world("apply", plan, code=[1, 5])
    small.database.parent.chmod(0o700)
    small.database.chmod(0o600)
    assert small.rows_left() == set(small.rows)
    world("run")
    assert small.passed()


@pytest.mark.parametrize(
    "name", ["ledger.db", "keys/issuer.key", "keys/wrapping.key", "policies.yaml", "log/checkpoint"]
)
def test_a_part_of_its_own_that_may_not_be_read(small: World, name: str) -> None:
    plan = small.approved_plan()
    (small.config / name).chmod(0o000)
    assert Path(name).name in complaint(as_somebody(small)("apply", plan, code=[1, 2, 4]))
    (small.config / name).chmod(0o600)
    assert small.untouched()
    assert receipts(small) == []


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 2_500 + "x"], ids=["name", "path"])
@pytest.mark.parametrize("old", ["../data/app.db", "../data/exports"], ids=["database", "directory"])
def test_a_store_whose_path_is_longer_than_any_can_be(small: World, old: str, name: str) -> None:
    change(small, "datamap.yaml", old, f"../data/{name}")
    told_and_untouched(small, "too long")
    assert small.untouched()


@pytest.mark.parametrize("store", ["app.db", "exports"])
def test_a_store_below_a_directory_that_may_not_be_entered(small: World, store: str) -> None:
    change(small, "datamap.yaml", f"../data/{store}", f"../data/shut/{store}")
    shut = small.root / "data" / "shut"
    shut.mkdir()
    (small.root / "data" / store).rename(shut / store)
    shut.chmod(0)
    try:
        told_and_untouched(as_somebody(small), f"data/shut/{store}")
    finally:
        shut.chmod(0o700)
        (shut / store).rename(small.root / "data" / store)
    assert small.untouched()


def told_and_untouched(world: World, said: str) -> None:
    """Call verbs of a world one store of which cannot be looked at; no one ends in a traceback, or does anything."""
    found = world("check", code=3)["findings"]
    assert any(said in str(each) and each["remedy"] for each in found)
    for verb in (("plan",), ("run",), ("account", "show", "acct-1"), ("account", "status", "acct-1")):
        world(*verb, code=[1, 2, 3, 4, 5])
    assert receipts(world) == []


def as_somebody(world: World) -> World:
    """Give the world as somebody works on it for whom permissions count."""
    return World(world.program.unprivileged(), world.root, world.endpoint, world.rows, world.files)


# ------------------------------------------------------------------------------------------------------- clocks
UNREADABLE = {"null": None, "empty": "", "words": "yesterday", "month-13": "2024-13-01T00:00:00Z", "bytes": b"\x00\xff"}
OUTSIDE = {
    "zero": 0,
    "negative": -1,
    "milliseconds": 1_600_000_000_000,
    "year-9999": "9999-12-31T23:59:59Z",
    "1": "0001",
}


def test_an_unreadable_clock_is_never_old(small: World) -> None:
    for name, clock in UNREADABLE.items():
        small.add_row(f"absurd-{name}", "acct-a", 0, clock=clock)
    plan = small("plan", code=4)
    (requests,) = (each for each in plan["datasets"] if each["dataset"] == "requests")
    assert requests["undetermined"] == len(UNREADABLE)
    small("approve", plan["plan"], "--ssh-key", small.ssh_key)
    small("apply", plan["plan"])
    assert small.passed()
    assert {f"absurd-{name}" for name in UNREADABLE} <= small.rows_left()
    assert small("explain", "requests", "absurd-null")["disposition"] == "undetermined"


def test_clocks_out_of_range_leave_their_dataset_alone_and_no_other(small: World) -> None:
    for name, clock in OUTSIDE.items():
        small.add_row(f"absurd-{name}", "acct-a", 0, clock=clock)
    assert "created_at" in findings(small)
    plan = small("plan", code=4)
    assert "requests" not in [each["dataset"] for each in plan["datasets"]]
    assert [reason for reason in plan["reasons"] if "requests was left out" in reason]
    small("approve", plan["plan"], "--ssh-key", small.ssh_key)
    small("apply", plan["plan"])
    assert small.rows_left() == set(small.rows)
    assert small.files_left() == small.files_kept()


def test_a_row_without_an_owner_is_kept(small: World) -> None:
    small.add_row("nobody's", None, 50)
    plan = small.approved_plan()
    small("apply", plan)
    assert small.rows_left() == small.rows_kept() | {"nobody's"}


# ---------------------------------------------------------------------------------------------------- full disk
@pytest.mark.parametrize("room", [0, 4_096])
def test_a_full_disk_loses_nothing_and_the_next_run_finishes(small: World, room: int) -> None:
    plan = small.approved_plan()
    size = room and (small.config / "ledger.db").stat().st_size + room
    full = World(small.program.with_largest_file(size), small.root, None, small.rows, small.files)
    complaint(full("apply", plan, code=[1, 5]))
    assert small.rows_kept() <= small.rows_left()
    assert small.files_kept() <= small.files_left()
    small("run", code=[0, 5])
    small("run")
    assert small.passed()
    assert small("ledger", "check") == {"findings": []}
    for file in (small.config / "receipts").glob("*.bundle.json"):
        assert is_valid(small, file)


def is_valid(world: World, file: Path, code: int = 0) -> bool:
    keys = ("--key", world.config / "log/keys/issuer.pem", "--key", world.config / "log/keys/log.vkey")
    return bool(world.program("receipt", "verify", file, *keys, "--json", code=code).json["valid"])


# ------------------------------------------------------------------------------------------------ a second process
def test_two_runs_on_one_ledger_do_nothing_twice(small: World) -> None:
    plan = small.approved_plan()
    words = ("--config", str(small.config), "apply", plan, "--json")
    running = [small.program.start(*words) for _ in range(3)]
    ended = [(each, *each.communicate(timeout=120)) for each in running]
    for each, out, err in ended:
        assert b"Traceback" not in err, err.decode()
        assert each.returncode in (0, 1, 4), (each.returncode, err.decode())
        document = json.loads(out)
        assert "runs" in document or complaint(document)
    assert small.passed()
    assert len(receipts(small)) == 1


# --------------------------------------------------------------------------------------------------- receipts
def damage_truncated(text: str) -> str:
    return text[: len(text) // 2]


def damage_altered(text: str) -> str:
    bundle = json.loads(text)
    payload = bundle["dsseEnvelope"]["payload"]
    bundle["dsseEnvelope"]["payload"] = payload[:40] + ("A" if payload[40] != "A" else "B") + payload[41:]
    return json.dumps(bundle)


def damage_twice(text: str) -> str:
    return text.replace('{"', '{"annex":null,"', 1)


def damage_empty(_text: str) -> str:
    return ""


def damage_proof(text: str) -> str:
    return json.dumps(json.loads(text) | {"tlogProof": "c2sp.org/tlog-proof@v1\nindex 0\n\n"})


DAMAGES = (damage_truncated, damage_altered, damage_twice, damage_empty, damage_proof)


def test_a_damaged_receipt_is_refused_with_its_step(small: World) -> None:
    (run,) = small("apply", small.approved_plan())["runs"]
    text = (small.root / run["file"]).read_text(encoding="utf-8")
    keys = ("--key", small.config / "log/keys/issuer.pem", "--key", small.config / "log/keys/log.vkey")
    for damage in DAMAGES:
        file = small.root / "damaged.json"
        file.write_text(damage(text), encoding="utf-8")
        verdict = small.program("receipt", "verify", file, *keys, "--json", code=1).json
        assert verdict["valid"] is False
        assert verdict["step"]
        assert verdict["reason"]


def test_a_receipt_of_somebody_else_is_refused(small: World) -> None:
    (run,) = small("apply", small.approved_plan())["runs"]
    small.program("init", small.root / "other")
    other = small.root / "other/log/keys"
    keys = ("--key", other / "issuer.pem", "--key", other / "log.vkey")
    verdict = small.program("receipt", "verify", small.root / run["file"], *keys, "--json", code=1).json
    assert (verdict["valid"], verdict["step"]) == (False, "signature")


def test_a_key_that_is_missing_is_said(small: World) -> None:
    (run,) = small("apply", small.approved_plan())["runs"]
    for keys in (("issuer.pem",), ("log.vkey",), ("issuer.pem", "no-such-file")):
        words = [word for key in keys for word in ("--key", str(small.config / "log/keys" / key))]
        complaint(small.program("receipt", "verify", small.root / run["file"], *words, "--json", code=2).json)


# ------------------------------------------------------------------------------------ a ledger that went back in time
def test_a_ledger_older_than_its_log_deletes_and_signs_nothing(small: World) -> None:
    old = small.root / "old.db"
    small("ledger", "backup", old)
    small("apply", small.approved_plan())
    signed = receipts(small)
    small.add_row("due-later", "acct-a", 44)
    restore(small, old)

    checkpoint = (small.config / "log/checkpoint").read_bytes()
    for words in (("run",), ("plan",), ("ledger", "check")):
        assert "ledger" in complaint(small(*words, code=4))
    close = ("account", "close", "acct-b", "--reason", "left", "--ssh-key", str(small.ssh_key))
    complaint(small(*close, code=[1, 4]))
    assert small.rows_left() == small.rows_kept() | {"due-later"}
    assert (small.config / "log/checkpoint").read_bytes() == checkpoint
    bundles = {path.name.removesuffix(".bundle.json") for path in (small.config / "receipts").glob("*.bundle.json")}
    assert bundles == set(signed)


def restore(world: World, copy: Path) -> None:
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (world.config / name).unlink(missing_ok=True)
    shutil.copy(copy, world.config / "ledger.db")


def test_a_backup_writes_over_nothing(small: World) -> None:
    target = small.root / "mine"
    target.write_text("mine", encoding="utf-8")
    complaint(small("ledger", "backup", target, code=[1, 2]))
    assert target.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("content", [b"", b"not a database", os.urandom(8_192)], ids=["empty", "text", "noise"])
def test_a_ledger_that_is_none(small: World, content: bytes) -> None:
    (small.config / "ledger.db").write_bytes(content)
    complaint(small("run", code=[1, 2, 4]))
    assert small.untouched()


def test_a_log_that_was_tampered_with_stops_everything(small: World) -> None:
    plan = small.approved_plan()
    checkpoint = small.config / "log/checkpoint"
    text = checkpoint.read_text(encoding="utf-8").splitlines()
    checkpoint.write_text("\n".join([*text[:2], "A" * 43 + "=", *text[3:]]) + "\n", encoding="utf-8")
    complaint(small("apply", plan, code=[1, 4]))
    assert small.untouched()
    assert receipts(small) == []


# ------------------------------------------------------------------------------------------------ changes meanwhile
def test_a_policy_that_changed_after_the_plan(small: World) -> None:
    plan = small.approved_plan()
    change(small, "policies.yaml", "keep: 30 days", "keep: 31 days")
    complaint(small("apply", plan, code=4))
    assert small.untouched()


def test_a_row_that_changed_after_the_plan_is_left(small: World) -> None:
    plan = small.approved_plan()
    with sqlite3.connect(small.database) as db:
        young = f"{days_ago(1):%Y-%m-%dT%H:%M:%SZ}"
        db.execute("UPDATE api_requests SET created_at = ? WHERE request_id = 'acct-a-5'", (young,))
    db.close()
    (run,) = small("apply", plan)["runs"]
    assert outcomes(run, "requests")["changed"] == 1
    assert small.rows_left() == small.rows_kept() | {"acct-a-5"}


def test_an_approval_by_nobody_known(small: World) -> None:
    plan = small("plan", code=4)["plan"]
    stranger = small.root / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True)
    complaint(small("approve", plan, "--ssh-key", stranger, code=[1, 2, 4]))
    complaint(small("approve", plan, "--ssh-key", small.root / "no-such-key", code=[1, 2, 4]))
    complaint(small("apply", plan, code=4))
    assert small.untouched()
