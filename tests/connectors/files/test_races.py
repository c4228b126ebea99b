"""Somebody else changes the tree between the scan, the look, the move and the removal."""

from __future__ import annotations

import os

import pytest

from retentiond.connectors.files import leaving
from retentiond.connectors.files.tree import take
from retentiond.domain.plan import Outcome, Sighting
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Order
from tests.connectors.files.disk import OLD, STAMP, YOUNG, Disk

pytestmark = pytest.mark.usefixtures("_both_renames")


@pytest.mark.parametrize("age_days", [YOUNG, OLD])
@pytest.mark.parametrize("hide", [False, True])
def test_a_file_that_is_replaced_after_the_look_is_put_back(disk: Disk, *, age_days: int, hide: bool) -> None:
    path = disk.put("exports/a")

    def replace() -> None:
        disk.put("exports/incoming", age_days, b"answer").rename(path)

    order = disk.hiding(replace) if hide else disk.order(fence=replace)
    acted = disk.act(order)
    assert list(acted.outcomes) == [Outcome.CHANGED]
    assert "put back" in acted.reasons[0]
    assert path.read_bytes() == b"answer"
    assert disk.files() == {"exports/a"}


def test_a_file_that_is_written_to_after_the_look_is_put_back(disk: Disk) -> None:
    path = disk.put("exports/a")

    def write() -> None:
        with path.open("ab") as file:
            file.write(b" and more")

    assert list(disk.act(disk.order(fence=write)).outcomes) == [Outcome.CHANGED]
    assert path.read_bytes() == b"prompt and more"


def test_what_cannot_be_put_back_is_kept_and_never_called_gone(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = disk.put("exports/a")
    order = disk.order(fence=lambda: disk.put("exports/incoming", YOUNG, b"second").replace(path) and None)

    def take_and_refill(source: int, name: bytes, target: int) -> None:
        take(source, name, target)
        disk.put("exports/a", YOUNG, b"third")

    monkeypatch.setattr(leaving, "take", take_and_refill)
    acted = disk.act(order)
    assert list(acted.outcomes) == [Outcome.UNKNOWN]
    assert ".retentiond-leaving" in acted.reasons[0]
    assert path.read_bytes() == b"third"
    assert (path.parent / ".retentiond-leaving" / "a").read_bytes() == b"second"
    assert list(disk.verify(order).sightings) == [Sighting.CHANGED]


def test_a_file_that_vanishes_after_the_look_is_already_gone(disk: Disk) -> None:
    path = disk.put("exports/a")
    order = disk.order(fence=path.unlink)
    assert list(disk.act(order).outcomes) == [Outcome.ALREADY_GONE]
    assert list(disk.verify(order).sightings) == [Sighting.ABSENT]
    assert disk.directories() == {"exports"}


def test_a_file_replaced_by_a_symbolic_link_is_left_with_what_it_points_to(disk: Disk) -> None:
    path = disk.put("exports/a")
    secret = disk.outside / "a"
    order = disk.order()
    path.rename(secret)
    path.symlink_to(secret)
    disk.age(path, OLD)
    assert list(disk.act(order).outcomes) == [Outcome.CHANGED]
    assert list(disk.verify(order).sightings) == [Sighting.CHANGED]
    assert (path.is_symlink(), secret.read_bytes()) == (True, b"prompt")


def test_a_symbolic_link_that_appears_after_the_look_is_put_back(disk: Disk) -> None:
    path = disk.put("exports/a")
    secret = disk.outside / "a"
    order = disk.order(fence=lambda: path.rename(secret).exists() and path.symlink_to(secret))
    assert list(disk.act(order).outcomes) == [Outcome.CHANGED]
    assert (path.is_symlink(), secret.read_bytes()) == (True, b"prompt")


@pytest.mark.parametrize("depth", ["exports/day", "exports"])
@pytest.mark.parametrize("hide", [False, True])
def test_a_directory_swapped_for_a_symbolic_link_leads_nowhere(disk: Disk, depth: str, *, hide: bool) -> None:
    disk.put("exports/day/a")
    order = disk.hiding() if hide else disk.order()
    (disk.root / depth).rename(disk.outside / "moved")
    (disk.root / depth).symlink_to(disk.outside / "moved")
    before = {path.read_bytes() for path in disk.outside.rglob("a")}
    assert _outcomes(disk, order) <= {Outcome.REFUSED, Outcome.UNKNOWN}
    assert list(disk.verify(order).sightings) == [Sighting.UNKNOWN]
    assert {path.read_bytes() for path in disk.outside.rglob("a")} == before == {b"prompt"}


def test_a_swap_in_the_middle_of_a_batch_leads_nowhere(disk: Disk) -> None:
    for name in "ab":
        disk.put(f"exports/day/{name}")
        (disk.outside / name).write_bytes(b"not ours")
        disk.age(disk.outside / name, OLD)
    directory = disk.root / "exports/day"

    def swap() -> None:
        if not directory.is_symlink():
            directory.rename(disk.root / "exports/was-day")
            directory.symlink_to(disk.outside)

    order = disk.order(fence=swap)
    disk.act(order)
    assert sorted(path.name for path in disk.outside.iterdir()) == ["a", "b"]
    assert list(disk.verify(order).sightings) == [Sighting.UNKNOWN, Sighting.UNKNOWN]


def test_a_directory_that_vanished_took_its_files_along(disk: Disk) -> None:
    path = disk.put("exports/day/a")
    order = disk.order()
    path.unlink()
    path.parent.rmdir()
    assert list(disk.act(order).outcomes) == [Outcome.ALREADY_GONE]
    assert list(disk.verify(order).sightings) == [Sighting.ABSENT]


def test_a_directory_that_became_a_file_took_its_files_along(disk: Disk) -> None:
    path = disk.put("exports/day/a")
    order = disk.order()
    path.unlink()
    path.parent.rmdir()
    path.parent.write_bytes(b"")
    assert list(disk.act(order).outcomes) == [Outcome.ALREADY_GONE]
    assert list(disk.verify(order).sightings) == [Sighting.ABSENT]


@pytest.mark.parametrize("gone", ["", "exports"])
def test_an_unmounted_directory_is_not_an_empty_one(disk: Disk, gone: str) -> None:
    disk.put("exports/a")
    connector, order = disk.connect(), disk.order()
    (disk.root / gone).rename(disk.base / "unmounted")
    if not gone:
        (disk.root / "exports").mkdir(parents=True)
    with pytest.raises(ConnectorError) as raised:
        connector.act(order)
    assert raised.value.remedy
    assert list(connector.verify(order).sightings) == [Sighting.UNKNOWN]
    with pytest.raises(ConnectorError):
        list(connector.scan(disk.dataset, order.cases, frozenset()))
    with pytest.raises(ConnectorError):
        connector.find(disk.dataset, "exports/a")


def test_a_purged_file_that_is_written_anew_is_changed_not_due(disk: Disk) -> None:
    disk.put("exports/a")
    order = disk.order()
    assert list(disk.act(order).outcomes) == [Outcome.DONE]
    disk.put("exports/a", YOUNG)
    assert list(disk.act(order).outcomes) == [Outcome.CHANGED]
    assert list(disk.verify(order).sightings) == [Sighting.CHANGED]


def test_a_hidden_file_that_is_written_anew_stays_hidden(disk: Disk) -> None:
    disk.put("exports/a")
    order = disk.hiding()
    disk.act(order)
    disk.put("exports/a", YOUNG)
    assert list(disk.verify(order).sightings) == [Sighting.HIDDEN]


def test_a_file_that_grew_since_the_plan_and_is_still_due_is_seen_hidden(disk: Disk) -> None:
    disk.put("exports/a")
    order = disk.hiding()
    disk.put("exports/a", OLD + 1, b"longer than before")
    assert list(disk.act(order).outcomes) == [Outcome.DONE]
    assert list(disk.verify(order).sightings) == [Sighting.HIDDEN]


def test_a_hidden_file_is_never_overwritten(disk: Disk) -> None:
    disk.put("exports/a", content=b"first")
    disk.act(disk.hiding())
    disk.put("exports/a", content=b"second")
    order = disk.hiding()
    acted = disk.act(order)
    assert (list(acted.outcomes), 0 in acted.reasons) == ([Outcome.REFUSED], True)
    assert (disk.root / f".quarantine/{STAMP}/exports/a").read_bytes() == b"first"
    assert (disk.root / "exports/a").read_bytes() == b"second"
    assert list(disk.verify(order).sightings) == [Sighting.DUE]


def test_another_worker_that_tidies_the_way_out_away_delays_and_loses_nothing(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.put("exports/a")
    tidied: list[int] = []

    def tidy_and_take(source: int, name: bytes, target: int) -> None:
        if not tidied:
            tidied.append(target)
            os.rmdir(b".retentiond-leaving", dir_fd=source)
        take(source, name, target)

    order = disk.order()
    monkeypatch.setattr(leaving, "take", tidy_and_take)
    assert list(disk.act(order).outcomes) == [Outcome.DONE]
    assert (disk.files(), disk.directories()) == (set(), {"exports"})


class Halt(OSError):
    """What a fence raises that could not read its stop file: an error that looks like the file system's own."""


def test_a_fence_that_closes_half_way_stops_there_and_passes_through(disk: Disk) -> None:
    for name in "abc":
        disk.put(f"exports/{name}")
    asked: list[int] = []

    def fence() -> None:
        asked.append(1)
        if len(asked) > 1:
            raise Halt

    order = disk.order(fence=fence)
    with pytest.raises(Halt):
        disk.act(order)
    assert disk.files() == {"exports/b", "exports/c"}
    assert disk.directories() == {"exports"}
    assert list(disk.verify(order).sightings) == [Sighting.ABSENT, Sighting.DUE, Sighting.DUE]


def _outcomes(disk: Disk, order: Order) -> set[Outcome]:
    """Return the outcomes of an act; one that raises leaves all of them unknown, as the engine takes it."""
    try:
        return set(disk.act(order).outcomes)
    except ConnectorError:
        return {Outcome.UNKNOWN}
