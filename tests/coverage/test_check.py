"""`check`: what nothing names is a finding, with its columns; what is ignored is looked at twice."""

from __future__ import annotations

import json
from typing import Any

import boto3
from click.testing import CliRunner

from retentiond.cli import cli
from retentiond.engine.checking import check
from retentiond.engine.coverage import Coverage, unmapped
from retentiond.ports.stores import Finding
from tests.engine.office import DATAMAP, Office

NOTES = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT, email TEXT, added TEXT)"
IGNORE = "ignore:\n  - {store: app, pattern: notes, reason: drafts of the staff}\n"


def found(office: Office) -> Coverage:
    with office.open() as ctx:
        return check(ctx).coverage


def of_guard(office: Office) -> list[Finding]:
    with office.open() as ctx:
        return [each for each in check(ctx).findings if each.guard == "unmapped"]


def run(office: Office, script: str) -> None:
    with office.db() as db:
        db.executescript(script)


def test_what_is_mapped_goes_with_its_row(office: Office) -> None:
    columns = {(each.table, each.look.column): each for each in found(office).columns}
    assert columns["requests", "payload"].verdict == "row"
    assert columns["requests", "payload"].why == "goes with its row, under policy content"
    assert of_guard(office) == []


def test_an_unmapped_table_is_named_with_its_columns_and_nothing_of_its_rows(office: Office) -> None:
    run(office, NOTES + "; INSERT INTO notes VALUES (1, 'SENTINEL', 'x@y.example', 'z')")
    (finding,) = of_guard(office)
    assert finding.what == (
        "'notes' holds data that no dataset names; 'body' (C05) looks like request content; "
        "'email' (P01) looks like personal data"
    )
    assert "SENTINEL" not in str(found(office))
    with office.open() as ctx:
        assert [each.what for each in unmapped(ctx)] == ["'notes' holds data that no dataset names"]


def test_where_it_is_only_reported_it_is_listed_and_no_finding(office: Office) -> None:
    run(office, NOTES)
    office.edit("datamap.yaml", "unmapped: refuse", "unmapped: report")
    assert of_guard(office) == []
    seen = found(office)
    assert [(each.store, each.tables, each.covered, each.unmapped) for each in seen.stores] == [
        ("app", 3, 2, ("notes",)),
        ("disk", None, 0, ()),
    ]
    assert {each.look.column: each.verdict for each in seen.columns if each.table == "notes"} == {
        "body": "uncovered",
        "email": "uncovered",
    }


def test_a_table_with_a_column_of_request_content_is_ignored_when_somebody_names_the_column(
    office: Office,
) -> None:
    run(office, NOTES)
    office.edit("datamap.yaml", "unmapped: refuse", IGNORE + "unmapped: refuse")
    (finding,) = of_guard(office)
    assert finding.what == (
        "'notes.body' looks like request content (C05), and its table is ignored: drafts of the staff"
    )
    assert "pattern: 'notes.body'" in finding.remedy
    office.edit("datamap.yaml", IGNORE, IGNORE + "  - {store: app, pattern: notes.*, reason: looked at}\n")
    assert of_guard(office) == []
    (body,) = (each for each in found(office).columns if each.look.column == "body")
    assert (body.verdict, body.why, body.own) == ("ignored", "looked at", True)


def test_a_pattern_for_whole_tables_names_no_column(office: Office) -> None:
    run(office, NOTES)
    office.edit("datamap.yaml", "unmapped: refuse", IGNORE.replace("notes", '"n*"') + "unmapped: refuse")
    assert [each.what[:12] for each in of_guard(office)] == ["'notes.body'"]


def test_what_stays_with_its_row_while_prompts_go_sooner_is_a_finding(office: Office) -> None:
    run(office, "ALTER TABLE requests ADD COLUMN prompt TEXT; ALTER TABLE requests ADD COLUMN body TEXT")
    window = "    content: [{redact: [prompt], after: 3 days, promise: {live: 4 days}}]\n    schedule:"
    assert {each.verdict for each in found(office).columns if each.look.column in ("prompt", "body")} == {"row"}
    assert of_guard(office) == []
    office.edit("policies.yaml", "grace: 5 days}\n    schedule:", "grace: 5 days}\n" + window)
    columns = {each.look.column: each for each in found(office).columns if each.dataset == "requests"}
    assert (columns["prompt"].verdict, columns["body"].verdict) == ("window", "row")
    assert columns["prompt"].why == "goes after 3 days (every record), under policy content"
    (finding,) = of_guard(office)
    assert (finding.what, finding.where) == (
        "'requests.body' looks like request content (C05), and stays with its row, while other parts of it go sooner",
        "dataset requests",
    )
    ignore = "ignore: [{store: app, pattern: requests.body, reason: a digest only}]\n"
    office.edit("datamap.yaml", "unmapped: refuse", ignore + "unmapped: refuse")
    assert of_guard(office) == []


def test_a_class_that_no_policy_governs_covers_nothing(office: Office) -> None:
    office.edit("datamap.yaml", "class: feedback", "class: nobodys")
    columns = [each for each in found(office).columns if each.table == "feedback"]
    assert {(each.verdict, each.why) for each in columns} == {("uncovered", "no policy governs class nobodys")}


def test_where_datasets_share_a_table_the_worst_is_told(office: Office) -> None:
    run(office, "ALTER TABLE feedback ADD COLUMN comment TEXT; ALTER TABLE feedback ADD COLUMN kind TEXT")
    part = "table: feedback\n    where: {kind: %s}"
    with_rest = DATAMAP.split("  feedback:\n")[1].split("unmapped")[0].replace("class: feedback", "class: nobodys")
    office.edit("datamap.yaml", "table: feedback", part % "a")
    office.edit(
        "datamap.yaml",
        "unmapped:",
        "  rest:\n" + with_rest.replace("table: feedback", part % "{not: [a]}") + "unmapped:",
    )
    (comment,) = (each for each in found(office).columns if each.look.column == "comment")
    assert (comment.dataset, comment.verdict) == ("rest", "uncovered")


def test_programs_and_people_get_it(office: Office) -> None:
    run(office, NOTES)
    document, said = (_called(office, *more) for more in (["--json"], []))
    coverage = json.loads(document)["coverage"]
    assert coverage["stores"][0] == {
        "store": "app",
        "tables": 3,
        "covered": 2,
        "ignored": 0,
        "unmapped": ["notes"],
        "beside": [],
        "unseen": None,
    }
    email: dict[str, Any] = next(each for each in coverage["columns"] if each["column"] == "email")
    assert email == {
        "store": "app",
        "table": "notes",
        "column": "email",
        "type": "TEXT",
        "looks_like": "personal",
        "confidence": "sure",
        "rules": ["P01"],
        "dataset": None,
        "verdict": "uncovered",
        "why": "no dataset names its table",
    }
    assert "coverage of app: 3 tables, 2 covered, 0 ignored, 1 named by nothing" in said
    assert "  notes.body: looks like request content (C05, likely); uncovered: no dataset names its table" in said


def _called(office: Office, *more: str) -> str:
    answer = CliRunner().invoke(cli, ["check", "--config", str(office.config), *more])
    assert answer.return_value is None or answer.return_value == 3
    return answer.stdout


def test_a_bucket_beside_is_a_finding_until_it_is_declared_or_ignored(office: Office, moto_s3: str) -> None:
    client = boto3.client("s3", endpoint_url=moto_s3)
    for name in ("ours", "theirs"):
        client.create_bucket(Bucket=name)
    store = f"  first: {{kind: s3, bucket: ours, endpoint: '{moto_s3}'}}\n"
    office.edit("datamap.yaml", "datasets:", store + "datasets:")
    (finding,) = of_guard(office)
    assert (finding.what, finding.where) == (
        "'s3://theirs' is a bucket of this account that no store of the data map is",
        "store first",
    )
    ignore = "ignore: [{store: first, pattern: 's3://*', reason: other teams}]\n"
    office.edit("datamap.yaml", "unmapped: refuse", ignore + "unmapped: refuse")
    assert of_guard(office) == []
    office.edit("datamap.yaml", ignore, "")
    office.edit("datamap.yaml", store, store + store.replace("first", "second").replace("ours", "theirs"))
    assert of_guard(office) == []
