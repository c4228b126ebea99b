"""A script that knows only what is promised to scripts: from an empty directory to a verified receipt."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.acceptance.program import Program
from tests.acceptance.world import World

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
OUTCOMES = {
    "purged",
    "tombstoned",
    "redacted",
    "pseudonymised",
    "keyDestroyed",
    "alreadyGone",
    "changed",
    "held",
    "refused",
    "carriedOver",
}


def has(document: dict[str, Any], **kinds: type | tuple[type, ...]) -> None:
    """Assert that every promised field is there, and of its kind: nothing else is accepted in its place."""
    for name, kind in kinds.items():
        assert name in document, f"{name} is missing in {document}"
        value = document[name]
        assert isinstance(value, kind), f"{name} is {value!r}"
        assert not isinstance(value, bool) or kind is bool, f"{name} is {value!r}"


def times(document: dict[str, Any], *names: str, null: bool = False) -> None:
    for name in names:
        assert name in document, f"{name} is missing in {document}"
        assert (null and document[name] is None) or TIME.fullmatch(document[name]), f"{name} is {document[name]!r}"


def by_dataset(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["dataset"]: each for each in document["datasets"]}


def test_from_init_to_a_verified_receipt_on_three_stores(world: World) -> None:
    before = world.versions_left()
    assert isinstance(world("check"), dict)

    plan_file = world.root / "plan.json"
    plan = world("plan", "-o", plan_file, code=4)
    check_plan(plan, world)
    assert json.loads(plan_file.read_text(encoding="utf-8"))["plan"] == plan["plan"]
    assert world.untouched()
    assert world.versions_left() == before

    world("approve", plan_file, "--ssh-key", world.ssh_key)
    applied = world("apply", plan_file)
    check_session(applied)
    assert applied["overdue"] == 0
    (run,) = applied["runs"]
    assert (run["plan"], run["state"]) == (plan["plan"], "done")

    kept = world.rows_kept()
    assert world.rows_left() == kept
    assert world.files_left() == world.files_kept()
    assert [each for each in before if each[0].split("/")[-1].removesuffix(".json") in kept] == world.versions_left()
    purged = {name: each["outcomes"]["purged"] for name, each in by_dataset(run).items()}
    assert purged == {
        "requests": len(world.rows) - len(kept),
        "exports": len(world.files) - len(world.files_kept()),
        "payloads": 2 * (len(world.rows) - len(kept)),
    }
    check_receipt(world, run)


def check_plan(plan: dict[str, Any], world: World) -> None:
    has(plan, plan=str, sha256=str, needs_approval=bool, chain=list, reasons=list, datasets=list)
    times(plan, "expires_at")
    assert plan["needs_approval"] is True
    assert plan["reasons"]
    assert re.fullmatch("[0-9a-f]{64}", plan["sha256"])
    for each in plan["datasets"]:
        has(each, dataset=str, policy=str, due=int, held=int, undetermined=int, bytes=int)
        has(each, examined=(int, type(None)), kept=(int, type(None)))
    found = by_dataset(plan)
    rows, files = len(world.rows), len(world.files)
    due, files_due = rows - len(world.rows_kept()), files - len(world.files_kept())
    assert [found["requests"][name] for name in ("examined", "due", "kept")] == [rows, due, rows - due]
    assert [found["exports"][name] for name in ("examined", "due", "kept")] == [files, files_due, files - files_due]
    assert found["payloads"]["due"] == 2 * due


def check_session(document: dict[str, Any]) -> None:
    has(document, runs=list, overdue=int)
    for run in document["runs"]:
        has(run, run=str, plan=str, state=str, receipt=str, file=str, datasets=list)
        for each in run["datasets"]:
            has(each, dataset=str, outcomes=dict)
            assert set(each["outcomes"]) == OUTCOMES
            assert all(type(count) is int for count in each["outcomes"].values())


def check_receipt(world: World, run: dict[str, Any]) -> None:
    verdict = verified(world, world.root / run["file"])
    assert verdict["valid"] is True
    assert (verdict["outcome"], verdict["receipt"]) == ("complete", run["receipt"])
    listed = world("receipt", "list")["receipts"]
    assert [each["receipt"] for each in listed] == [run["receipt"]]
    has(listed[0], receipt=str, kind=str, file=str)
    times(listed[0], "issued_at")
    assert listed[0]["kind"] == "run"
    handed = world.root / "handed-out"
    world("receipt", "export", "--all", handed)
    assert [path.name for path in handed.iterdir()] == [f"{run['receipt']}.bundle.json"]
    bundle = json.loads((handed / f"{run['receipt']}.bundle.json").read_text(encoding="utf-8"))
    assert bundle["annex"]
    assert verified(world, *handed.iterdir(), "--log", world.config / "log")["valid"] is True


def verified(world: World, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    """Verify with the log's key first, and with no configuration in reach."""
    keys = ("--key", world.config / "log/keys/log.vkey", "--key", world.config / "log/keys/issuer.pem")
    empty = world.root / "elsewhere"
    empty.mkdir(exist_ok=True)
    document = world.program.within(empty)("receipt", "verify", *arguments, *keys, "--json", code=code).json
    has(document, valid=bool, outcome=(str, type(None)), receipt=(str, type(None)))
    assert {"step", "reason"} <= set(document)
    assert isinstance(document, dict)
    return document


def test_status_before_and_after_a_pass(small: World) -> None:
    check_status(small("status"), ["exports", "request-content"])
    plan = small.approved_plan()
    planned = {each["policy"]: each for each in small("status")["policies"]}
    assert planned["request-content"]["overdue"] == len(small.rows) - len(small.rows_kept())
    assert planned["request-content"]["oldest_overdue_seconds"] > 24 * 86_400
    small("apply", plan)
    after = small("status")
    check_status(after, ["exports", "request-content"])
    assert [each["overdue"] for each in after["policies"]] == [0, 0]
    for each in after["policies"]:
        times(each, "last_success_at", "next_run_at")
    assert len(after["runs"]) == 1


def check_status(document: dict[str, Any], policies: Iterable[str]) -> None:
    has(document, policies=list, holds=(list, int), closures=(list, int), runs=(list, int))
    assert sorted(each["policy"] for each in document["policies"]) == sorted(policies)
    for each in document["policies"]:
        has(each, policy=str, overdue=(int, type(None)), oldest_overdue_seconds=(int, type(None)))
        times(each, "last_success_at", "next_run_at", null=True)


def test_explain_says_why_for_every_disposition(small: World) -> None:
    due = small("explain", "requests", "acct-a-5")
    has(due, dataset=str, key=str, disposition=str, holds=list, trail=list, rule=int)
    times(due, "due_at")
    assert (due["dataset"], due["key"], due["disposition"]) == ("requests", "acct-a-5", "purge")
    assert small("explain", "requests", "acct-a-0")["disposition"] == "keep"
    flagged = small("explain", "requests", "acct-a-flagged")
    assert (flagged["disposition"], flagged["rule"]) == ("keep", 1)
    added = small("hold", "add", "--account", "acct-a", "--matter", "M-1", "--ssh-key", small.ssh_key)
    held = small("explain", "requests", "acct-a-5")
    assert (held["disposition"], held["holds"]) == ("held", [added["hold"]])
    assert small("explain", "exports", min(small.files))["dataset"] == "exports"


def test_a_hold_wins_until_it_is_released(small: World) -> None:
    added = small("hold", "add", "--account", "acct-b", "--matter", "M-2", "--ssh-key", small.ssh_key)
    listed = small("hold", "list")["holds"]
    assert [each["hold"] for each in listed] == [added["hold"]]
    times(listed[0], "placed_at")
    plan = small("plan", code=4)
    assert by_dataset(plan)["requests"]["held"] == 3
    small("approve", plan["plan"], "--ssh-key", small.ssh_key)
    small("apply", plan["plan"])
    of_b = {name for name, (account, *_) in small.rows.items() if account == "acct-b"}
    assert small.rows_left() == small.rows_kept() | of_b
    assert small("run", code=6)["runs"] == []
    small("hold", "release", added["hold"], "--ssh-key", small.ssh_key)
    assert small("hold", "list")["holds"] == []
    small("run")
    assert small.passed()


def test_a_hold_that_comes_after_the_plan_is_taken_out_of_it(small: World) -> None:
    plan = small.approved_plan()
    small("hold", "add", "--dataset", "requests", "--key", "acct-c-4", "--matter", "M", "--ssh-key", small.ssh_key)
    (run,) = small("apply", plan)["runs"]
    assert by_dataset(run)["requests"]["outcomes"]["held"] == 1
    assert small.rows_left() == small.rows_kept() | {"acct-c-4"}


def test_an_account_leaves_every_store(world: World) -> None:
    world("apply", world.approved_plan())
    check_account(world("account", "status", "acct-b"), "open")
    closed = world("account", "close", "acct-b", "--reason", "contract ended", "--ssh-key", world.ssh_key)
    check_account(closed, "closed")
    times(closed, "due_at", "deadline_at")
    assert world("account", "status", "acct-b") == closed
    remaining = {each["dataset"]: each["remaining"] for each in closed["datasets"]}
    assert (remaining["requests"], remaining["exports"]) == (0, 0)
    assert world.rows_left() == world.rows_kept(without=["acct-b"])
    assert world.files_left() == world.files_kept(without=["acct-b"])
    assert not [key for key, _ in world.versions_left() if "acct-b" in key]
    kinds = {each["receipt"]: each["kind"] for each in world("receipt", "list")["receipts"]}
    assert kinds[closed["receipt"]] == "closure"
    handed = world.root / "for-b"
    world("receipt", "export", "--all", handed, "--account", "acct-b")
    bundle = handed / f"{closed['receipt']}.bundle.json"
    assert json.loads(bundle.read_text(encoding="utf-8"))["annex"] is None
    assert all(verified(world, each)["valid"] for each in handed.iterdir())


def test_what_is_held_of_an_account_is_listed_on_three_stores(world: World) -> None:
    world("hold", "add", "--dataset", "requests", "--key", "acct-a-0", "--matter", "M-9", "--ssh-key", world.ssh_key)
    before = (world.rows_left(), world.files_left())
    shown = world("account", "show", "acct-a")
    check_account(shown, "open")
    rows = {name: age for name, (account, age, _) in world.rows.items() if account == "acct-a"}
    files = {path for path, (account, _) in world.files.items() if account == "acct-a"}
    found = by_dataset(shown)
    assert (found["requests"]["records"], found["requests"]["held"]) == (len(rows), 1)
    assert found["requests"]["reached"] == ["column account_id"]
    assert (found["exports"]["records"], found["exports"]["reached"]) == (len(files), ["{account} in the key"])
    assert found["payloads"]["reached"] == ["requests names it, column account_id"]
    assert found["payloads"]["records"] >= len(rows), "each version of an object is a record"
    for each in shown["datasets"]:
        has(each, store=str, records=int, bytes=int, undetermined=int, unowned=int, trouble=type(None))
        times(each, "oldest", "newest")
        assert each["oldest"] < each["newest"] or each["dataset"] == "payloads"
    assert {each["class"] for each in shown["classes"]} == {"request-content", "exports"}
    assert (world.rows_left(), world.files_left()) == before
    graph = world("check")["graph"]
    assert [each["dataset"] for each in graph["datasets"]] == ["payloads", "requests", "exports"]
    assert graph["links"] == [
        {"child": "payloads", "parent": "requests", "on": {"payload_key": "key"}, "origin": "blobs", "orders": True}
    ]


def check_account(document: dict[str, Any], state: str) -> None:
    has(document, account=str, state=str, datasets=list, receipt=(str, type(None)))
    times(document, "due_at", "deadline_at", null=True)
    assert document["state"] == state
    for each in document["datasets"]:
        has(each, dataset=str, remaining=int)


def test_a_closure_waits_for_its_grace(small: World) -> None:
    policies = small.config / "policies.yaml"
    policies.write_text(policies.read_text(encoding="utf-8").replace("grace: none", "grace: 14 days"), "utf-8")
    check_account(small("account", "close", "acct-a", "--reason", "left", "--ssh-key", small.ssh_key), "grace")
    assert len(small("status")["closures"]) == 1
    small("run", code=4)
    assert small.untouched()
    check_account(small("account", "cancel", "acct-a", "--ssh-key", small.ssh_key), "open")


def test_what_has_to_be_kept_of_an_account_is_kept_and_dated(small: World) -> None:
    policies = small.config / "policies.yaml"
    law = "the law asks for flagged requests"
    terms = (
        "{grace: none, deadline: 30 days, limits: {max_percent: 100}, classes: {request-content: "
        f"{{when: {{flagged: true}}, keep: 200 days, reason: {law}, jurisdictions: [de]}}}}, "
        "jurisdictions: {de: {deadline: 20 days}, us: {}}}"
    )
    text = policies.read_text(encoding="utf-8").replace(
        "closure: {grace: none, deadline: 30 days, limits: {max_percent: 100}}", f"closure: {terms}"
    )
    assert law in text
    policies.write_text(text, encoding="utf-8")
    close = ("account", "close", "acct-a", "--reason", "left", "--ssh-key", small.ssh_key)
    for named in ((), ("--jurisdiction", "fr")):
        assert "de, us" in small(*close, *named, code=2)["remedy"]
    stopped = small(*close, "--jurisdiction", "de", code=4)
    assert (stopped["state"], stopped["jurisdiction"]) == ("closing", "de")
    (plan,) = small("status")["waiting"]
    assert "what closures keep of class request-content was not approved" in plan["reasons"][0]
    small("approve", plan["plan"], "--ssh-key", small.ssh_key)
    small("run", code=4)
    shown = small("account", "status", "acct-a")
    check_account(shown, "closing")
    flagged = [name for name, (account, _, kept) in small.rows.items() if account == "acct-a" and kept]
    assert {name for name in small.rows_left() if name.startswith("acct-a")} == set(flagged)
    (dated,) = shown["dated"]
    assert (dated["dataset"], dated["records"], dated["why"]) == ("requests", len(flagged), law)
    times(dated, "first_at", "until")
    (kept,) = shown["stays"]["kept"]
    assert (kept["until"], kept["class"], kept["reason"]) == (dated["until"], "request-content", law)
    found = small("status")
    assert (found["closures_past_deadline"], found["closure_records_overdue"]) == (0, 0)
    assert found["closures"][0]["next_deadline_at"] == dated["first_at"]
    assert not [each for each in small("receipt", "list")["receipts"] if each["kind"] == "closure"]


def test_a_plan_that_nobody_approved_is_refused(small: World) -> None:
    plan = small("plan", code=4)["plan"]
    check_error(small("apply", plan, code=4))
    assert small.untouched()
    small("reject", plan, "--ssh-key", small.ssh_key)
    check_error(small("apply", plan, code=[1, 4]))
    assert small.untouched()


def check_error(document: dict[str, Any]) -> None:
    has(document, error=str, what=str, where=(str, type(None)), remedy=str)
    assert document["what"]
    assert document["remedy"]


def test_an_approved_policy_runs_by_itself_and_again_says_nothing_is_due(small: World) -> None:
    small("apply", small.approved_plan())
    small.add_row("late", "acct-a", 45)
    plan = small("plan")
    assert plan["needs_approval"] is False
    small("approve", plan["plan"], "--ssh-key", small.ssh_key)
    (run,) = small("run")["runs"]
    assert by_dataset(run)["requests"]["outcomes"]["purged"] == 1
    assert small.passed()
    assert small("run") == {"runs": [], "overdue": 0}
    assert small("plan")["plan"] is None


def test_applying_a_plan_twice_does_it_once(small: World) -> None:
    plan = small.approved_plan()
    first = small("apply", plan)["runs"]
    small("apply", plan, code=[0, 4])
    assert [each["receipt"] for each in small("receipt", "list")["receipts"]] == [first[0]["receipt"]]


def test_the_configuration_is_found_before_and_after_the_verb_and_by_its_variable(small: World) -> None:
    elsewhere = small.root / "elsewhere"
    elsewhere.mkdir()
    program = small.program.within(elsewhere)
    wanted = program("--config", small.config, "--json", "status").json
    assert program("status", "--json", "--config", small.config).json == wanted
    assert program.within(elsewhere, RETENTIOND_CONFIG=str(small.config))("status", "--json").json == wanted
    assert small.program.within(small.root)("status", "--json").json == wanted
    check_error(program("status", "--json", code=2).json)


def test_a_setting_in_the_environment_wins(small: World) -> None:
    plan = small.approved_plan()
    check_error(small("apply", plan, code=4, RETENTIOND_MODE="observe"))
    assert small.untouched()
    small("apply", plan)
    assert small.passed()


def test_the_stop_file_stops(small: World) -> None:
    plan = small.approved_plan()
    (small.config / "STOP").touch()
    check_error(small("apply", plan, code=4))
    assert small.untouched()
    (small.config / "STOP").unlink()
    small("apply", plan)
    assert small.passed()


MISTAKES = (
    ("apply", "no-such-plan"),
    ("approve", "no-such-plan"),
    ("explain", "requests", "no-such-key"),
    ("explain", "no-such-dataset", "x"),
    ("plan", "--policy", "no-such-policy"),
    ("run", "--policy", "no-such-policy"),
    ("hold", "add", "--matter", "M"),
    ("hold", "add", "--matter", "M", "--dataset", "no-such-dataset", "--key", "k"),
    ("hold", "release", "no-such-hold"),
    ("account", "cancel", "acct-a"),
    ("receipt", "show", "no-such-receipt"),
    ("receipt", "export"),
    ("no-such-verb",),
    ("plan", "--no-such-option"),
)


def test_a_mistake_ends_in_one_document_with_a_remedy(small: World) -> None:
    for mistake in MISTAKES:
        check_error(small(*mistake, code=[1, 2]))
    assert small.untouched()


def test_help_names_the_exit_codes_and_the_verbs(program: Program) -> None:
    said = program("--help").out
    verbs = "demo init check plan approve reject apply run explain hold account receipt status ledger"
    assert [verb for verb in verbs.split() if not re.search(rf"^  {verb}\b", said, re.MULTILINE)] == []
    words = ("0 done", "1 failed", "2 usage", "3 findings", "4 stopped", "5 partly", "6 all that is due", "130 interr")
    assert [each for each in words if each not in " ".join(said.split())] == []


def test_what_is_installed_is_the_wheel(program: Program, installation: Path) -> None:
    shebang = program.script.read_text(encoding="utf-8").splitlines()[0]
    assert shebang == f"#!{installation / 'python'}"
    assert program("--version").out.startswith("retentiond, version ")
    where = replace(program, script=installation / "python")("-c", "import retentiond; print(retentiond.__file__)").out
    assert Path(where).is_relative_to(installation.parent)
