"""Bringing files back: without overwriting, to directories that are there, and finished where it was cut short."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest

from retentiond.connectors.files import tree
from retentiond.domain.condition import ALWAYS
from retentiond.domain.decision import hidden_since, undo_cases
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import micros
from retentiond.ports.stores import Order
from tests.connectors.files.disk import NOW, STAMP, YOUNG, Disk

pytestmark = pytest.mark.usefixtures("_both_renames")


def hidden(disk: Disk, *paths: str) -> Order:
    """Hide files, and give the order to bring them back."""
    for path in paths:
        disk.put(path)
    asked = disk.hiding()
    assert set(disk.act(asked).outcomes) == {Outcome.DONE}
    cases = hidden_since(undo_cases(ALWAYS, None), (micros(NOW),))
    return replace(asked, action=Action.RESTORE, cases=cases, case=cases.due[0])


def test_files_come_back_and_the_quarantine_is_left_empty(disk: Disk) -> None:
    asked = hidden(disk, "exports/a/1", "exports/a/2", "exports/b")
    assert list(disk.act(asked).outcomes) == [Outcome.DONE] * 3
    assert disk.files() == {"exports/a/1", "exports/a/2", "exports/b"}
    assert disk.directories() == {"exports", "exports/a", ".quarantine"}


def test_a_file_that_is_written_after_the_look_is_not_overwritten(disk: Disk) -> None:
    asked = hidden(disk, "exports/a")
    asked = replace(asked, fence=lambda: disk.put("exports/a", YOUNG, b"anew") and None)
    acted = disk.act(asked)
    assert list(acted.outcomes) == [Outcome.CHANGED]
    assert "another file" in acted.reasons[0]
    assert (disk.root / "exports/a").read_bytes() == b"anew"
    assert disk.files() == {"exports/a", f".quarantine/{STAMP}/exports/a"}
    assert list(disk.verify(asked).sightings) == [Sighting.CHANGED]


def test_a_link_or_a_directory_in_its_place_is_no_file_that_is_there(disk: Disk) -> None:
    asked = hidden(disk, "exports/a", "exports/b")
    (disk.root / "exports/a").symlink_to(disk.outside)
    (disk.root / "exports/b").mkdir()
    assert list(disk.act(asked).outcomes) == [Outcome.CHANGED] * 2
    shutil.rmtree(disk.root / ".quarantine")
    assert list(disk.act(asked).outcomes) == [Outcome.CHANGED] * 2
    assert list(disk.verify(asked).sightings) == [Sighting.CHANGED] * 2


def test_a_directory_that_is_not_there_any_more_is_asked_for(disk: Disk) -> None:
    asked = hidden(disk, "exports/a/1")
    (disk.root / "exports/a").rmdir()
    acted = disk.act(asked)
    assert (list(acted.outcomes), "make it" in acted.reasons[0]) == ([Outcome.REFUSED], True)
    assert list(disk.verify(asked).sightings) == [Sighting.DUE]
    (disk.root / "exports/a").mkdir()
    assert list(disk.act(asked).outcomes) == [Outcome.DONE]


def test_a_directory_that_became_a_link_leads_nowhere(disk: Disk) -> None:
    asked = hidden(disk, "exports/a/1")
    (disk.root / "exports/a").rmdir()
    (disk.root / "exports/a").symlink_to(disk.outside)
    assert list(disk.act(asked).outcomes) == [Outcome.REFUSED]
    assert list(disk.verify(asked).sightings) == [Sighting.UNKNOWN]
    assert list(disk.outside.iterdir()) == []


def test_what_was_cut_short_between_two_names_is_finished(disk: Disk) -> None:
    asked = hidden(disk, "exports/a")
    os.link(disk.root / f".quarantine/{STAMP}/exports/a", disk.root / "exports/a")
    assert list(disk.verify(asked).sightings) == [Sighting.CHANGED]
    assert list(disk.act(asked).outcomes) == [Outcome.DONE]
    assert disk.files() == {"exports/a"}
    assert list(disk.verify(asked).sightings) == [Sighting.VISIBLE]


def test_a_file_whose_purge_has_begun_stays_on_its_way_out(disk: Disk) -> None:
    asked = hidden(disk, "exports/a")
    leaving = disk.root / f".quarantine/{STAMP}/exports/.retentiond-leaving"
    leaving.mkdir()
    (disk.root / f".quarantine/{STAMP}/exports/a").rename(leaving / "a")
    assert list(disk.act(asked).outcomes) == [Outcome.CHANGED]
    assert list(disk.verify(asked).sightings) == [Sighting.CHANGED]


def test_of_two_that_were_hidden_under_one_path_the_order_tells_which(disk: Disk) -> None:
    asked = hidden(disk, "exports/a")
    earlier = disk.root / ".quarantine/20261101T000000Z/exports"
    earlier.mkdir(parents=True)
    (earlier / "a").write_bytes(b"an earlier one")
    assert list(disk.act(asked).outcomes) == [Outcome.DONE]
    assert (disk.root / "exports/a").read_bytes() == b"prompt"
    assert disk.files() == {"exports/a", ".quarantine/20261101T000000Z/exports/a"}


def test_what_a_disk_did_not_make_durable_is_not_called_back(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = hidden(disk, "exports/a")

    def fail(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(tree.os, "fsync", fail)
    acted = disk.act(asked)
    assert list(acted.outcomes) == [Outcome.UNKNOWN]
    assert "power cut" in acted.reasons[0]
