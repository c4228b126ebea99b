"""Stores that are not there, options that are wrong, and permissions that are missing."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from retentiond.connectors.files import connector as kind
from retentiond.connectors.files import leaving
from retentiond.domain.dataset import ClockFormat, ClockSource, Store, TombstoneTarget
from retentiond.domain.owner import OwnerSource
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.errors import ConnectorError
from retentiond.evidence.levels import EvidenceLevel
from retentiond.ports.stores import Order
from tests.connectors.files.disk import NOW, STAMP, YOUNG, Disk, mount, unprivileged


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"root": "nothing"}, "no such file"),
        ({"root": "file"}, "not a directory"),
        ({"root": "nul\0"}, "null"),
        ({"root": ""}, "at least 1"),
        ({}, "required"),
        ({"root": "root", "follow": True}, "not permitted"),
        ({"root": 7}, "string"),
    ],
)
def test_a_root_that_cannot_be_opened_says_what_to_do(disk: Disk, options: dict[str, Any], said: str) -> None:
    (disk.base / "file").write_bytes(b"")
    with pytest.raises(ConnectorError) as raised:
        kind.open(Store("disk", "files", options), disk.base)
    assert said in str(raised.value).lower()
    assert raised.value.where
    assert raised.value.remedy


def test_a_root_that_may_not_be_listed_says_what_to_do(disk: Disk) -> None:
    disk.root.chmod(0o700)
    if os.geteuid() != 0:
        disk.root.chmod(0o000)
    with unprivileged(), pytest.raises(ConnectorError, match="permission denied") as raised:
        disk.connect()
    disk.root.chmod(0o755)
    assert raised.value.remedy


def test_the_root_may_be_named_absolutely_or_through_a_link(disk: Disk) -> None:
    disk.put("exports/a")
    (disk.base / "link").symlink_to(disk.root)
    for root in (os.fspath(disk.root), "link", "./outside/../root/"):
        opened = kind.open(Store("disk", "files", {"root": root}), disk.base)
        assert len(opened.find(disk.dataset, "exports/a")) == 1
        opened.close()


def test_a_system_without_openat_is_refused(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "supports_dir_fd", set())
    with pytest.raises(ConnectorError, match="relative to an open directory") as raised:
        disk.connect()
    assert "Windows" in raised.value.remedy


@pytest.mark.parametrize("hide", [False, True])
def test_a_directory_that_may_not_be_changed_keeps_its_files(disk: Disk, *, hide: bool) -> None:
    disk.put("exports/closed/a").parent.chmod(0o555)
    disk.put("exports/open/b").parent.chmod(0o777)
    (disk.root / ".quarantine").mkdir()
    (disk.root / ".quarantine").chmod(0o777)
    order = disk.hiding() if hide else disk.order()
    with unprivileged():
        acted = disk.act(order)
        sightings = list(disk.verify(order).sightings)
    assert list(acted.outcomes) == [Outcome.REFUSED, Outcome.DONE]
    assert acted.reasons == {0: "permission denied"}
    assert sightings == [Sighting.DUE, Sighting.HIDDEN if hide else Sighting.ABSENT]
    assert "exports/closed/a" in disk.files()
    assert "exports/open/b" not in disk.files()


def test_a_sticky_directory_protects_the_files_of_others(disk: Disk) -> None:
    disk.put("exports/a").parent.chmod(0o1777)
    order = disk.order()
    if os.geteuid() == 0:
        with unprivileged():
            acted = disk.act(order)
        assert list(acted.outcomes) == [Outcome.REFUSED]
        assert disk.files() == {"exports/a"}
    assert list(disk.act(order).outcomes) == [Outcome.DONE]


def test_a_directory_that_may_not_be_searched_is_unknown_and_not_absent(disk: Disk) -> None:
    disk.put("exports/closed/a")
    order = disk.order()
    disk.act(order)
    (disk.root / "exports/closed").chmod(0o000)
    with unprivileged():
        assert list(disk.verify(order).sightings) == [Sighting.UNKNOWN]
        assert list(disk.act(order).outcomes) == [Outcome.REFUSED]
    (disk.root / "exports/closed").chmod(0o755)
    assert list(disk.verify(order).sightings) == [Sighting.ABSENT]


@pytest.mark.parametrize(("code", "outcome"), [(errno.EIO, Outcome.UNKNOWN), (errno.EROFS, Outcome.REFUSED)])
def test_a_removal_that_fails_half_way_is_found_again(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, code: int, outcome: Outcome
) -> None:
    disk.put("exports/a")
    order = disk.order()

    def failing(*_args: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(leaving, "take", failing)
        assert list(disk.act(order).outcomes) == [outcome]
        assert disk.files() == {"exports/a"}
    with monkeypatch.context() as patch:
        patch.setattr(leaving.WayOut, "let_go", failing)
        assert list(disk.act(order).outcomes) == [Outcome.UNKNOWN]
        assert disk.files() == {"exports/.retentiond-leaving/a"}
    assert list(disk.verify(order).sightings) == [Sighting.DUE]
    assert list(disk.act(order).outcomes) == [Outcome.DONE]
    assert (disk.files(), list(disk.verify(order).sightings)) == (set(), [Sighting.ABSENT])


@pytest.mark.parametrize("failing", ["exports", "exports/.retentiond-leaving"])
def test_a_removal_that_is_not_durable_is_unknown(disk: Disk, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    disk.put("exports/a")
    order = disk.order()
    (disk.root / "exports/.retentiond-leaving").mkdir()
    inode = (disk.root / failing).stat().st_ino
    fsync = os.fsync

    def fails(fd: int) -> None:
        if os.fstat(fd).st_ino == inode:
            raise OSError(errno.EIO, "Input/output error")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", fails)
    acted = disk.act(order)
    assert list(acted.outcomes) == [Outcome.UNKNOWN]
    assert "power cut" in acted.reasons[0]


@pytest.mark.parametrize("failing", ["exports", f".quarantine/{STAMP}/exports"])
def test_a_tombstone_that_is_not_durable_is_unknown(disk: Disk, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    disk.put("exports/a")
    order = disk.hiding()
    (disk.root / f".quarantine/{STAMP}/exports").mkdir(parents=True)
    inode = (disk.root / failing).stat().st_ino
    fsync = os.fsync

    def fails(fd: int) -> None:
        if os.fstat(fd).st_ino == inode:
            raise OSError(errno.EIO, "Input/output error")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", fails)
    assert list(disk.act(order).outcomes) == [Outcome.UNKNOWN]


@pytest.mark.parametrize("action", [Action.REDACT, Action.PSEUDONYMISE])
def test_what_files_cannot_do_is_refused(disk: Disk, action: Action) -> None:
    disk.put("exports/a")
    plain = disk.order()
    order = Order(plain.dataset, action, plain.cases, plain.case, plain.records, NOW, lambda: None)
    acted = disk.act(order)
    assert (list(acted.outcomes), 0 in acted.reasons) == ([Outcome.REFUSED], True)
    assert disk.files() == {"exports/a"}


def test_hiding_without_a_quarantine_is_refused(disk: Disk) -> None:
    disk.put("exports/a")
    order = disk.hiding()
    undeclared = disk.declare(tombstone=None)
    asked = Order(undeclared, order.action, order.cases, order.case, order.records, NOW, lambda: None)
    assert list(disk.act(asked).outcomes) == [Outcome.REFUSED]
    assert disk.files() == {"exports/a"}


def test_a_hidden_file_keeps_its_bytes_its_clock_and_a_private_directory(disk: Disk) -> None:
    before = disk.put("exports/day/a", content=b"bytes").stat()
    disk.act(disk.hiding())
    hidden = disk.root / f".quarantine/{STAMP}/exports/day/a"
    assert hidden.read_bytes() == b"bytes"
    assert (hidden.stat().st_mtime_ns, hidden.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert (disk.root / ".quarantine").stat().st_mode & 0o777 == 0o700
    assert (disk.root / "exports/day").is_dir()


def test_the_quarantine_of_a_time_is_removed_when_it_is_empty_and_nothing_else_is(disk: Disk) -> None:
    disk.put("exports/day/a")
    disk.put("exports/day/b")
    disk.act(disk.hiding())
    order = disk.after_grace()
    disk.act(disk.order(order.records[:1], cases=order.cases))
    assert f".quarantine/{STAMP}/exports/day" in disk.directories()
    disk.act(order)
    assert disk.directories() == {"exports", "exports/day", ".quarantine"}


def test_a_file_hidden_since_the_plan_is_not_called_gone(disk: Disk) -> None:
    disk.put("exports/a")
    purge = disk.order()
    disk.act(disk.hiding())
    assert list(disk.act(purge).outcomes) == [Outcome.CHANGED]
    assert list(disk.verify(purge).sightings) == [Sighting.DUE]


def test_a_file_brought_back_since_the_plan_is_not_called_gone(disk: Disk) -> None:
    disk.put("exports/a")
    disk.act(disk.hiding())
    purge = disk.after_grace()
    (disk.root / f".quarantine/{STAMP}/exports/a").rename(disk.root / "exports/a")
    assert list(disk.act(purge).outcomes) == [Outcome.CHANGED]
    assert list(disk.verify(purge).sightings) == [Sighting.CHANGED]


def test_an_older_hidden_file_of_the_same_path_is_another_record(disk: Disk) -> None:
    disk.put("exports/a", content=b"the first")
    disk.act(disk.hiding())
    disk.put("exports/a", 35, b"the second")
    cases = disk.cases()
    live = [record for record in disk.due(cases) if not record.place]
    order = disk.order(live)
    assert list(disk.act(order).outcomes) == [Outcome.DONE]
    assert list(disk.verify(order).sightings) == [Sighting.ABSENT]
    assert disk.files() == {f".quarantine/{STAMP}/exports/a"}


def test_evidence_names_the_file_system_and_claims_no_more_than_deleted(disk: Disk) -> None:
    disk.put("exports/a")
    order = disk.order()
    disk.act(order)
    verified = disk.verify(order)
    assert verified.position is not None
    assert verified.position["inode"] == disk.root.stat().st_ino
    assert disk.connect().settle(disk.dataset) is EvidenceLevel.DELETED
    assert {remnant.what for remnant in disk.connect().remnants(disk.dataset)} == {
        "freed disk blocks",
        "snapshots of the file system",
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"clock": ClockSource()}, "no columns to read its clock"),
        ({"clock": ClockSource(ClockFormat.PATTERN, field="day")}, "no time 'day'"),
        ({"owners": (OwnerSource("account_id"),)}, "no columns to read its owner"),
        ({"account_field": "account"}, "no part 'account'"),
        ({"attributes": {"tier": "tier"}}, "no part 'tier'"),
        ({"key_pattern": "exports/{a}{b}"}, "nothing stands between"),
        ({"tombstone": TombstoneTarget(column="deleted_at")}, "no column or marker"),
        ({"tombstone": TombstoneTarget(marker=True)}, "no column or marker"),
        ({"tombstone": TombstoneTarget(directory="../elsewhere")}, "not a relative path"),
        ({"tombstone": TombstoneTarget(directory="/")}, "not a relative path"),
        ({"tombstone": TombstoneTarget(directory="exports")}, "the dataset's own files"),
        ({"tombstone": TombstoneTarget(directory=".retentiond-leaving")}, "uses itself"),
        ({"prefix": "nothing/"}, "not there"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_dataset_that_cannot_work_is_refused_with_a_remedy(disk: Disk, changes: dict[str, Any], said: str) -> None:
    disk.put("exports/a")
    disk.declare(**changes)
    (finding,) = disk.connect().survey(disk.dataset).findings
    assert said in finding.what
    assert finding.refuses
    assert finding.remedy
    with pytest.raises(ConnectorError):
        disk.due()


@pytest.mark.parametrize("made", [False, True])
def test_a_quarantine_that_cannot_be_written_to_is_refused(disk: Disk, *, made: bool) -> None:
    disk.put("exports/a")
    (disk.root / "exports").chmod(0o777)
    order = disk.hiding()
    if made:
        (disk.root / ".quarantine").mkdir(mode=0o555)
    disk.root.chmod(0o555)
    with unprivileged():
        findings = disk.connect().survey(disk.dataset).findings
        acted = disk.act(order)
    disk.root.chmod(0o755)
    assert [(finding.refuses, bool(finding.remedy)) for finding in findings] == [(True, True)]
    assert list(acted.outcomes) == [Outcome.REFUSED]
    assert disk.files() == {"exports/a"}


def test_a_quarantine_that_is_a_link_is_refused(disk: Disk) -> None:
    disk.put("exports/a")
    order = disk.hiding()
    (disk.root / ".quarantine").symlink_to(disk.outside)
    (finding,) = disk.connect().survey(disk.dataset).findings
    assert finding.refuses
    with pytest.raises(ConnectorError, match="symbolic link"):
        disk.act(order)
    assert list(disk.verify(order).sightings) == [Sighting.UNKNOWN]
    assert list(disk.outside.iterdir()) == []


def test_directories_without_the_right_to_remove_are_counted(disk: Disk) -> None:
    for name in ("a", "b", "c"):
        disk.put(f"exports/{name}/1").parent.chmod(0o777)
    disk.declare(tombstone=None)
    (disk.root / "exports/b").chmod(0o755)
    (disk.root / "exports/c").chmod(0o555)
    if os.geteuid() != 0:
        (disk.root / "exports/b").chmod(0o555)
    with unprivileged():
        (finding,) = disk.connect().survey(disk.dataset).findings
    assert "2 of 3 directories" in finding.what
    assert finding.where.endswith("exports/b")
    assert finding.refuses is False


def test_what_was_cut_off_is_noted(disk: Disk) -> None:
    disk.put("exports/.retentiond-leaving/a", YOUNG)
    assert any("1 files stand in .retentiond-leaving" in note for note in disk.connect().survey(disk.dataset).notes)


def test_unmapped_names_what_holds_files_and_nothing_else(disk: Disk) -> None:
    for path in ("exports/2026/a", "exports/2026-b", "exports/2027/a", "imports/a", "top", "ignored/a"):
        disk.put(path)
    (disk.root / "empty/deeper").mkdir(parents=True)
    (disk.root / "link").symlink_to(disk.outside)
    disk.put(b"\xff\n/a")
    disk.act(disk.hiding())
    disk.put("exports/2026/a")
    disk.put("exports/2027/a")
    dataset = disk.declare(prefix="exports/2026")
    names = list(disk.connect().unmapped([dataset], lambda name: name.startswith("ignored")))
    assert names == ["exports/2027/", "imports/", "link", "top", "\\xff\n/"]


def test_unmapped_never_takes_the_unreadable_for_empty(disk: Disk) -> None:
    (disk.root / "closed").mkdir(mode=0o700)
    if os.geteuid() != 0:
        (disk.root / "closed").chmod(0o000)
    with unprivileged():
        names = list(disk.connect().unmapped([disk.dataset], lambda _name: False))
    (disk.root / "closed").chmod(0o755)
    assert names == ["closed/"]


def test_unmapped_names_a_directory_that_holds_nothing_but_a_mount_point(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (disk.root / "data/mounted").mkdir(parents=True)
    mount(monkeypatch, disk.root / "data/mounted")
    assert list(disk.connect().unmapped([disk.dataset], lambda _name: False)) == ["data/"]


def test_a_dataset_of_another_store_covers_nothing_here(disk: Disk) -> None:
    disk.put("exports/a")
    elsewhere = disk.declare(store="another")
    assert list(disk.connect().unmapped([elsewhere], lambda _name: False)) == ["exports/"]


def test_more_directories_than_files_may_be_open(disk: Disk) -> None:
    for number in range(300):
        disk.put(f"exports/{number}/1")
    order = disk.order()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    try:
        assert set(disk.act(order).outcomes) == {Outcome.DONE}
        assert set(disk.verify(order).sightings) == {Sighting.ABSENT}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_paths_of_this_machine_are_relative_to_the_configuration(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(disk.base.parent)
    opened = kind.open(Store("disk", "files", {"root": "root"}), Path(disk.base.name))
    monkeypatch.chdir("/")
    disk.put("exports/a")
    assert len(opened.find(disk.dataset, "exports/a")) == 1
    opened.close()
