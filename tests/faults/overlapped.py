"""The fault programme where a run overlaps what it does: `python -m tests.faults.overlapped [--only WORDS] [--step N]`.

Besides the accidents of the programme, something happens to the process beside the run only: it is killed, or hangs.
In the end every account's part of every receipt can be derived, and no process or file is left.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import click

from tests.engine.office import make_office
from tests.faults import overlapping
from tests.faults.actions import kill_at_each as kill_all_actions
from tests.faults.actions import make_actions
from tests.faults.leftovers import left_over
from tests.faults.moments import Accident, warm_up
from tests.faults.oracle import Oracle
from tests.faults.programme import (
    Choice,
    Figures,
    Scene,
    Servers,
    cut_each,
    every,
    freeze_at_each,
    kill_at_each,
    line_of,
    moments_of,
    said,
    servers,
)
from tests.faults.world import World
from tests.servers.forking import PATCHED_BY

SCENES = tuple(product(("sqlite", "postgresql"), ("policy", "closure", "closures")))


class Overlapped(Scene):
    """A scene in which every run overlaps what it does; in the end it looks for what was left, too."""

    def __init__(
        self,
        directory: Path,
        with_servers: Servers,
        place: str,
        action: str,
        prepare: Callable[[], None] = overlapping.overlap,
    ) -> None:
        with patched():
            super().__init__(directory, with_servers, place, action, prepare)

    def go_on(self, world: World, oracle: Oracle, *, strictly: bool = False) -> None:
        """Go on as ever, then look whether each account's part can be derived, and whether nothing is left."""
        super().go_on(world, oracle, strictly=strictly)
        for wrong in left_over(world.config):
            oracle.say(wrong)


@contextmanager
def patched() -> Iterator[None]:
    """Have every call of the program overlap what it does."""
    os.environ[PATCHED_BY] = overlapping.__file__
    try:
        yield
    finally:
        del os.environ[PATCHED_BY]


def kill_beside_at_each(scene: Scene, choice: Choice) -> Figures:
    """Kill only the process beside at each chosen moment: the run ends as if nothing had been."""
    return _beside(scene, choice, signal.SIGKILL)


def hang_beside_at_each(scene: Scene, choice: Choice) -> Figures:
    """Stop only the process beside at each chosen moment: the run waits for a moment, and ends."""
    return _beside(scene, choice, signal.SIGSTOP)


def _beside(scene: Scene, choice: Choice, sent: signal.Signals) -> Figures:
    figures = Figures()
    for at in choice(moments_of(scene, figures)):
        world, oracle = scene.copy()
        code, told = scene.begin_with(world, Accident(at, sent, beside=True)).end()
        figures.codes[code] += 1
        figures.killed += 1
        if code:
            oracle.say(f"it ended with {code}: {said(world)}")
        scene.go_on(world, oracle, strictly=True)
        what = f"{scene.name}, {sent.name} beside at {at}, {told}"
        figures.violations += [f"{what}: {each}" for each in oracle.violations]
    return figures


ACCIDENTS: tuple[tuple[Callable[[Scene, Choice], Figures], Callable[[], None]], ...] = (
    (kill_at_each, overlapping.overlap),
    (cut_each, overlapping.overlap),
    (freeze_at_each, overlapping.overlap),
    (kill_beside_at_each, overlapping.overlap),
    (hang_beside_at_each, overlapping.be_impatient),
)


def go(directory: Path, with_servers: Servers, asked: argparse.Namespace) -> Figures:
    """Play all scenes that were asked for; print each one's figures."""
    total = Figures()
    warm_up()
    for (number, (place, action)), (accident, prepare) in product(enumerate(SCENES), ACCIDENTS):
        name = f"{place}, {action}, {accident.__name__}"
        if asked.only in name:
            scene = Overlapped(directory / name, with_servers, place, action, prepare)
            total = total.plus(_told(name, accident, scene, every(asked.step, 1 + number % asked.step)))
    for number, place in enumerate(("sqlite", "postgresql")):
        name = f"{place}, all actions, kill_at_each"
        if asked.only in name:
            actions = make_actions(directory / name, with_servers.postgresql if place == "postgresql" else None)
            choice = every(asked.step, 1 + number % asked.step)
            total = total.plus(_told(name, kill_all_actions, actions, directory / "copy", choice, overlapping.overlap))
    return total


def _told(name: str, play: Callable[..., Figures], *given: object) -> Figures:
    began = time.monotonic()
    figures = play(*given)
    click.echo(f"{name}: {line_of(figures)}; {time.monotonic() - began:.0f} s")
    for each in figures.violations:
        click.echo(f"VIOLATION {each}")
    return figures


def main() -> int:
    """Play the whole programme, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="scenes with these words in their name")
    parser.add_argument("--step", type=int, default=1, help="try only every nth point")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, servers() as both:
        own = Path(place) / "tmp"
        own.mkdir()
        make_office(Path(place) / "office")  # what all offices begin with stays where it is
        os.environ["TMPDIR"] = tempfile.tempdir = str(own)
        total = go(Path(place), both, asked)
        left = len(list(own.iterdir()))
    click.echo(f"{line_of(total)}; {left} temporary directories left")
    return 1 if total.violations else 0


if __name__ == "__main__":
    sys.exit(main())
