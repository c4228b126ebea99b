"""Undo: what our runs hid comes back while its grace lasts, with its objects; nothing else is touched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.domain.condition import Compare, Operator, attribute
from retentiond.domain.hold import Scope
from retentiond.domain.plan import Outcome
from retentiond.domain.policy import Action
from retentiond.engine import batches, pausing, returning
from retentiond.engine.approvals import approve
from retentiond.engine.checking import check
from retentiond.engine.closures import cancel_closure, close_account
from retentiond.engine.holds import add_hold
from retentiond.engine.purging import ask_purge
from retentiond.engine.recovery import recover
from retentiond.engine.running import apply_plan, run_all
from retentiond.engine.undoing import Undo, Wanted, undo
from retentiond.errors import ApprovalError, ConnectorError, GuardStopped, Interrupted, LogIntegrityError, UsageError
from retentiond.evidence.entry import EntryKind, parse_entry
from retentiond.ports.stores import Acted, Order, Verified
from tests.engine.office import Office, Proxy, carry, log_entries, make_office, outcomes, plan

ALL = Scope("requests", accounts=("acct-a",))
OTHER_RULES = """\
      - {when: {account: {in: zero}}, keep: 2 days}
      - {when: {flagged: true}, keep: 23 months, promise: {live: 2 years}}
"""
NOTES = """  notes:
    store: app
    table: notes
    key: [id]
    clock: {column: created, earliest: 2023-01-01}
    account: account
    class: content
    attributes: {flagged: flagged}
    parent: {dataset: requests, on: {request: id}}
    tombstone: {table: notes_hidden}
unmapped:"""
NOTES_TABLES = """
CREATE TABLE notes (id INTEGER PRIMARY KEY, request TEXT REFERENCES requests, account TEXT, created TEXT,
    flagged INTEGER);
CREATE TABLE notes_hidden (id INTEGER PRIMARY KEY, request TEXT, account TEXT, created TEXT, flagged INTEGER,
    tombstoned_at TEXT);
CREATE INDEX by_request ON notes (request);
CREATE INDEX hidden_by_request ON notes_hidden (request);
"""
MOVING = """
CREATE TABLE requests_hidden (id TEXT PRIMARY KEY, account TEXT, created TEXT, flagged INTEGER, payload TEXT,
    deleted TEXT, tombstoned_at TEXT);
"""


def back(office: Office, scope: Scope | None = None, *, run: str = "", who: str = "", reason: str = "bad rule") -> Undo:
    """Ask for an undo of what an account has, or of something else."""
    with office.open() as ctx:
        wanted = Wanted(None if run else scope or ALL, run)
        return undo(ctx, wanted, reason, office.key(who) if who else None)


def counts(found: Undo) -> dict[str, dict[str, int]]:
    return returning.plain(found.tally.counts)


def keys(*names: str) -> Scope:
    return Scope("requests", keys=tuple(name.encode() for name in names))


def hide_some(office: Office, *names: str) -> str:
    """Add requests with payloads that are due for hiding, hide them, and give the plan's id."""
    for name in names or ("one", "it's; DROP TABLE requests --"):
        office.request(name, 22, payload=f"of-{len(name)}")
    session = carry(office)
    assert office.hidden() >= set(names)
    return session.carried[0].plan.id


def stop_file(office: Office) -> Path:
    with office.open() as ctx:
        assert ctx.terms.stop_file is not None
        return ctx.terms.stop_file


def journalled(office: Office, *kinds: str) -> list[dict[str, Any]]:
    """Give the records of some kinds that journal and log have, in the log's order."""
    found = []
    with office.open() as ctx:
        for entry in map(parse_entry, ctx.log.read_entries()):
            sealed = ctx.journal.sealed(entry.sha256) if entry.kind is EntryKind.STATE else None
            record = ctx.journal.open(sealed) if sealed else {}
            if record.get("kind") in kinds:
                found.append(dict(record))
    return found


def test_rows_come_back_with_the_objects_that_they_name_and_the_log_says_so(office: Office) -> None:
    office.request("young", 1, payload="young")
    hide_some(office)
    assert office.blobs() == {"young"}
    found = back(office)
    assert office.hidden() == set()
    assert office.blobs() == {"young", "of-3", "of-28"}
    assert counts(found) == {"payloads": {"restored": 2}, "requests": {"restored": 2}}
    assert (found.complete, found.tally.due_again) == (True, 2)
    asked, ended = journalled(office, "undo", "undo-ended")
    assert (asked["id"], asked["reason"], asked["by"]) == (found.id, "bad rule", "single-operator")
    assert ended["datasets"] == counts(found)
    assert ended["restored"]["count"] == 4
    # the receipt of what was hidden stays what it was
    assert json.dumps(office.bundles()).count('"retract') == 0


def test_an_object_is_back_before_its_row_is(office: Office) -> None:
    hide_some(office, "one")
    seen: list[set[str]] = []

    class Watching(Proxy):
        def act(self, order: Order) -> Acted:
            seen.append(office.blobs())
            return super().act(order)

    office.wraps["app"] = Watching
    back(office)
    assert seen == [{"of-3"}]


def test_what_is_back_is_there_when_it_is_asked_for_again(office: Office) -> None:
    hide_some(office, "one")
    back(office)
    found = back(office, keys("one", "nowhere"))
    assert counts(found) == {"requests": {"there": 1, "gone": 1}}
    assert (found.brought_any, found.complete) == (True, False)
    assert {(each.key, each.outcome) for each in found.tally.told} == {(b"one", "there"), (b"nowhere", "gone")}
    assert counts(back(office)) == {}


def test_what_is_back_is_due_again_unless_something_changed(office: Office) -> None:
    plan_id = hide_some(office, "one")
    back(office)
    office.clock.at += timedelta(hours=1)
    carry(office)
    assert office.hidden() == {"one"}
    # the tombstone is another one now: the first run's undo leaves it alone, its own takes it away
    found = back(office, run=plan_id)
    assert counts(found) == {"payloads": {"changed": 1}, "requests": {"changed": 1}}
    assert office.hidden() == {"one"}
    assert counts(back(office))["requests"] == {"restored": 1}
    with office.open() as ctx:
        add_hold(ctx, ALL, "case 1", "", None)
    assert back(office, keys("one")).tally.due_again == 0


def test_all_that_a_run_hid_comes_back_orphans_too_and_nothing_else(office: Office) -> None:
    office.edit("policies.yaml", OTHER_RULES, "")  # they ask what no orphan can tell
    office.blob("orphan", days=30)
    office.request("other", 30, account="acct-b")
    office.hide("other", 1)
    plan_id = hide_some(office)
    assert office.blobs() == set()
    found = back(office, run=plan_id)
    assert office.hidden() == {"other"}
    assert office.blobs() == {"orphan", "of-3", "of-28"}
    assert counts(found) == {"payloads": {"restored": 3}, "requests": {"restored": 2}}
    again = back(office, run=plan_id)
    assert counts(again) == {"payloads": {"there": 3}, "requests": {"there": 2}}
    assert again.complete


def test_a_tombstone_that_the_application_set_is_not_ours_to_take_away(office: Office) -> None:
    hide_some(office, "ours")
    office.request("theirs", 22)
    office.hide("theirs", 1)
    found = back(office)
    assert office.hidden() == {"theirs"}
    assert counts(found)["requests"] == {"restored": 1, "undetermined": 1}
    # also not where it hides a row that we had hidden, and brought back, before
    office.hide("ours", 1)
    assert counts(back(office, keys("ours"))) == {"requests": {"undetermined": 1}}
    assert office.hidden() == {"ours", "theirs"}


def test_what_is_over_by_policy_stays_hidden_and_comes_back_once_policy_keeps_it(office: Office) -> None:
    hide_some(office, "one")
    office.clock.at += timedelta(days=5, seconds=1)
    found = back(office)
    assert (counts(found), office.hidden()) == ({"requests": {"over": 1}}, {"one"})
    assert not found.brought_any
    office.edit("policies.yaml", "grace: 5 days", "grace: 9 days")
    assert counts(back(office))["requests"] == {"restored": 1}


def test_what_was_purged_is_gone(office: Office) -> None:
    plan_id = hide_some(office, "one")
    office.clock.at += timedelta(days=6)
    carry(office)
    assert counts(back(office, run=plan_id)) == {"requests": {"over": 1}}  # it was never asked for
    office.edit("policies.yaml", "grace: 5 days", "grace: 9 days")
    assert counts(back(office, run=plan_id)) == {"payloads": {"gone": 1}, "requests": {"gone": 1}}
    assert counts(back(office, keys("one"))) == {"requests": {"gone": 1}}
    assert office.rows() == set()


def forget(office: Office) -> None:
    """Have the ledger destroy the identifiers of ended batches."""
    office.edit("retentiond.yaml", "keep: 7 days", "keep: 1 hour")
    office.clock.at += timedelta(days=1)
    carry_nothing(office)


def carry_nothing(office: Office) -> None:
    with office.open() as ctx:
        run_all(ctx)


def test_nobody_guesses_whose_a_tombstone_was_once_identifiers_are_destroyed(office: Office) -> None:
    plan_id = hide_some(office, "one")
    forget(office)
    for found in (back(office), back(office, keys("one"))):
        assert counts(found) == {"requests": {"undetermined": 1}}
        assert (found.forgotten, found.brought_any) == ({"requests": 1}, False)
    found = back(office, run=plan_id)
    assert (counts(found), found.forgotten) == ({}, {"requests": 1})
    assert not found.complete
    assert office.hidden() == {"one"}


def moving(office: Office) -> None:
    """Have rows hidden by moving them into a table."""
    office.edit("datamap.yaml", "tombstone: {column: deleted}", "tombstone: {table: requests_hidden}")
    with office.db() as db:
        db.executescript(MOVING)


def test_a_quarantine_is_ours_however_long_ago_it_was(office: Office) -> None:
    moving(office)
    office.request("one", 22, payload="one")
    carry(office)
    assert office.rows() == set()
    forget(office)
    found = back(office, keys("one"))
    assert counts(found) == {"payloads": {"restored": 1}, "requests": {"restored": 1}}
    assert (office.rows(), office.rows("requests_hidden"), office.blobs()) == ({"one"}, set(), {"one"})
    assert found.complete


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("moves", [False, True])
def test_a_hidden_row_of_which_a_part_is_due_or_went_comes_back(office: Office, runs: int, *, moves: bool) -> None:
    if moves:
        moving(office)
    office.request("one", 22)
    with office.db() as db:
        for table in ("requests", "requests_hidden") if moves else ("requests",):
            db.execute(f"ALTER TABLE {table} ADD note TEXT")
    window = "    content: [{redact: [note], after: 3 days, promise: {live: 10 days}, datasets: [requests]}]\n"
    office.edit("policies.yaml", "  content:\n    class: content\n", "  content:\n    class: content\n" + window)
    with office.db() as db:
        db.execute("UPDATE requests SET note = 'said this'")
    for _ in range(runs):  # the second run redacts what the first one hid
        carry(office)
    found = back(office, keys("one"))
    assert counts(found)["requests"] == {"restored": 1}
    with office.db() as db:
        notes = [note for (note,) in db.execute("SELECT note FROM requests WHERE deleted IS NULL")]
    assert notes == ["said this" if runs == 1 else None]


def test_a_row_that_was_written_again_is_never_overwritten(office: Office) -> None:
    moving(office)
    office.request("one", 22)
    carry(office)
    office.request("one", 1, account="acct-new")
    found = back(office, keys("one"))
    assert counts(found)["requests"] == {"there": 1, "changed": 1}
    with office.db() as db:
        assert [row[0] for row in db.execute("SELECT account FROM requests")] == ["acct-new"]
    assert office.rows("requests_hidden") == {"one"}


def test_with_a_run_parents_come_back_before_the_rows_that_name_them(office: Office) -> None:
    moving(office)
    office.edit("datamap.yaml", "unmapped:", NOTES)
    with office.db() as db:
        db.executescript(NOTES_TABLES)
    office.request("one", 22)
    with office.db() as db:
        db.execute("INSERT INTO notes VALUES (7, 'one', 'acct-a', ?, 0)", (office.ago(22),))
    plan_id = carry(office).carried[0].plan.id
    assert (office.rows(), office.rows("notes"), office.rows("notes_hidden")) == (set(), set(), {7})
    found = back(office, run=plan_id)
    assert counts(found) == {"requests": {"restored": 1}, "notes": {"restored": 1}}
    assert (office.rows(), office.rows("notes"), office.rows("notes_hidden")) == ({"one"}, {7}, set())


def test_an_object_that_was_written_again_stays_and_its_row_comes_back(office: Office) -> None:
    hide_some(office, "one")
    office.blob("of-3").write_text("written anew", "utf-8")
    found = back(office)
    assert counts(found) == {"payloads": {"changed": 1}, "requests": {"restored": 1}}
    assert (office.root / "payloads" / "of-3").read_text("utf-8") == "written anew"


def test_a_row_waits_for_its_object(office: Office) -> None:
    hide_some(office, "one", "sixsix")

    class Refusing(Proxy):
        def act(self, order: Order) -> Acted:
            if order.action is Action.RESTORE and order.records[0].key == ("of-3",):
                raise ConnectorError("the disk is on fire", where="disk", remedy="wait")
            return super().act(order)

    office.wraps["disk"] = Refusing
    found = back(office)
    # both objects go in one order, of which nothing is known
    assert counts(found) == {"payloads": {"unknown": 2}, "requests": {"refused": 2}}
    assert {each.reason for each in found.tally.told} == {"the disk is on fire", "its object could not be brought back"}
    assert office.hidden() == {"one", "sixsix"}
    office.wraps.clear()
    assert back(office).complete
    assert office.hidden() == set()


def test_only_a_separate_read_says_that_something_is_back(office: Office) -> None:
    hide_some(office, "one")

    class Lying(Proxy):
        def act(self, order: Order) -> Acted:
            return Acted([Outcome.DONE] * len(order.records))

    class Blind(Proxy):
        def verify(self, order: Order) -> Verified:
            raise ConnectorError(f"no answer for {len(order.records)}", where="app", remedy="wait")

    office.wraps["app"] = Lying
    assert counts(back(office))["requests"] == {"unknown": 1}
    office.wraps["app"] = Blind
    assert counts(back(office))["requests"] == {"unknown": 1}
    office.wraps.clear()
    assert counts(back(office, keys("one")))["requests"] == {"there": 1}


def test_an_account_that_leaves_or_left_is_not_given_back(office: Office) -> None:
    office.edit("policies.yaml", "grace: none", "grace: 2 days")
    office.request("mine", 22, account="acct-b")
    hide_some(office, "other")
    of_b = Scope("requests", accounts=("acct-b",))
    with office.open() as ctx:
        close_account(ctx, "acct-b", "contract ended", None)
    found = back(office, of_b)
    assert counts(found) == {"requests": {"leaving": 1}}
    assert office.hidden() == {"mine", "other"}
    with office.open() as ctx:
        cancel_closure(ctx, "acct-b", None)
    assert counts(back(office, of_b)) == {"requests": {"restored": 1}}


def test_a_record_whose_owner_cannot_be_read_waits_while_anybody_leaves(office: Office) -> None:
    office.edit("policies.yaml", "grace: none", "grace: 2 days")
    hide_some(office, "one")
    with office.db() as db:
        db.execute("UPDATE requests SET account = NULL")
    with office.open() as ctx:
        close_account(ctx, "acct-b", "contract ended", None)
    assert counts(back(office, keys("one"))) == {"requests": {"undetermined": 1}}
    with office.open() as ctx:
        cancel_closure(ctx, "acct-b", None)
    assert counts(back(office, keys("one")))["requests"] == {"restored": 1}


def test_a_condition_selects_what_the_record_says_now(office: Office) -> None:
    hide_some(office, "plain", "marked", "unknown")
    with office.db() as db:
        db.execute("UPDATE requests SET flagged = 1 WHERE id = 'marked'")
        db.execute("UPDATE requests SET flagged = NULL WHERE id = 'unknown'")
    flagged = Scope("requests", condition=Compare(attribute("flagged"), Operator.EQUAL, literal=True))
    assert counts(back(office, flagged))["requests"] == {"restored": 1}
    assert office.hidden() == {"plain", "unknown"}


def test_a_hold_does_not_forbid_it(office: Office) -> None:
    hide_some(office, "one")
    with office.open() as ctx:
        add_hold(ctx, ALL, "case 1", "", None)
    found = back(office)
    assert (office.hidden(), found.tally.due_again) == (set(), 0)


def test_it_works_while_everything_is_paused_and_not_against_the_stop_file(office: Office) -> None:
    hide_some(office, "one")
    with office.open() as ctx:
        pausing.pause(ctx, "incident 7")
    stop = stop_file(office)
    stop.touch()
    with pytest.raises(GuardStopped, match="stop file"):
        back(office)
    assert (office.hidden(), journalled(office, "undo")) == ({"one"}, [])
    stop.unlink()
    assert back(office).complete


def test_an_instance_that_observes_changes_nothing(office: Office) -> None:
    hide_some(office, "one")
    office.edit("retentiond.yaml", "mode: enforce", "mode: observe")
    with pytest.raises(GuardStopped, match="only observes"):
        back(office)
    assert (office.hidden(), journalled(office, "undo")) == ({"one"}, [])


def test_a_stop_file_in_the_midst_stops_it_and_the_log_says_how_far_it_came(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_some(office)
    monkeypatch.setattr(returning, "BATCH_RECORDS", 1)
    stop = stop_file(office)

    class Stopping(Proxy):
        def verify(self, order: Order) -> Verified:
            stop.touch()
            return super().verify(order)

    office.wraps["app"] = Stopping
    with pytest.raises(GuardStopped, match="stop file"):
        back(office)
    assert len(office.hidden()) == 1
    stop.unlink()
    office.wraps.clear()
    assert back(office).complete
    assert office.hidden() == set()
    first, second = journalled(office, "undo-ended")
    assert (first["datasets"]["requests"], second["datasets"]["requests"]) == ({"restored": 1}, {"restored": 1})


def test_an_interrupted_undo_is_finished_by_the_next(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    hide_some(office)
    monkeypatch.setattr(returning, "BATCH_RECORDS", 1)
    asked = iter([False, False, False, True, True])
    office.stop = lambda: next(asked)
    with pytest.raises(Interrupted, match="what is back is back"):
        back(office)
    assert len(office.hidden()) == 1
    office.stop = lambda: False
    assert back(office).complete
    assert office.hidden() == set()


def test_an_undo_that_was_killed_after_the_act_is_finished_by_the_next(office: Office) -> None:
    plan_id = hide_some(office, "one")

    class Dying(Proxy):
        def act(self, order: Order) -> Acted:
            super().act(order)
            raise KeyboardInterrupt

    office.wraps["app"] = Dying
    with pytest.raises(KeyboardInterrupt):
        back(office)
    office.wraps.clear()
    assert office.hidden() == set()
    assert counts(back(office, run=plan_id)) == {"payloads": {"there": 1}, "requests": {"there": 1}}


def test_what_a_run_hid_before_it_was_killed_is_known_as_ours(office: Office) -> None:
    office.request("one", 22)

    class Dying(Proxy):
        def act(self, order: Order) -> Acted:
            super().act(order)
            raise KeyboardInterrupt

    office.wraps["app"] = Dying
    with pytest.raises(KeyboardInterrupt):
        carry(office)
    assert office.hidden() == {"one"}
    office.wraps.clear()
    office.clock.at += timedelta(minutes=3)
    carry_nothing(office)
    assert counts(back(office))["requests"] == {"restored": 1}


def test_nothing_is_brought_back_while_the_request_cannot_be_logged(office: Office) -> None:
    hide_some(office, "one")
    journal = office.root / "journal"
    shutil.move(journal, office.root / "away")
    journal.write_text("in the way", "utf-8")
    with pytest.raises(LogIntegrityError):
        back(office)
    assert office.hidden() == {"one"}
    journal.unlink()
    shutil.move(office.root / "away", journal)
    assert back(office).complete


def test_a_run_that_has_not_ended_is_ended_first(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "TRIES", 1)
    office.request("one", 22)
    office.request("two", 22)

    class Stopping(Proxy):
        def act(self, order: Order) -> Acted:
            acted = super().act(order)
            with office.open() as other:
                pausing.pause(other, "incident 7")
            return acted

    monkeypatch.setattr("retentiond.engine.drafting.BATCH_RECORDS", 1)
    office.wraps["app"] = Stopping
    with pytest.raises(GuardStopped, match="paused"):
        carry(office)
    office.wraps.clear()
    assert len(office.hidden()) == 1
    with pytest.raises(GuardStopped, match="has not ended") as stopped:
        back(office)
    assert stopped.value.guard == "unfinished-run"
    with office.open() as ctx:
        pausing.cancel(ctx, stopped.value.where, None)
    assert counts(back(office, run=stopped.value.where))["requests"] == {"restored": 1}
    assert office.hidden() == set()


def test_a_purge_that_was_planned_before_leaves_what_came_back(office: Office) -> None:
    hide_some(office, "one")
    office.clock.at += timedelta(days=6)
    with office.open() as ctx:
        planned = plan(ctx)
        assert planned.plan is not None
        approve(ctx, planned.plan.id, None)
        office.edit("policies.yaml", "grace: 5 days", "grace: 9 days")
    assert counts(back(office))["requests"] == {"restored": 1}
    office.edit("policies.yaml", "grace: 9 days", "grace: 5 days")
    with office.open() as ctx:
        session = apply_plan(ctx, planned.plan.id)
    assert outcomes(session) == {"payloads": {"changed": 1}, "requests": {"carriedOver": 1}}
    assert (office.rows(), office.hidden(), office.blobs()) == ({"one"}, set(), {"of-3"})


def test_a_purge_asked_for_later_takes_what_came_back(office: Office) -> None:
    hide_some(office, "one")
    back(office)
    with office.open() as ctx:
        asked = ask_purge(ctx, keys("one"), "after all", None).planned.plan
        assert asked is not None
        approve(ctx, asked.id, None)
        apply_plan(ctx, asked.id)
    assert (office.rows(), office.blobs()) == (set(), set())


def test_one_person_signs_and_a_stranger_cannot(tmp_path: Path) -> None:
    office = make_office(tmp_path, single_operator=False)
    office.name_approvers("alice")
    office.request("one", 22)
    with office.open() as ctx:
        planned = plan(ctx).plan
        assert planned is not None
        approve(ctx, planned.id, office.key("alice"))
        apply_plan(ctx, planned.id)
    with pytest.raises(ApprovalError, match="belongs to nobody"):
        back(office, who="mallory")
    assert office.hidden() == {"one"}
    found = back(office, who="alice")
    assert (found.signed.principal, office.hidden()) == ("alice", set())
    assert journalled(office, "undo")[0]["by"] == "alice"


def test_what_says_nothing_is_refused_before_anything_is_signed(office: Office) -> None:
    hide_some(office, "one")
    before = log_entries(office)
    wrong: list[tuple[str, Callable[[], Undo]]] = [
        ("reason", lambda: back(office, reason=" ")),
        ("dataset", lambda: back(office, Scope(accounts=("acct-a",)))),
        ("no dataset", lambda: back(office, Scope("elsewhere", accounts=("acct-a",)))),
        ("follows", lambda: back(office, Scope("payloads", keys=(b"of-3",)))),
        ("no tombstone", lambda: back(office, Scope("feedback", keys=(b"1",)))),
        ("needs", lambda: back(office, Scope("requests"))),
    ]
    for _, ask in wrong:
        with pytest.raises(UsageError):
            ask()
    with office.open() as ctx, pytest.raises(UsageError):
        undo(ctx, Wanted(ALL, "some-run"), "why", None)
    assert log_entries(office) == before


def test_a_ledger_that_is_recovered_reads_the_records_of_undos(office: Office, tmp_path: Path) -> None:
    hide_some(office, "one")
    older = tmp_path / "older.db"
    with office.open() as ctx:
        ctx.ledger.backup(older)
    back(office)
    for path in office.root.glob("ledger.db*"):
        path.unlink()
    shutil.copy(older, office.root / "ledger.db")
    with office.open() as ctx:
        assert recover(ctx).unreadable == []


def test_check_names_a_grace_that_the_ledger_forgets_before_its_end(office: Office) -> None:
    with office.open() as ctx:
        assert not [note for note in check(ctx).notes if "undo" in note]
    office.edit("policies.yaml", "grace: 5 days", "grace: 9 days")
    with office.open() as ctx:
        (note,) = (note for note in check(ctx).notes if "undo" in note)
    assert note.startswith("requests: its grace (9 days) is longer than `identifiers.keep` (7 days)")
