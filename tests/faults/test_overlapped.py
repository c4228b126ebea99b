"""A run that works ahead, and has its manifest made by a process beside it, survives what any other run survives."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.office import make_office
from tests.faults import actions, overlapping
from tests.faults.moments import warm_up
from tests.faults.overlapped import (
    Overlapped,
    freeze_at_each,
    hang_beside_at_each,
    kill_beside_at_each,
)
from tests.faults.programme import Choice, Figures, Scene, Servers, servers

Accident = Callable[[Scene, Choice], Figures]


@pytest.fixture(scope="module", autouse=True)
def own_temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Processes beside a run are known by where they have their temporary files."""
    make_office(tmp_path_factory.mktemp("office"))  # what all offices begin with stays where it is
    own, before = tmp_path_factory.mktemp("own"), (os.environ.get("TMPDIR"), tempfile.tempdir)
    os.environ["TMPDIR"] = tempfile.tempdir = str(own)
    yield own
    tempfile.tempdir = before[1]
    if before[0] is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before[0]


@pytest.fixture(scope="module")
def both(own_temporary_files: Path) -> Iterator[Servers]:
    del own_temporary_files
    warm_up()
    with servers() as started:
        yield started


@pytest.fixture(scope="module")
def scene(both: Servers, tmp_path_factory: pytest.TempPathFactory) -> Overlapped:
    return Overlapped(tmp_path_factory.mktemp("scene"), both, "sqlite", "policy")


def at(share: float) -> Choice:
    """Choose one moment by its share of all; the receipt is made in about the last fifth."""
    return lambda count: [int(count * share)]


def test_a_run_that_was_frozen_changes_nothing_of_what_another_made(both: Servers, tmp_path: Path) -> None:
    figures = freeze_at_each(Overlapped(tmp_path, both, "postgresql", "policy"), at(0.95))
    assert figures.violations == []
    assert figures.frozen == 1


@pytest.mark.parametrize(
    ("accident", "prepare", "share"),
    [(kill_beside_at_each, overlapping.overlap, 0.6), (hang_beside_at_each, overlapping.be_impatient, 0.5)],
)
def test_a_run_ends_although_the_process_beside_it_does_not_go_on(
    accident: Accident, prepare: Callable[[], None], share: float, scene: Overlapped
) -> None:
    scene.prepare = prepare
    figures = accident(scene, at(share))
    assert figures.violations == []
    assert figures.codes == {0: 1}


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (overlapping.fill_the_disk, "a receipt's manifest cannot be written"),
        (overlapping.have_no_temporary_files, "what a run has to remember while it works cannot be written"),
    ],
)
def test_without_room_it_says_so_and_the_next_run_ends_it(
    prepare: Callable[[], None], words: str, scene: Overlapped, capfd: pytest.CaptureFixture[str]
) -> None:
    scene.prepare = prepare
    world, oracle = scene.copy()
    assert scene.begin(world)[0] == 1
    assert f": {words}: " in capfd.readouterr().err
    oracle.glance()
    assert not list((world.config / "receipts").rglob("*.part"))
    scene.prepare = overlapping.overlap
    scene.go_on(world, oracle, strictly=True)
    assert oracle.violations == []


@pytest.mark.parametrize("place", ["sqlite", "postgresql"])
def test_what_is_redacted_and_pseudonymised_is_so_once_and_said_once(place: str, both: Servers, tmp_path: Path) -> None:
    scene = actions.make_actions(tmp_path / "first", both.postgresql if place == "postgresql" else None)
    figures = actions.kill_at_each(scene, tmp_path / "copy", at(0.95), overlapping.overlap)
    assert figures.violations == []
    assert figures.killed == 1


def test_nothing_temporary_is_left(own_temporary_files: Path) -> None:
    """What was killed above had scratch files."""
    assert not list(own_temporary_files.glob("retentiond-*"))
