"""Zero retention watched: what an earlier check should have removed is counted, told, removed, and not attested."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from retentiond.domain.hold import Scope
from retentiond.engine.attesting import Question, attest
from retentiond.engine.checking import check
from retentiond.engine.holds import add_hold
from retentiond.engine.overview import status
from retentiond.engine.replaying import replay
from retentiond.engine.ticking import Ticked, tick
from retentiond.engine.zeroing import ZeroStatus
from retentiond.errors import ConnectorError, NotAttested
from retentiond.service.metrics import of_status
from tests.engine.leavers import ask
from tests.engine.office import Office, Proxy, carry, make_office, outcomes
from tests.replay.restoring import back_up, restore

MINUTES = timedelta(minutes=1)
DAY_MINUTES = 24 * 60
FIVE = 5 * MINUTES
ZERO = "acct-zero"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """An instance with a rule that promises zero retention, approved in a run that removed one record."""
    office = make_office(tmp_path)
    office.edit("policies.yaml", "keep: 2 days", "zero_retention: {after: 15 minutes, check_every: 5 minutes}")
    office.edit(
        "policies.yaml",
        "max_records: 1000, max_percent: 95}",
        "max_records: 1000, max_percent: 100, longest_run: 10 minutes}",
    )
    arrive(office, "first", 16, payload="p-first")
    arrive(office, "other", 60, account="acct-a")
    carry(office)
    return office


def arrive(office: Office, key: str, minutes: float, account: str | None = ZERO, payload: str = "") -> None:
    office.request(key, minutes / DAY_MINUTES, account=account, payload=payload)


def ticked(office: Office) -> Ticked:
    with office.open() as ctx:
        return tick(ctx, "one", look_for_work=True)


def zero(office: Office) -> ZeroStatus:
    with office.open() as ctx:
        (found,) = status(ctx).zero_retention
    return found


def told(office: Office) -> dict[str, float]:
    with office.open() as ctx:
        families = of_status(status(ctx), ctx.now(), 1)
        return {sample.name: sample.value for family in families for sample in family.samples if "zero" in sample.name}


def violations(office: Office) -> list[dict[str, object]]:
    with office.open() as ctx, ctx.ledger.begin() as tx:
        found = [each for each in tx.events.newest(1000) if each.kind == "zero-retention.violated"]
    return [dict(each.detail) for each in found]


def refusal(office: Office, start_minutes: float, account: str | None = None) -> str:
    question = Question(office.clock.at - start_minutes * MINUTES, office.clock.at, account, ("content",))
    with office.open() as ctx, pytest.raises(NotAttested) as caught:
        attest(ctx, question)
    return caught.value.what


def test_what_a_replay_finds_after_a_restore_stayed_too_long(office: Office) -> None:
    ticked(office)
    arrive(office, "late", 16)
    backup = back_up(office)
    ticked(office)
    office.clock.at += 2 * FIVE
    restore(office, backup)
    with office.open() as ctx:
        assert outcomes(replay(ctx).session) == {"requests": {"purged": 1}}
    assert (zero(office).watch.violations, zero(office).watch.since) == (1, None)
    assert "records stayed too long" in refusal(office, 5)


def test_what_goes_in_time_is_no_violation_and_the_time_can_be_attested(office: Office) -> None:
    ticked(office)
    for number in range(4):
        arrive(office, f"r{number}", 12)
        office.clock.at += FIVE
        ticked(office)
    assert office.rows() == {"other"}
    found = zero(office)
    assert (found.policy, found.rule, found.missed) == ("content", 1, False)
    assert (found.watch.violations, found.watch.total, found.watch.checked_at) == (0, 0, office.clock.at)
    assert violations(office) == []
    with office.open() as ctx:
        attest(ctx, Question(office.clock.at - 4 * FIVE, office.clock.at, None, ("content",)))


def test_what_stayed_too_long_is_counted_told_removed_and_keeps_an_attestation_from_being_signed(
    office: Office,
) -> None:
    ticked(office)
    office.clock.at += FIVE
    arrive(office, "late", 27, payload="p-late")
    arrive(office, "later", 21, payload="p-later")
    arrive(office, "in time", 19)
    ticked(office)
    assert office.rows() == {"other"}
    assert office.blobs() == set()
    assert violations(office) == [{"rule": 1, "dataset": "requests", "records": 2, "age": 27 * 60}]
    found = zero(office)
    assert (found.watch.violations, found.watch.worst_seconds, found.watch.total) == (2, 27 * 60, 2)
    assert told(office) == {
        "retentiond_zero_retention_violations_total": 2,
        "retentiond_zero_retention_oldest_seconds": 27 * 60,
        "retentiond_zero_retention_undetermined": 0,
        "retentiond_zero_retention_last_check_timestamp_seconds": office.clock.at.timestamp(),
    }
    with office.open() as ctx:
        assert "2 records stayed longer" in str([each.what for each in check(ctx).findings])
    assert "stayed too long" in refusal(office, 5)
    office.clock.at += FIVE
    ticked(office)
    found = zero(office)
    assert (found.watch.violations, found.watch.worst_seconds, found.watch.total) == (0, 0, 2)
    assert "zero retention of policy content, rule 1: 2 records stayed too long" in refusal(office, 10)
    assert "zero retention" in refusal(office, 10, ZERO)
    with office.open() as ctx:
        attest(ctx, Question(office.clock.at - 2 * FIVE, office.clock.at, "acct-a", ("content",)))
        assert "stayed longer" not in str(check(ctx).findings)
    office.clock.at += FIVE
    ticked(office)
    with office.open() as ctx:
        attest(ctx, Question(office.clock.at - FIVE, office.clock.at, None, ("content",)))


def test_a_daemon_that_was_down_missed_checks_and_catches_up_once(office: Office) -> None:
    ticked(office)
    office.clock.at += 60 * MINUTES
    arrive(office, "late", 50)
    assert zero(office).missed
    with office.open() as ctx:
        assert "zero retention was not checked since" in str([each.what for each in check(ctx).findings])
    ticked(office)
    assert (zero(office).missed, zero(office).watch.total) == (False, 1)
    assert len(violations(office)) == 1
    said = refusal(office, 60)
    assert "a check was missed after" in said


def test_an_instance_that_only_observes_counts_at_each_check(office: Office) -> None:
    office.edit("retentiond.yaml", "mode: enforce", "mode: observe")
    ticked(office)
    arrive(office, "late", 30)
    office.clock.at += FIVE
    ticked(office)
    office.clock.at += FIVE
    ticked(office)
    assert "late" in office.rows()
    assert (zero(office).watch.violations, zero(office).watch.total) == (1, 2)


def test_what_is_held_is_no_violation_and_what_cannot_be_told_is_counted_apart(office: Office) -> None:
    arrive(office, "held", 60, account=ZERO)
    arrive(office, "nobody's", 60, account=None)
    with office.open() as ctx:
        add_hold(ctx, Scope("requests", keys=(b"held",)), "Case 1", "", None)
    ticked(office)
    assert office.rows() == {"held", "nobody's", "other"}
    assert (zero(office).watch.violations, zero(office).watch.undetermined) == (0, 1)


class Down(Proxy):
    """A store that nobody can read."""

    def scan(self, *_arguments: object) -> None:
        raise ConnectorError("the store is down", where="app")


MORE = """
  more:
    store: other
    table: more
    key: [id]
    clock: {column: created, earliest: 2023-01-01}
    account: account
    class: content
    attributes: {flagged: flagged}
    tombstone: {column: deleted}
unmapped:"""


def test_a_check_that_could_not_see_one_of_the_datasets_is_none_and_what_it_found_counts(office: Office) -> None:
    office.edit("datamap.yaml", "\nunmapped:", MORE)
    office.edit("datamap.yaml", "\n  disk:", "\n  other: {kind: sqlite, path: ../other.db, backups: none}\n  disk:")
    with closing(sqlite3.connect(office.root / "other.db")) as db:
        db.execute("CREATE TABLE more (id TEXT PRIMARY KEY, account TEXT, created TEXT, flagged INTEGER, deleted TEXT)")
    ticked(office)
    before = zero(office).watch.checked_at
    assert before == office.clock.at
    office.wraps["other"] = Down
    office.clock.at += FIVE
    arrive(office, "late", 30)
    ticked(office)
    assert (zero(office).watch.checked_at, zero(office).watch.violations) == (before, 1)
    office.wraps.clear()
    office.clock.at += FIVE
    ticked(office)
    assert (zero(office).watch.checked_at, zero(office).watch.violations) == (office.clock.at, 0)


def test_a_store_that_cannot_be_looked_at_is_no_check(office: Office) -> None:
    ticked(office)
    before = zero(office).watch.checked_at
    office.wraps["app"] = Down
    office.clock.at += 4 * FIVE
    with office.open() as ctx, pytest.raises(ConnectorError):
        tick(ctx, "one", look_for_work=True)
    office.wraps.clear()
    assert zero(office).watch.checked_at == before
    assert zero(office).missed


@pytest.mark.parametrize(("account", "late"), [(ZERO, 2), ("acct-a", 0)])
def test_what_came_back_of_a_closed_account_stayed_too_long_where_the_rule_is_its_own(
    office: Office, account: str, late: int
) -> None:
    office.edit("policies.yaml", "per_day: 500, max_percent: 95", "per_day: 500, max_percent: 100")
    ticked(office)
    arrive(office, "late", 12, account)
    arrive(office, "later", 11, account)
    backup = back_up(office)
    ask(office, [account])
    ticked(office)
    assert not office.rows() & {"late", "later"}
    office.clock.at += 3 * FIVE
    restore(office, backup)
    with office.open() as ctx:
        done = replay(ctx)
    assert (done.back, done.session.stops) == (1, [])
    assert not office.rows() & {"late", "later"}
    assert zero(office).watch.violations == late
    assert (zero(office).watch.since is None) == bool(late)
