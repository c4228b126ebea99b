"""Requests for erasure as a script sees them: who asks, by when, what goes, a receipt that somebody else verifies."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.acceptance.test_contract import verified
from tests.acceptance.world import World, days_ago

USER = "user '7'\u202e"
_USER = "    account: account_id\n    user: {column: prompt}\n"
_NOBODY = "    account: {pattern: account}\n    user: {nobody: sums of an account}\n"


def ask(world: World, *words: str, code: int = 0) -> Any:
    signed = ("--law", "gdpr", "--reason", "ticket 4711", "--ssh-key", str(world.ssh_key))
    return world("erasure", "add", "--account", "acct-b", *words, *signed, code=code)


def with_users(world: World) -> None:
    """Have prompts name users, so that some of acct-b and of others are of the same name."""
    path = world.config / "datamap.yaml"
    text = path.read_text("utf-8").replace("    account: account_id\n", _USER)
    path.write_text(
        text.replace("    account: {pattern: account}\n    class: exports", _NOBODY + "    class: exports"), "utf-8"
    )
    with sqlite3.connect(world.database) as db:
        db.execute("UPDATE api_requests SET prompt = 'somebody else'")
        db.execute("UPDATE api_requests SET prompt = ? WHERE request_id LIKE '%-1' OR request_id LIKE '%-4'", (USER,))
    db.close()
    world("apply", world.approved_plan())


def test_a_request_from_its_intake_to_a_receipt_that_verifies(small: World) -> None:
    with_users(small)
    before = small.rows_left()
    received = days_ago(3)
    asked = ask(small, "--user", USER, "--received", f"{received:%Y-%m-%d}")
    assert (asked["state"], asked["account"], asked["user"]) == ("received", "acct-b", USER)
    assert asked["received_on"] == f"{received:%Y-%m-%d}"
    assert {each["dataset"]: each["remaining"] for each in asked["datasets"]} == {"requests": 1, "exports": 0}
    assert asked["cannot_tell_users_apart"] == []
    assert 20 < asked["days_left"] < 31
    name = asked["erasure"]
    small("run")
    assert small.rows_left() == before
    verify = small("erasure", "verify", name, "--identity", "called back", "--ssh-key", small.ssh_key)
    assert verify["state"] == "verified"
    extended = small("erasure", "extend", name, "--reason", "many", "--ssh-key", small.ssh_key)
    assert extended["deadline_at"] == asked["last_deadline_at"] > asked["deadline_at"]
    small("run")
    done = small("erasure", "status", name)
    assert (done["state"], done["account"], done["days_left"]) == ("done", None, None)
    assert [each["verb"] for each in done["texts"]] == ["add", "verify", "extend"]
    assert small.rows_left() == before - {"acct-b-1"}
    assert small.files_left() == small.files_kept()
    (receipt,) = (each for each in small("receipt", "list")["receipts"] if each["kind"] == "erasure")
    assert receipt["receipt"] == done["receipt"]
    said = verified(small, small.root / receipt["file"], "--log", small.config / "log")
    assert (said["valid"], said["outcome"]) == (True, "complete")
    files = small("receipt", "export", "--all", "handed-out", "--account", "acct-b")["files"]
    assert any(done["receipt"] in Path(each).name for each in files)
    assert small("erasure", "list")["erasures"] == []
    assert len(small("erasure", "list", "--ended", "--account", "acct-b")["erasures"]) == 1
    assert small("erasure", "list", "--ended", "--account", "acct-a")["erasures"] == []
    assert [each["state"] for each in small("erasure", "list", "--ended")["erasures"]] == ["done"]
    small("ledger", "check")


def test_what_names_nobody_or_comes_too_late_is_refused_in_words(small: World) -> None:
    for words, says in (
        (("--user", "u", "--all"), "one user, or of the whole account"),
        ((), "one user, or of the whole account"),
        (("--user", "u", "--received", f"{days_ago(-2):%Y-%m-%d}"), "still to come"),
        (("--user", "u", "--received", "31.12.2026"), None),
    ):
        answer = ask(small, *words, code=2)
        assert answer["error"] == "UsageError"
        assert says is None or says in answer["what"]
    assert small("erasure", "add", "--account", "a", "--all", "--law", "x", "--reason", "r", code=2)["remedy"]
    assert small("erasure", "status", "nothing", code=2)["error"] == "NotFound"
    late = ask(small, "--user", "u", "--received", f"{days_ago(40):%Y-%m-%d}")
    assert late["days_left"] < 0
    refused = small("erasure", "extend", late["erasure"], "--reason", "r", "--ssh-key", small.ssh_key, code=2)
    assert refused["error"] == "ErasureStateError"
    assert small("erasure", "list")["within"][0] == {"days": 0, "erasures": 1}
    period = ("--from", f"{days_ago(1):%Y-%m-%dT%H:%MZ}", "--to", f"{days_ago(0):%Y-%m-%dT%H:%MZ}")
    attested = small("receipt", "attest", *period, code=3)
    assert "1 requests for erasure are past their deadline" in attested["what"]
    status = small("status")
    assert (status["erasures_past_deadline"], status["erasures_near_deadline"]) == (1, 1)
    ended = small("erasure", "refuse", late["erasure"], "--reason", "unfounded", "--ssh-key", small.ssh_key)
    assert ended["state"] == "refused"
    assert small("status")["erasures"] == []


def test_people_are_told_what_keeps_a_request_open(small: World) -> None:
    asked = ask(small, "--user", USER)
    assert asked["cannot_tell_users_apart"] == ["exports", "requests"]
    said = small.program("--config", small.config, "erasure", "status", asked["erasure"]).out
    assert "requests cannot tell users apart" in said
    assert "declare `user:`" in said
    assert "days left" in said
    assert "\u202e" not in said
    notes = small("check", code=[0, 3])["notes"]
    assert any("no dataset tells an account's users apart" in each for each in notes)
    assert any("erasure.keep" in each for each in notes)
    assert timedelta(0) < timedelta(days=asked["days_left"])


def older(world: World, days: int) -> None:
    """Have so many days go by: every row is as much older."""
    with sqlite3.connect(world.database) as db:
        clock = "strftime('%Y-%m-%dT%H:%M:%SZ', created_at, ?)"
        db.execute(f"UPDATE api_requests SET created_at = {clock}", (f"-{days} days",))
    db.close()
    world.rows = {name: (account, age + days, flagged) for name, (account, age, flagged) in world.rows.items()}


def test_what_the_law_keeps_stays_dated_until_its_time_and_then_goes_by_itself(world: World) -> None:
    path = world.config / "policies.yaml"
    kept = "{when: {flagged: true}, keep: 60 days, reason: abuse is investigated}, {keep: 25 days, reason: the books}"
    path.write_text(
        path.read_text("utf-8").replace("closure: {", f"closure: {{classes: {{request-content: [{kept}]}}, "), "utf-8"
    )
    world("apply", world.approved_plan())

    def left(limit: int, flagged_limit: int) -> set[str]:
        return {
            name
            for name, (account, age, flagged) in world.rows.items()
            if (age <= (flagged_limit if flagged else limit))
            or (account != "acct-b" and age <= (300 if flagged else 30))
        }

    assert world.rows_left() == world.rows_kept()
    signed = ("--law", "gdpr", "--reason", "ticket", "--identity", "seen", "--ssh-key", str(world.ssh_key))
    name = world("erasure", "add", "--account", "acct-b", "--all", *signed)["erasure"]
    older(world, 1)
    world("run", code=[0, 4])
    for waiting in world("status")["waiting"]:
        world("approve", waiting["plan"], "--ssh-key", world.ssh_key)
    world("run")
    assert world.rows_left() == left(25, 60)
    asked = world("erasure", "status", name)
    assert {each["why"] for each in asked["dated"]} == {"abuse is investigated", "the books"}
    requests = [each for each in asked["dated"] if each["dataset"] == "requests"]
    assert {(each["records"], each["why"]) for each in requests} == {(1, "abuse is investigated"), (3, "the books")}
    assert f"{days_ago(-9):%Y-%m-%d}" in {each["until"][:10] for each in requests}
    assert (asked["state"], asked["nothing_held"]) == ("in-progress", False)
    (listed,) = world("erasure", "list")["erasures"]
    assert listed["next_deadline_at"] >= listed["deadline_at"]
    assert "still there: requests" in world.program("--config", world.config, "erasure", "status", name).out
    older(world, 30)
    world("run")
    assert {each for each in world.rows_left() if each.startswith("acct-b")} == set()
    assert not [key for key, _ in world.versions_left() if "/acct-b/" in key]
    done = world("erasure", "status", name)
    assert (done["state"], done["dated"]) == ("done", [])
    (receipt,) = (each for each in world("receipt", "list")["receipts"] if each["kind"] == "erasure")
    said = verified(world, world.root / receipt["file"], "--log", world.config / "log")
    assert (said["valid"], said["outcome"]) == (True, "complete")
    world("ledger", "check")
