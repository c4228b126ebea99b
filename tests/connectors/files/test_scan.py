"""What a scan takes for a record, what it makes of clocks and owners, and that it never ends early unsaid."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from retentiond.connectors.files import walking
from retentiond.domain.dataset import ClockFormat, ClockSource, TombstoneTarget
from retentiond.domain.decision import Disposition
from retentiond.domain.record import Record, micros
from retentiond.errors import ConnectorError, DatasetRefused
from tests.connectors.files.disk import NOW, OLD, STAMP, TOMBSTONE, YOUNG, Disk, mount, unprivileged

PATTERN = "exports/{account}/{day:%Y-%m-%d}/{name}.json"


def keys(records: list[Record]) -> list[object]:
    return [record.key[0] for record in records]


def open_files() -> int:
    """Return how many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def by_pattern(disk: Disk, zone: str = "UTC") -> None:
    disk.declare(
        key_pattern=PATTERN,
        account_field="account",
        clock=ClockSource(ClockFormat.PATTERN, field="day", zone=zone),
        attributes={"kind": "name"},
    )


def test_records_come_directory_by_directory_in_the_order_of_names(disk: Disk) -> None:
    for path in ("b/2", "b/1", "a/z/1", "c", "a/9", "A"):
        disk.put(f"exports/{path}")
    assert keys(disk.due()) == [f"exports/{path}" for path in ("A", "c", "a/9", "a/z/1", "b/1", "b/2")]


def test_windows_are_bounded_and_complete(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "WINDOW_RECORDS", 4)
    for number in range(11):
        disk.put(f"exports/{number % 3}/{number}", OLD if number % 2 else YOUNG)
    cases = disk.cases()
    windows = list(disk.connect().scan(disk.dataset, cases, frozenset(cases.due)))
    assert [sum(tally.count for tally in window.tallies.values()) for window in windows] == [4, 4, 3]
    assert sum(len(window.found) for window in windows) == 5


def test_links_pipes_sockets_and_devices_are_no_records(disk: Disk) -> None:
    disk.put("exports/a")
    secret = disk.outside / "secret"
    secret.write_bytes(b"not ours")
    disk.age(secret, OLD)
    exports = disk.root / "exports"
    (exports / "link").symlink_to(secret)
    (exports / "linked").symlink_to(disk.outside)
    (exports / "dangling").symlink_to("nowhere")
    (exports / "loop").symlink_to("loop")
    os.mkfifo(exports / "pipe")
    with socket.socket(socket.AF_UNIX) as listener, tempfile.TemporaryDirectory() as short:
        listener.bind(f"{short}/s")
        Path(short, "s").rename(exports / "socket")
        for path in exports.iterdir():
            disk.age(path, OLD)
        assert keys(disk.due()) == ["exports/a"]
        notes = disk.connect().survey(disk.dataset).notes
    assert any("4 symbolic links" in note for note in notes)
    assert any("2 pipes, sockets or devices" in note for note in notes)
    assert list(disk.connect().find(disk.dataset, "exports/link")) == []


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["top", "exports/2026-01", "exports/2026/a", "exports/2027/a", "other/a"]),
        ("exports/", ["exports/2026-01", "exports/2026/a", "exports/2027/a"]),
        ("exports/2026", ["exports/2026-01", "exports/2026/a"]),
        ("exports/2026/", ["exports/2026/a"]),
        ("exports/none", []),
        ("ot", ["other/a"]),
    ],
)
def test_a_prefix_selects_paths_as_text_does(disk: Disk, prefix: str, expected: list[str]) -> None:
    for path in ("top", "exports/2026-01", "exports/2026/a", "exports/2027/a", "other/a"):
        disk.put(path)
    disk.declare(prefix=prefix)
    assert keys(disk.due()) == expected
    for path in ("top", "exports/2026-01", "exports/2026/a", "exports/2027/a", "other/a"):
        assert bool(disk.connect().find(disk.dataset, path)) == (path in expected)


@pytest.mark.parametrize("prefix", ["/exports/", "../outside/", "exports//", "exports/../../outside/", "./", "e\0/"])
def test_a_prefix_that_is_no_relative_path_is_refused(disk: Disk, prefix: str) -> None:
    disk.declare(prefix=prefix)
    with pytest.raises(DatasetRefused) as raised:
        disk.due()
    assert raised.value.remedy
    (finding,) = disk.connect().survey(disk.dataset).findings
    assert (finding.refuses, bool(finding.remedy)) == (True, True)


def test_owner_clock_and_attributes_come_from_the_path(disk: Disk) -> None:
    by_pattern(disk, "Europe/Berlin")
    disk.put("exports/acct-1/2026-10-01/chat.json", 0, b"12345")
    (record,) = disk.due()
    assert (record.account, record.size_bytes, record.attributes) == ("acct-1", 5, {"kind": "chat"})
    assert record.clock == micros(NOW.replace(month=10, day=1, hour=22, minute=0, second=0))  # 24:00 in Berlin


def test_what_cannot_be_told_is_counted_and_never_due(disk: Disk) -> None:
    by_pattern(disk)
    disk.put("exports/acct-1/2026-10-01/due.json")
    disk.put("exports/acct-1/2026-11-23/young.json")
    for path in (
        "acct-1/2026-13-01/a.json",
        "acct-1/2026-02-30/a.json",
        "acct-1/2026-10-01/a.txt",
        "acct-1/20261001/a.json",
        "acct-1/2026-10-01/deeper/a.json",
        "README",
    ):
        disk.put(f"exports/{path}")
    disk.put(b"exports/\xff/2026-10-01/a.json")
    disk.put("exports/acct-1/1970-01-01/a.json")
    disk.put("exports/acct-1/9998-01-01/a.json")
    assert keys(disk.due()) == ["exports/acct-1/2026-10-01/due.json"]
    assert disk.counted() == {
        "clock-unreadable": 7,
        "clock-out-of-range": 2,
        "within-retention-period": 1,
        "past-retention-period": 1,
    }


def test_an_owner_that_cannot_be_read_keeps_the_file(disk: Disk) -> None:
    disk.declare(key_pattern="exports/{account}/{name}", account_field="account")
    disk.put("exports/without-owner")
    assert disk.due() == []
    assert disk.counted() == {"owner-unreadable": 1}


@pytest.mark.parametrize("seconds", [0, -1, -(2**31), 2**33, 253_402_300_800])
def test_an_absurd_time_of_modification_is_no_age(disk: Disk, seconds: int) -> None:
    path = disk.put("exports/a")
    os.utime(path, (0, seconds))
    assert disk.due() == []
    assert disk.counted() == {"clock-out-of-range": 1}


def test_hidden_files_are_records_of_their_own_and_not_visible_ones(disk: Disk) -> None:
    disk.declare(prefix="")
    disk.put("exports/a")
    disk.act(disk.hiding())
    disk.put("exports/a", YOUNG)
    assert disk.counted(disk.cases(TOMBSTONE)) == {"within-retention-period": 2}
    live, hidden = disk.connect().find(disk.dataset, "exports/a")
    assert (live.place, live.tombstoned) == ("", None)
    assert (hidden.place, hidden.tombstoned) == (f".quarantine/{STAMP}", micros(NOW))


def test_files_that_another_dataset_hides_are_nobody_elses(disk: Disk) -> None:
    mine = replace(disk.dataset, tombstone=None)
    disk.put("exports/2026/a")
    disk.declare(prefix="exports/2026/", tombstone=TombstoneTarget(directory="exports/hidden"))
    disk.act(disk.hiding())
    disk.dataset = replace(mine, prefix="exports/")
    assert disk.files() == {f"exports/hidden/{STAMP}/exports/2026/a"}
    assert disk.due() == []
    assert list(disk.connect().find(disk.dataset, f"exports/hidden/{STAMP}/exports/2026/a")) == []
    assert any("quarantine" in finding.what for finding in disk.connect().survey(disk.dataset).findings)


def test_two_datasets_may_share_a_quarantine(disk: Disk) -> None:
    disk.put("exports/a")
    disk.put("imports/a")
    disk.act(disk.hiding())
    disk.declare(prefix="imports/")
    disk.act(disk.hiding())
    assert keys(list(disk.after_grace().records)) == ["imports/a"]


def test_what_else_stands_in_the_quarantine_is_no_record(disk: Disk) -> None:
    for path in ("strange", "20261332T000000Z/exports/a", "2026/exports/a"):
        disk.put(f".quarantine/{path}")
    assert disk.due() == []
    (finding,) = disk.connect().survey(disk.dataset).findings
    assert "3 entries" in finding.what


def test_a_directory_that_vanishes_during_a_scan_is_passed_over(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "WINDOW_RECORDS", 1)
    disk.put("exports/a/1")
    gone = disk.put("exports/b/1")
    disk.put("exports/c/1")
    cases = disk.cases()
    windows = disk.connect().scan(disk.dataset, cases, frozenset(cases.due))
    seen = [next(windows)]
    gone.unlink()
    gone.parent.rmdir()
    seen.extend(windows)
    assert [found.record.key[0] for window in seen for found in window.found] == ["exports/a/1", "exports/c/1"]


def test_a_directory_swapped_for_a_link_during_a_scan_is_not_followed(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "WINDOW_RECORDS", 1)
    disk.put("exports/a/1")
    disk.put("exports/b/1")
    cases = disk.cases()
    windows = disk.connect().scan(disk.dataset, cases, frozenset(cases.due))
    seen = [next(windows)]
    (disk.root / "exports/b").rename(disk.outside / "b")
    (disk.root / "exports/b").symlink_to(disk.outside / "b")
    seen.extend(windows)
    assert [found.record.key[0] for window in seen for found in window.found] == ["exports/a/1"]


def test_a_scan_that_is_given_up_leaves_nothing_open(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "WINDOW_RECORDS", 1)
    for name in "abc":
        disk.put(f"exports/{name}/1")
    connector = disk.connect()
    cases = disk.cases()
    before = open_files()
    windows = connector.scan(disk.dataset, cases, frozenset())
    next(windows)
    windows.close()  # type: ignore[attr-defined]
    assert open_files() == before


def test_an_act_and_a_look_leave_nothing_open(disk: Disk) -> None:
    for number in range(100):
        disk.put(f"exports/{number}/1")
    connector = disk.connect()
    hiding = disk.hiding()
    order = disk.order()
    before = open_files()
    connector.act(hiding)
    connector.verify(hiding)
    connector.act(order)
    connector.verify(order)
    connector.survey(disk.dataset)
    list(connector.unmapped([disk.dataset], lambda _name: False))
    connector.find(disk.dataset, "exports/1/1")
    assert open_files() == before


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_listing_that_breaks_off_is_an_error_and_no_end(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    disk.put("exports/a/1")
    disk.put("exports/b/1")
    scandir = os.scandir
    calls: list[int] = []

    def breaking(fd: int) -> object:
        calls.append(fd)
        if len(calls) == 3:
            raise OSError(code, os.strerror(code))
        return scandir(fd)

    monkeypatch.setattr(os, "scandir", breaking)
    with pytest.raises(ConnectorError) as raised:
        disk.due()
    assert raised.value.where.endswith("exports/b")
    assert raised.value.remedy
    assert raised.value.transient == (code == errno.ESTALE)


def test_a_file_that_cannot_be_looked_at_is_an_error(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.put("exports/a")

    def failing(_directory: int, _name: bytes) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(walking, "look", failing)
    with pytest.raises(ConnectorError):
        disk.due()


def test_a_mount_point_is_not_crossed_and_is_a_finding(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.put("exports/a")
    order_of_both = disk.order([*disk.due(), Record(("exports/mounted/b",))])
    disk.put("exports/mounted/b")
    mount(monkeypatch, disk.root / "exports/mounted")
    assert keys(disk.due()) == ["exports/a"]
    (finding,) = disk.connect().survey(disk.dataset).findings
    assert "mount point" in finding.what
    assert finding.where.endswith("exports/mounted")
    acted = disk.act(order_of_both)
    assert [each.value for each in acted.outcomes] == ["done", "refused"]
    assert [each.value for each in disk.verify(order_of_both).sightings] == ["absent", "unknown"]
    assert disk.files() == {"exports/mounted/b"}


def test_a_dataset_that_is_a_mount_point_says_what_to_do(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.put("exports/a")
    mount(monkeypatch, disk.root / "exports")
    with pytest.raises(ConnectorError, match="mount point"):
        disk.due()
    (finding,) = disk.connect().survey(disk.dataset).findings
    assert (finding.refuses, "root of a store" in finding.remedy) == (True, True)


def test_a_dataset_that_is_a_symbolic_link_says_what_to_do(disk: Disk) -> None:
    (disk.root / "exports").rename(disk.outside / "exports")
    (disk.root / "exports").symlink_to(disk.outside / "exports")
    with pytest.raises(ConnectorError, match="symbolic link") as raised:
        disk.due()
    assert "not followed" in raised.value.remedy


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o400])
def test_a_directory_that_may_not_be_listed_or_searched_is_an_error(disk: Disk, mode: int) -> None:
    disk.put("exports/closed/a").parent.chmod(mode)
    with unprivileged():
        with pytest.raises(ConnectorError) as raised:
            disk.due()
        survey = disk.connect().survey(disk.dataset)
    assert "permission denied" in raised.value.what
    assert raised.value.where.endswith("exports/closed")
    assert raised.value.remedy
    assert raised.value.transient is False
    assert any(finding.refuses for finding in survey.findings)


def test_only_the_end_of_its_grace_makes_a_hidden_file_due(disk: Disk) -> None:
    disk.put("exports/a")
    disk.act(disk.hiding())
    for later_days, due in ((4, 0), (5, 0), (6, 1)):
        cases = disk.cases(TOMBSTONE, later_days=later_days)
        found = disk.due(cases)
        assert len(found) == due
        assert all(cases.reason(each).disposition is not Disposition.KEEP for each in cases.due)
