"""The process dies at every call that changes the tree, before and after it; the same batch then ends right."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from retentiond.connectors.files import tree
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.ports.stores import Order
from tests.connectors.files.disk import STAMP, YOUNG, Disk

CHANGES = ("mkdir", "rmdir", "unlink", "fsync")
KILLED = 9
NAMES = ("a", "b", "c")


def killed_at(step: int, act: Callable[[], object]) -> bool:
    """Act in a process that is gone at its n-th step, without any clean-up; tell whether it came that far."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
    left = iter(range(step, -1, -1))

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if next(left, None) == 0:
                os._exit(KILLED)
            result = call(*args, **kwargs)
            if next(left, None) == 0:
                os._exit(KILLED)
            return result

        return wrapped

    for name in CHANGES:
        setattr(os, name, dying(getattr(os, name)))
    tree._rename_exclusively = dying(tree._rename_exclusively)
    try:
        act()
    finally:
        os._exit(0)


def deaths(disk: Disk, prepare: Callable[[], Order]) -> Iterator[Order]:
    """Yield one order for each step at which its act can die, dead there; each begins with a fresh tree."""
    for step in range(200):
        shutil.rmtree(disk.root / "exports", ignore_errors=True)
        shutil.rmtree(disk.root / ".quarantine", ignore_errors=True)
        for name in NAMES:
            disk.put(f"exports/day/{name}")
        disk.put("exports/day/young", YOUNG)
        order = prepare()
        died = killed_at(step, lambda: disk.act(order))  # noqa: B023 - called at once
        yield order
        if not died:
            assert step > 2 * len(NAMES)
            return
    pytest.fail("the act never came to its end")


def names_left(disk: Disk) -> set[str]:
    """Return the names of all files that are left anywhere below the root, the young one apart."""
    return {path.rpartition("/")[2] for path in disk.files()} - {"young"}


def test_a_purge_that_dies_anywhere_loses_sight_of_nothing(disk: Disk) -> None:
    for order in deaths(disk, disk.order):
        left = names_left(disk)
        sightings = dict(zip(NAMES, disk.verify(order).sightings, strict=True))
        assert {name for name, seen in sightings.items() if seen is Sighting.DUE} == left
        assert {name for name, seen in sightings.items() if seen is Sighting.ABSENT} == set(NAMES) - left
        assert {record.key for record in disk.due()} == {(f"exports/day/{name}",) for name in left}


def test_a_purge_that_died_anywhere_is_finished_by_the_same_batch(disk: Disk) -> None:
    for order in deaths(disk, disk.order):
        disk.act(order)
        assert set(disk.verify(order).sightings) == {Sighting.ABSENT}
        assert disk.files() == {"exports/day/young"}
        assert disk.directories() <= {"exports", "exports/day", "exports/day/.retentiond-leaving"}


def test_a_purge_that_died_anywhere_is_finished_by_a_new_plan(disk: Disk) -> None:
    for _ in deaths(disk, disk.order):
        order = disk.order()
        disk.act(order)
        assert set(disk.verify(order).sightings) <= {Sighting.ABSENT}
        assert disk.files() == {"exports/day/young"}


def test_a_tombstone_that_died_anywhere_is_finished_by_the_same_batch(disk: Disk) -> None:
    for order in deaths(disk, disk.hiding):
        assert names_left(disk) == set(NAMES)
        assert set(disk.verify(order).sightings) <= {Sighting.HIDDEN, Sighting.DUE}
        disk.act(order)
        assert set(disk.verify(order).sightings) == {Sighting.HIDDEN}
        assert disk.files() == {"exports/day/young"} | {f".quarantine/{STAMP}/exports/day/{name}" for name in NAMES}


def test_a_purge_of_hidden_files_that_died_anywhere_is_finished_by_the_same_batch(disk: Disk) -> None:
    def hidden() -> Order:
        disk.act(disk.hiding())
        return disk.after_grace()

    for order in deaths(disk, hidden):
        assert order.action is Action.PURGE
        left = names_left(disk)
        sightings = dict(zip(NAMES, disk.verify(order).sightings, strict=True))
        assert {name for name, seen in sightings.items() if seen is Sighting.DUE} == left
        disk.act(order)
        assert set(disk.verify(order).sightings) == {Sighting.ABSENT}
        assert disk.files() == {"exports/day/young"}


def cut_off(disk: Disk, path: str = "exports/a") -> None:
    """Leave a file as a purge does that died between the move and the removal."""
    directory, _, name = path.rpartition("/")
    disk.put(f"{directory}/.retentiond-leaving/{name}")


def test_what_was_cut_off_and_written_anew_are_two_records(disk: Disk) -> None:
    cut_off(disk)
    disk.put("exports/a", YOUNG)
    order = disk.order()
    assert [(record.key, record.place) for record in order.records] == [(("exports/a",), ".retentiond-leaving")]
    assert list(disk.act(order).outcomes) == [Outcome.DONE]
    assert list(disk.verify(order).sightings) == [Sighting.ABSENT]
    assert (disk.files(), disk.directories()) == ({"exports/a"}, {"exports"})


def test_what_was_cut_off_can_be_hidden_or_found(disk: Disk) -> None:
    cut_off(disk)
    (found,) = disk.connect().find(disk.dataset, "exports/a")
    assert found.place == ".retentiond-leaving"
    order = disk.hiding()
    assert list(disk.act(order).outcomes) == [Outcome.DONE]
    assert list(disk.verify(order).sightings) == [Sighting.HIDDEN]
    assert disk.files() == {f".quarantine/{STAMP}/exports/a"}


def test_what_was_cut_off_and_moved_back_by_hand_is_not_called_gone(disk: Disk) -> None:
    cut_off(disk)
    order = disk.order()
    (disk.root / "exports/.retentiond-leaving/a").rename(disk.root / "exports/a")
    assert list(disk.act(order).outcomes) == [Outcome.CHANGED]
    assert list(disk.verify(order).sightings) == [Sighting.DUE]


def test_what_was_cut_off_belongs_to_the_dataset_of_its_path(disk: Disk) -> None:
    cut_off(disk, "exports/2026-a")
    cut_off(disk, "exports/2027-a")
    disk.declare(prefix="exports/2026")
    assert [record.key for record in disk.due()] == [("exports/2026-a",)]


@pytest.mark.parametrize("planned_before", [False, True])
def test_a_closed_fence_keeps_what_was_cut_off(disk: Disk, *, planned_before: bool) -> None:
    records = disk.due() if disk.put("exports/a") and planned_before else None
    (disk.root / "exports/a").unlink()
    cut_off(disk)

    def fence() -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        disk.act(disk.order(records, fence))
    assert disk.files() == {"exports/.retentiond-leaving/a"}
