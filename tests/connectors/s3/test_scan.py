from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from retentiond.clock import SystemClock
from retentiond.connectors.s3.listing import Version
from retentiond.connectors.s3.records import RecordReader
from retentiond.domain.dataset import ClockFormat, ClockSource
from retentiond.domain.decision import closure_cases, named_cases
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import micros
from retentiond.errors import DatasetRefused
from tests.connectors.s3.asking import HIDE, OLD, PAYLOADS, YOUNG, cases, counted, opened, ordered, scanned
from tests.connectors.s3.bucket_behind import Behind
from tests.connectors.s3.proxy import Forward, Proxy, Reply, Request

HOSTILE = (
    "a+b", "a b", "100%25", "100%", "a%2eb", "a.b", "a%2Fb", "a/b", "a//b", "/lead", "//two", "a/../b", "./c", "..",
    ".", "\U0001f5d1\ufe0f", "\u202etxt.gpj", "\u05d0/\u05d1", "k" * 1_024, "\u00e9" * 512, "'; DROP TABLE x; --",
    "<script>alert(1)</script>", "]]>&amp;", "__proto__", "?x=1&y", "#frag", "trailing ", " leading", "a\\b", "*", "~",
    "e\u0301", "\u00e9", "tab\tin",
)  # fmt: skip


def test_every_version_is_seen_once_whatever_the_size_of_a_page(moto_s3: str, behind: Behind) -> None:
    for number in range(60):
        behind.put(f"many/{number % 20:03}", timedelta(days=40 + number % 7))
    for number in range(1_100):
        behind.put(f"one/{number}", OLD)
    decided = cases()
    for page in (97, 1_000):
        with opened(moto_s3, page=page) as connector:
            records, tallies = scanned(connector, decided)
        assert len({(record.key, record.version) for record in records}) == len(records) == 1_160
        assert sum(tally.count for tally in tallies.values()) == 1_160


@pytest.mark.parametrize("page", [1, 2, 3, 1_000])
def test_hostile_keys_go_and_their_neighbours_stay(moto_s3: str, behind: Behind, page: int) -> None:
    for index, key in enumerate(HOSTILE):
        behind.put(key, OLD if index % 2 else YOUNG)
    decided = cases()
    with opened(moto_s3, page=page) as connector:
        records, _ = scanned(connector, decided)
        assert {record.key[0] for record in records} == set(HOSTILE[1::2])
        order = ordered(decided, records)
        assert set(connector.act(order).outcomes) == {Outcome.DONE}
        assert set(connector.verify(order).sightings) == {Sighting.ABSENT}
    assert behind.with_data() == set(HOSTILE[::2])


def test_a_version_is_hidden_since_the_next_newer_was_stored(moto_s3: str, behind: Behind) -> None:
    for days in (9, 7, 3):
        behind.put("key", timedelta(days=days))
    with opened(moto_s3) as connector:
        newest, middle, oldest = connector.find(PAYLOADS, "key")
    assert (newest.place, newest.tombstoned) == ("", None)
    assert (middle.place, middle.tombstoned) == ("noncurrent", newest.clock)
    assert (oldest.place, oldest.tombstoned) == ("noncurrent", middle.clock)


def test_a_marker_on_top_is_hidden_since_itself(moto_s3: str, behind: Behind) -> None:
    behind.put("key", timedelta(days=9))
    identifier = behind.hide("key", timedelta(days=4))
    with opened(moto_s3) as connector:
        marker, version = connector.find(PAYLOADS, "key")
    assert (marker.place, marker.version.decode(), marker.tombstoned) == ("marker", identifier, marker.clock)
    assert version.tombstoned == marker.clock


def test_the_oldest_version_comes_first_and_markers_last(moto_s3: str, behind: Behind) -> None:
    first, second = behind.put("key", timedelta(days=60)), behind.put("key", timedelta(days=55))
    lower, upper = behind.hide("key", timedelta(days=50)), behind.hide("key", timedelta(days=45))
    with opened(moto_s3) as connector:
        records, _ = scanned(connector, cases())
    assert [record.version.decode() for record in records] == [first, second, lower, upper]


def test_a_marker_above_a_version_that_stays_is_kept(moto_s3: str, behind: Behind) -> None:
    behind.put_marker("key", timedelta(days=50))
    behind.put("key", YOUNG)
    decided = cases()
    with opened(moto_s3) as connector:
        records, tallies = scanned(connector, decided)
    assert records == []
    assert counted(tallies, decided, "no-rule") == 1


def test_a_marker_with_nothing_beneath_is_due_by_its_own_age(moto_s3: str, behind: Behind) -> None:
    behind.put_marker("old", OLD)
    behind.put_marker("young", YOUNG)
    with opened(moto_s3) as connector:
        records, _ = scanned(connector, cases())
    assert [record.key for record in records] == [("old",)]


def test_nothing_hidden_is_hidden_again(moto_s3: str, behind: Behind) -> None:
    behind.put("replaced", timedelta(days=50))
    behind.put("replaced", timedelta(days=8))
    behind.put("deleted", timedelta(days=50))
    behind.hide("deleted", timedelta(days=2))
    behind.put("current", timedelta(days=50))
    decided = cases(HIDE)
    with opened(moto_s3) as connector:
        records, tallies = scanned(connector, decided)
    hides = decided.due[0]
    assert decided.reason(hides).action is Action.TOMBSTONE
    assert tallies[hides].count == 1
    assert {record.key[0] for record in records} == {"current", "replaced"}


def test_a_closure_takes_versions_and_markers(moto_s3: str, behind: Behind) -> None:
    dataset = replace(PAYLOADS, key_pattern="{account}/{name}", account_field="account")
    behind.put("acct-1/a", YOUNG)
    behind.hide("acct-1/a")
    behind.put("acct-10/a", YOUNG)
    decided = closure_cases("acct-1")
    with opened(moto_s3) as connector:
        records, _ = scanned(connector, decided, dataset)
        order = ordered(decided, records, dataset=dataset)
        assert list(connector.act(order).outcomes) == [Outcome.DONE, Outcome.DONE]
    assert behind.versions("acct-1/a") == set()
    assert behind.with_data() == {"acct-10/a"}


def test_named_cases_hand_out_everything(moto_s3: str, behind: Behind) -> None:
    behind.put("a")
    behind.hide("a")
    with opened(moto_s3) as connector:
        records, _ = scanned(connector, named_cases())
    assert [record.place for record in records] == ["noncurrent", "marker"]


def test_what_the_key_does_not_tell_is_undetermined(moto_s3: str, behind: Behind) -> None:
    dataset = replace(
        PAYLOADS,
        clock=ClockSource(ClockFormat.PATTERN, field="date"),
        key_pattern="{account}/{date:%Y/%m/%d}/{name}",
        account_field="account",
    )
    for key in ("acct/2020/02/29/ok", "acct/2021/02/29/no-such-day", "acct/1970/01/01/zero", "acct/later", "//x"):
        behind.put(key)
    decided = cases(dataset=dataset)
    with opened(moto_s3) as connector:
        records, tallies = scanned(connector, decided, dataset)
    assert [(record.key, record.account) for record in records] == [(("acct/2020/02/29/ok",), "acct")]
    assert counted(tallies, decided, "clock-unreadable") == 3
    assert counted(tallies, decided, "clock-out-of-range") == 1


def test_a_key_without_an_owner_is_undetermined(moto_s3: str, behind: Behind) -> None:
    dataset = replace(PAYLOADS, key_pattern="{account}/{name}", account_field="account")
    behind.put("no-owner", OLD)
    decided = cases(dataset=dataset)
    with opened(moto_s3) as connector:
        records, tallies = scanned(connector, decided, dataset)
    assert records == []
    assert counted(tallies, decided, "owner-unreadable") == 1


def test_a_newer_version_that_looks_older_hides_no_earlier_than_the_older_was_stored() -> None:
    reader = RecordReader(PAYLOADS)
    newer = Version("k", "2", 100, 1, latest=True, marker=False, exact=True)
    older = Version("k", "1", 500, 1, latest=False, marker=False, exact=True)
    assert [record.tombstoned for record in reader.records([newer, older])] == [None, 500]


def test_hidden_since_nobody_knows_when_is_undetermined() -> None:
    newer = Version("k", "2", None, 1, latest=True, marker=True, exact=True)
    older = Version("k", "1", 500, 1, latest=False, marker=False, exact=True)
    assert [record.clock for record in RecordReader(PAYLOADS).records([newer, older])] == [None, None]


def test_windows_are_bounded(moto_s3: str, behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retentiond.connectors.s3.scanning.WINDOW", 4)
    for number in range(10):
        behind.put(f"key-{number}", OLD)
    decided = cases()
    with opened(moto_s3) as connector:
        windows = list(connector.scan(PAYLOADS, decided, frozenset(decided.due)))
    assert [len(window.found) for window in windows] == [4, 4, 2]


def test_only_the_prefix_is_read(moto_s3: str, behind: Behind) -> None:
    dataset = replace(PAYLOADS, prefix="in/")
    for key in ("in/a", "in", "inn/b", "In/c", "out/in/d"):
        behind.put(key, OLD)
    with opened(moto_s3) as connector:
        records, _ = scanned(connector, cases(), dataset)
    assert [record.key for record in records] == [("in/a",)]


def test_a_time_that_cannot_be_read_is_undetermined(behind: Behind, proxy: Proxy) -> None:
    behind.put("broken", OLD)

    def blur(request: Request, forward: Forward) -> Reply | None:
        reply = forward(request)
        body = reply.body.replace(b"<LastModified>", b"<LastModified>about ")
        return Reply(reply.status, body, reply.headers)

    proxy.script = blur
    decided = cases()
    with opened(proxy.url) as connector:
        records, tallies = scanned(connector, decided)
    assert records == []
    assert counted(tallies, decided, "clock-unreadable") == 1


def test_a_key_that_xml_may_have_changed_is_never_handed_out(moto_s3: str, behind: Behind) -> None:
    # This server does not encode keys in listings, so a carriage return arrives as a line feed.
    behind.put("carriage\rreturn", OLD)
    behind.put("plain", OLD)
    with opened(moto_s3) as connector:
        records, tallies = scanned(connector, cases())
    assert [record.key for record in records] == [("plain",)]
    assert tallies[-1].count == 1


def test_versions_from_before_versioning_are_records_too(moto_s3: str) -> None:
    behind = Behind("older-bucket")
    behind.make(versioning="")
    behind.put("key", timedelta(days=60))
    behind._backend.put_bucket_versioning(behind.name, "Enabled")
    behind.put("key", OLD)
    decided = cases()
    with opened(moto_s3, bucket=behind.name, page=1_000) as connector:
        records, _ = scanned(connector, decided)
        assert [record.version == b"null" for record in records] == [True, False]
        order = ordered(decided, records)
        connector.act(order)
        assert set(connector.verify(order).sightings) == {Sighting.ABSENT}


def test_a_clock_that_objects_do_not_have_is_refused(moto_s3: str, behind: Behind) -> None:
    assert behind.name
    odd = [
        replace(PAYLOADS, clock=ClockSource(ClockFormat.UNIX_SECONDS, column="created_at")),
        replace(PAYLOADS, clock=ClockSource(ClockFormat.PATTERN, field="date")),
        replace(PAYLOADS, clock=ClockSource(ClockFormat.PATTERN, field="date"), key_pattern="{name}"),
        replace(PAYLOADS, key_pattern="{"),
        replace(PAYLOADS, account_field="account"),
    ]
    with opened(moto_s3) as connector:
        for dataset in odd:
            with pytest.raises(DatasetRefused) as raised:
                connector.scan(dataset, cases(), frozenset())
            assert raised.value.remedy
            assert any(finding.refuses for finding in connector.survey(dataset).findings)


def test_times_keep_their_seconds(moto_s3: str, behind: Behind) -> None:
    behind.put("key", timedelta(days=3))
    with opened(moto_s3) as connector:
        (record,) = connector.find(PAYLOADS, "key")
    assert record.clock is not None
    assert abs(micros(SystemClock().now()) - record.clock - 3 * 86_400 * 1_000_000) < 600 * 1_000_000
