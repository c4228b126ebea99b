"""A short version of the fault programme: few points of each scene, spread over all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.programme import (
    SCENES,
    Choice,
    Figures,
    Scene,
    Servers,
    cut_each,
    few,
    freeze_at_each,
    kill_at_each,
    servers,
    warm_up,
)

ELSEWHERE = (("sqlite", "closures"), ("postgresql", "closures"))  # the first below, the second in the programme only
OVER_A_WIRE = ("postgresql and s3", "policy")
TAKEN_OVER = (("sqlite", "closure"), ("postgresql", "policy"), ("postgresql and s3", "closure"))
Accident = Callable[[Scene, Choice], Figures]


@pytest.fixture(scope="module")
def both() -> Iterator[Servers]:
    warm_up()
    with servers() as started:
        yield started


def play(accident: Accident, root: Path, both: Servers, place: str, action: str, tries: int) -> Figures:
    """Each scene has the points of its own, so that together they lie everywhere."""
    turn = SCENES.index((place, action)) / len(SCENES)
    figures = accident(Scene(root, both, place, action), few(tries, turn))
    assert figures.violations == []
    return figures


@pytest.mark.parametrize(("place", "action"), [scene for scene in SCENES if scene not in ELSEWHERE])
def test_whoever_is_killed_goes_on_where_it_was(place: str, action: str, both: Servers, tmp_path: Path) -> None:
    tries = 2 if place == "sqlite" else 1
    figures = play(kill_at_each, tmp_path, both, place, action, tries)
    assert figures.killed == tries


def test_whoever_is_killed_in_any_state_of_a_closure_goes_on(both: Servers, tmp_path: Path) -> None:
    """The first moment finds all of them in their grace, the last ones the first of them closed."""
    scene = Scene(tmp_path, both, "sqlite", "closures")
    figures = kill_at_each(scene, lambda count: (1, count // 3, count // 2, count - 20))
    assert figures.violations == []
    assert figures.killed == 4
    assert figures.states.keys() == {"grace", "closing", "closed"}


def test_an_exchange_that_is_cut_loses_nothing(both: Servers, tmp_path: Path) -> None:
    figures = play(cut_each, tmp_path, both, *OVER_A_WIRE, 1)
    assert figures.cut >= len(figures.exchanges)


@pytest.mark.parametrize(("place", "action"), TAKEN_OVER)
def test_whoever_was_frozen_does_nothing_more(place: str, action: str, both: Servers, tmp_path: Path) -> None:
    figures = play(freeze_at_each, tmp_path, both, place, action, 1)
    assert figures.frozen == 1
