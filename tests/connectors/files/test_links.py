"""Files with several names: as long as one is left, the content can be read."""

from __future__ import annotations

import os

import pytest

from retentiond.domain.plan import Outcome, Sighting
from tests.connectors.files.disk import Disk


@pytest.mark.parametrize("other", ["outside/a", "root/exports/young/a"])
@pytest.mark.parametrize("hide", [False, True])
def test_a_file_with_another_name_that_stays_is_refused(disk: Disk, other: str, *, hide: bool) -> None:
    path = disk.put("exports/a")
    disk.put("exports/b")
    order = disk.hiding() if hide else disk.order()
    (disk.base / other).parent.mkdir(exist_ok=True)
    os.link(path, disk.base / other)
    acted = disk.act(order)
    assert list(acted.outcomes) == [Outcome.REFUSED, Outcome.DONE]
    assert acted.reasons == {0: "it has 1 other name (hard links)"}
    assert disk.verify(order).sightings[0] is Sighting.DUE
    assert path.read_bytes() == b"prompt"


def test_all_names_of_a_file_may_go_together(disk: Disk) -> None:
    path = disk.put("exports/a")
    (disk.root / "exports/deep").mkdir()
    for name in ("b", "deep/c"):
        os.link(path, disk.root / "exports" / name)
    order = disk.order()
    assert list(disk.act(order).outcomes) == [Outcome.DONE] * 3
    assert list(disk.verify(order).sightings) == [Sighting.ABSENT] * 3


def test_all_names_of_a_file_are_hidden_and_purged_together(disk: Disk) -> None:
    path = disk.put("exports/a")
    os.link(path, disk.root / "exports/b")
    hiding = disk.hiding()
    assert list(disk.act(hiding).outcomes) == [Outcome.DONE] * 2
    assert list(disk.verify(hiding).sightings) == [Sighting.HIDDEN] * 2
    assert list(disk.act(disk.after_grace()).outcomes) == [Outcome.DONE] * 2
    assert disk.files() == set()


def test_names_that_are_not_all_in_the_order_stay_all(disk: Disk) -> None:
    path = disk.put("exports/a")
    for name in "bc":
        os.link(path, disk.root / "exports" / name)
    acted = disk.act(disk.order(disk.due()[:2]))
    assert list(acted.outcomes) == [Outcome.REFUSED] * 2
    assert disk.files() == {"exports/a", "exports/b", "exports/c"}


def test_a_name_that_appears_between_two_names_that_go_keeps_the_second(disk: Disk) -> None:
    first = disk.put("exports/a")
    second = disk.root / "exports/b"
    os.link(first, second)
    asked: list[int] = []

    def fence() -> None:
        asked.append(1)
        if len(asked) > 1:
            os.link(second, disk.outside / "kept")

    assert list(disk.act(disk.order(fence=fence)).outcomes) == [Outcome.DONE, Outcome.CHANGED]
    assert second.read_bytes() == b"prompt"


def test_a_name_that_appears_after_the_look_puts_the_file_back(disk: Disk) -> None:
    path = disk.put("exports/a")
    order = disk.order(fence=lambda: os.link(path, disk.outside / "kept"))
    assert list(disk.act(order).outcomes) == [Outcome.CHANGED]
    assert path.read_bytes() == b"prompt"
