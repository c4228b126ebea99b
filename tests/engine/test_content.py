"""Content windows: parts of records go sooner than the records, and a receipt says so."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from retentiond.domain.hold import Scope
from retentiond.domain.plan import Outcome
from retentiond.engine.checking import check
from retentiond.engine.comparing import compare
from retentiond.engine.explaining import PartClock, explain
from retentiond.engine.holds import add_hold
from retentiond.engine.running import Session, run_all
from retentiond.errors import DatasetRefused, Interrupted
from retentiond.ports.stores import Acted, Order, Verified
from tests.engine.handed_out import read, verdict
from tests.engine.office import DATAMAP, Office, Proxy, carry, make_office, outcomes, plan

TEXT = "the patient's name is Ada \U0001f5d1 '; DROP TABLE requests; --"
WINDOW = '      - {redact: [messages, response, "metadata.$.prompt"], after: 3 days, promise: {live: 4 days}}\n'
POLICIES = """
policies:
  content:
    class: content
    promise: {live: 40 days}
    rules:
      - {when: {account: {in: zero}}, keep: 2 days}
      - {when: {flagged: true}, keep: 13 months, promise: {live: 14 months}}
      - {keep: 20 days, then: tombstone, grace: 5 days}
    content:
WINDOWS    schedule: "every 6 hours"
    limits: {max_records: 1000, max_percent: 100}
lists: {zero: [acct-zero]}
floor: 1 hour
"""


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return with_windows(make_office(tmp_path), WINDOW)


def with_windows(office: Office, windows: str) -> Office:
    (office.config / "policies.yaml").write_text(POLICIES.replace("WINDOWS", windows), "utf-8")
    datamap = DATAMAP.split("  feedback:")[0] + "ignore: [{store: app, pattern: feedback, reason: another test}]\n"
    (office.config / "datamap.yaml").write_text(datamap, "utf-8")
    with office.db() as db:
        db.executescript("ALTER TABLE requests ADD messages; ALTER TABLE requests ADD response TEXT;"
                         "ALTER TABLE requests ADD metadata TEXT; ALTER TABLE requests ADD model TEXT;")  # fmt: skip
    return office


def fill(office: Office, key: str, days: float, text: str = TEXT, **more: Any) -> None:
    with office.db() as db:
        row = {
            "id": key, "account": "acct-a", "created": office.ago(days), "flagged": 0, "messages": f"{text} {key}",
            "response": "fine", "metadata": json.dumps({"prompt": text, "tokens": 1.50}), "model": "m",
        } | more  # fmt: skip
        names, marks = ", ".join(row), ", ".join("?" for _ in row)
        db.execute(f"INSERT INTO requests ({names}) VALUES ({marks})", tuple(row.values()))


def row(office: Office, key: str) -> dict[str, Any]:
    with office.db() as db:
        cursor = db.execute("SELECT * FROM requests WHERE id = ?", (key,))
        return dict(zip([each[0] for each in cursor.description], cursor.fetchone(), strict=True))


def annex(office: Office) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(office.bundles()[-1]["annex"]))
    return found


def test_a_part_of_a_row_whose_clock_is_not_real_has_no_date(office: Office) -> None:
    fill(office, "far", 5)
    with office.db() as db:
        db.execute("UPDATE requests SET created = '9999-12-31T23:00:00Z'")
    with office.open() as ctx:
        (found,) = explain(ctx, "requests", "far")
    assert (found.reason, [(each.state, each.due_at) for each in found.content]) == (
        "clock-out-of-range",
        [("there", None)],
    )


def test_prompts_go_after_three_days_and_their_rows_after_thirteen_months(office: Office) -> None:
    for number, days in enumerate((2.9, 3.1, 10, 30, 390, 400)):
        fill(office, f"r-{number}", days, flagged=1)
    assert outcomes(carry(office)) == {"requests": {"purged": 1, "redacted": 4}}
    young, *_ = (row(office, f"r-{number}") for number in range(5))
    assert TEXT in young["messages"]
    for number in range(1, 5):
        left = row(office, f"r-{number}")
        assert (left["messages"], left["response"]) == (None, None)
        assert left["metadata"] == '{"prompt": null, "tokens": 1.5}'
        assert (left["account"], left["model"], left["flagged"]) == ("acct-a", "m", 1)
    assert TEXT.encode() not in b"".join(
        json.dumps(row(office, f"r-{n}"), ensure_ascii=False).encode() for n in range(1, 5)
    )
    with office.open() as ctx:
        assert plan(ctx).plan is None  # what was redacted is not due again


def test_the_receipt_says_redacted_and_verifies(office: Office) -> None:
    for number in range(3):
        fill(office, f"r-{number}", 4)
    session = carry(office)
    (part,) = annex(office)["parts"]
    assert (part["action"], part["keep"], part["evidence"], part["due"]) == ("redact", "P3D", "deleted", 3)
    assert part["outcomes"]["redacted"] == 3
    assert part["verifiedBy"] == "select-by-key+search-row"
    assert annex(office)["residue"] is None
    file = session.carried[0].receipt.file
    assert verdict(office, file).valid
    bundle, predicate = read(file)
    assert (predicate["kind"], predicate["outcome"], predicate["evidence"]) == ("run", "complete", "deleted")
    assert TEXT not in json.dumps(bundle, ensure_ascii=False) + json.dumps(annex(office), ensure_ascii=False)


def test_the_text_is_in_no_file_of_ours_and_in_none_of_the_store(office: Office) -> None:
    fill(office, "r", 4, text="zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich")
    carry(office)
    needles = ["zwölf Boxkämpfer".encode(), json.dumps("zwölf Boxkämpfer")[1:-1].encode()]
    files = [path for path in office.root.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files for needle in needles if needle in path.read_bytes()] == []


def test_a_hidden_row_is_redacted_and_a_row_that_goes_is_not(office: Office) -> None:
    fill(office, "hidden", 21)
    office.hide("hidden", 1)
    fill(office, "due", 21)
    fill(office, "over", 40)
    office.hide("over", 8)
    with office.open() as ctx:
        (found, _) = plan(ctx).forecasts
    assert found.actions == (("purge", 1), ("redact", 1), ("tombstone", 1))
    assert outcomes(carry(office)) == {"requests": {"redacted": 1, "tombstoned": 1, "purged": 1}}
    assert row(office, "hidden")["messages"] is None
    assert row(office, "due")["messages"] is not None
    assert outcomes(carry(office)) == {"requests": {"redacted": 1}}
    assert row(office, "due")["messages"] is None


def test_a_hold_wins(office: Office) -> None:
    fill(office, "held", 4, account="acct-held")
    fill(office, "free", 4)
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=("acct-held",)), "Case-1", "", None)
    assert outcomes(carry(office)) == {"requests": {"redacted": 1}}
    assert TEXT in row(office, "held")["messages"]


def test_what_cannot_be_read_is_counted_and_left_as_it_is(office: Office) -> None:
    fill(office, "broken", 4, metadata='{"prompt": "' + TEXT)
    fill(office, "twice", 4, metadata='{"prompt": "a", "prompt": "b"}')
    fill(office, "bytes", 4, metadata=b'{"prompt": "x"}')
    fill(office, "young", 1, metadata="{")
    fill(office, "nothing", 4, messages=None, response=None, metadata="[]")
    with office.open() as ctx:
        (found, _) = plan(ctx).forecasts
    assert (found.due, found.kept, found.doubts) == (0, 2, (("content-unknown", 3),))


COPIES = {
    "in another column": {"model": json.dumps({"a": json.dumps([f"{TEXT} r"])})},
    "beside the path": {"metadata": json.dumps({"prompt": TEXT, "raw": f"{TEXT} r"})},
}


@pytest.mark.parametrize("more", COPIES.values(), ids=COPIES)
def test_a_row_that_says_it_twice_stays_and_is_overdue(office: Office, more: dict[str, Any]) -> None:
    fill(office, "r", 4, **more)
    fill(office, "other", 4)
    before = row(office, "r")
    session = carry(office)
    assert outcomes(session) == {"requests": {"redacted": 1, "carriedOver": 1}}
    assert row(office, "r") == before
    assert session.overdue == 1
    assert "stands in another column" in annex(office)["carriedOver"][0]["reason"]


def test_an_update_that_was_not_made_is_not_verified(office: Office) -> None:
    fill(office, "r", 4)

    class Lies(Proxy):
        def act(self, order: Order) -> Acted:
            return Acted([Outcome.DONE] * len(order.records))

    office.wraps["app"] = Lies
    session = carry(office)
    assert outcomes(session) == {"requests": {"carriedOver": 1}}
    assert session.overdue == 1


def test_what_comes_back_in_another_column_before_the_look_is_not_gone(office: Office) -> None:
    fill(office, "r", 4)

    class Late(Proxy):
        def act(self, order: Order) -> Acted:
            acted = super().act(order)
            with office.db() as db:
                db.execute("UPDATE requests SET model = ?", (f"again: {TEXT} r",))
            return acted

    office.wraps["app"] = Late
    assert outcomes(carry(office)) == {"requests": {"carriedOver": 1}}
    assert annex(office)["carriedOver"][0]["reason"] == "not-verified"


def test_after_a_crash_it_says_absent_and_not_done(office: Office) -> None:
    for number in range(2):
        fill(office, f"r-{number}", 4)

    class Dies(Proxy):
        def verify(self, _order: Order) -> Verified:
            raise Interrupted("killed")

    office.wraps["app"] = Dies
    with pytest.raises(Interrupted):
        carry(office)
    assert row(office, "r-0")["messages"] is None
    office.wraps.clear()
    with office.open() as ctx:
        session = run_all(ctx)
    assert outcomes(session) == {"requests": {"alreadyGone": 2}}
    assert annex(office)["parts"][0]["verifiedBy"] == "select-by-key"
    assert verdict(office, session.carried[0].receipt.file).valid


def test_an_object_stays_as_long_as_a_row_that_names_it(office: Office) -> None:
    fill(office, "stays", 4, payload="shared")
    fill(office, "goes", 3, account="acct-zero", payload="shared")
    fill(office, "alone", 3, account="acct-zero", payload="own")
    office.blob("shared")
    office.blob("own")
    session = carry(office)
    assert outcomes(session)["requests"] == {"redacted": 1, "purged": 2}
    assert office.blobs() == {"shared"}


TWO = """\
      - {when: {flagged: true}, redact: [messages], after: 30 days}
      - {redact: {messages: "[redacted]", "metadata.$.prompt": false}, after: 3 days}
      - {redact: [response], after: 2 days}
"""


def test_the_first_window_that_matches_governs_a_column(tmp_path: Path) -> None:
    office = with_windows(make_office(tmp_path), TWO)
    fill(office, "flagged", 4, flagged=1)
    fill(office, "old", 31, flagged=1)
    fill(office, "plain", 4)
    with office.db() as db:
        db.execute("UPDATE requests SET metadata = NULL WHERE id <> 'plain'")
    first: Session = carry(office)
    assert outcomes(first) == {"requests": {"redacted": 3}}
    assert row(office, "flagged")["messages"] == f"{TEXT} flagged"  # its messages have their own window
    assert row(office, "flagged")["response"] is None
    assert (row(office, "old")["messages"], row(office, "old")["response"]) == (None, "fine")
    assert (row(office, "plain")["messages"], row(office, "plain")["response"]) == ("[redacted]", "fine")
    assert json.loads(row(office, "plain")["metadata"]) == {"prompt": False, "tokens": 1.5}
    assert outcomes(carry(office)) == {"requests": {"redacted": 2}}
    assert row(office, "plain")["response"] is None
    with office.open() as ctx:
        assert plan(ctx).plan is None


def test_both_clocks_of_a_record_are_explained(office: Office) -> None:
    fill(office, "r", 2, flagged=1)
    fill(office, "done", 5, flagged=1)
    carry(office)
    with office.open() as ctx:
        ((one,), (two,)) = (explain(ctx, "requests", "r"), explain(ctx, "requests", "done"))
    names = ("messages", "response", "metadata.$.prompt")
    assert one.due_at is not None
    assert f"{one.due_at:%Y-%m-%d}" == "2027-06-30"
    assert [part.due_at and f"{part.due_at:%Y-%m-%d %H:%M}" for part in one.content] == ["2026-06-02 12:00"]
    assert (one.content[0].targets, one.content[0].state) == (names, "there")
    assert two.content == (PartClock(1, "redact", names, "gone", None),)


def test_a_window_is_checked_against_its_own_promise(office: Office) -> None:
    with office.open() as ctx:
        report = check(ctx)
    assert [(each.part, each.effective, each.fits) for each in report.retention if each.window] == [
        ("content window 1", "3 days 8 hours", True)
    ] * 2
    office.edit("policies.yaml", "promise: {live: 4 days}", "promise: {live: 79 hours}")
    with office.open() as ctx:
        (found,) = [each for each in check(ctx).findings if "promised" in each.what]
    assert (found.where, "3 days 8 hours" in found.what) == ("policy content, content window 1", True)


def test_what_cannot_be_redacted_safely_leaves_its_dataset_out(office: Office) -> None:
    with office.db() as db:
        db.execute("CREATE TRIGGER t AFTER UPDATE ON requests BEGIN SELECT 1; END")
    fill(office, "r", 4)
    with office.open() as ctx:
        with pytest.raises(DatasetRefused, match="trigger 't'"):
            plan(ctx)
        (found,) = [each for each in check(ctx).findings if "trigger 't'" in each.what]
    assert found.refuses
    assert "DROP TRIGGER" in found.remedy


def test_a_wider_window_is_more_than_the_one_in_force(office: Office) -> None:
    fill(office, "r", 4)
    fill(office, "s", 4, messages=None, response=None, metadata=None)
    carry(office)
    fill(office, "t", 4)
    fill(office, "u", 2)
    office.edit("policies.yaml", "after: 3 days", "after: 1 day")
    with office.open() as ctx:
        _, differences = compare(ctx, ())
        (found,) = [each for each in differences if each.dataset == "requests"]
    assert (found.trouble, found.changed, found.more, found.less) == ("", True, 1, 0)
