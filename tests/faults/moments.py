"""Kill a run at each of its moments, one after another: `python -m tests.faults.moments DIR`.

A moment is a commit of the ledger (right before and right after), an act of a store that was carried out and not yet
noted, or a change of a directory (a file opened for writing, renamed, linked or removed). They are found by listening
in, not from a list. Each is tried in a copy of the same small world, by a process that is a fork of this one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from sqlalchemy import event
from sqlalchemy.engine import Engine

from retentiond.bootstrap import ConnectorKinds
from retentiond.cli import cli
from retentiond.connectors.sqlite.acting import Acting
from retentiond.engine import batches
from tests.faults.oracle import Oracle
from tests.faults.world import Size, World, make_world

_FILES = frozenset(("os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.truncate"))
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Moments:
    """Counts moments from the first change of the ledger on, and ends the process at one of them.

    Args:
        last: The moment at which the process is killed; 0 for none.
        tell: A file descriptor that is told, before that, what the moment is.
    """

    def __init__(self, last: int, tell: int) -> None:
        self._last = last
        self._tell = tell
        self.count = 0

    def listen(self) -> None:
        event.listen(Engine, "commit", lambda _: self._pass("before a commit of the ledger"))
        sys.addaudithook(self._audit)
        for name in ("_claim", "_finish", "_order", "judge"):
            setattr(batches, name, self._after(getattr(batches, name), f"after {name}"))
        setattr(Acting, "run", self._after(Acting.run, "after rows were changed"))  # noqa: B010 - mypy has a word on it

    def _after(self, function: Callable[..., Any], what: str) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            result = function(*arguments, **named)
            self._pass(what)
            return result

        return wrapped

    def _audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name in _FILES or (name == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING):
            self._pass(f"{name} {str(arguments[0])[-40:]}")

    def _pass(self, what: str) -> None:
        self.count += 1
        if self.count == self._last:
            os.write(self._tell, what.encode())
            os.kill(os.getpid(), signal.SIGKILL)


def apply_in_fork(world: World, plan: str, last: int) -> tuple[int, str]:
    """Apply a plan in a fork of this process; return how it ended, and the number of its moments or the last one."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _apply(world, plan, last, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), told


def _apply(world: World, plan: str, last: int, writing: int) -> None:
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    moments = Moments(last, writing)
    code = 1
    try:
        moments.listen()
        code = int(cli.main(("--config", str(world.config), "apply", plan), standalone_mode=False) or 0)
        os.write(writing, str(moments.count).encode())
    finally:
        os._exit(code)


def main() -> int:
    """Try every moment; print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--step", type=int, default=1, help="try only every nth moment")
    asked = parser.parse_args()
    dict(ConnectorKinds())  # imported once, before the forks
    first = make_world(asked.directory / "first", Size(30, 10, requests=12, files=6), seed=5)
    before, plan = first.look(), first.approved_plan()
    violations: list[str] = []
    code, told = apply_in_fork(copy_of(first, asked.directory / "peace"), plan, 0)
    count = int(told or 0)
    if code or not count:
        violations.append(f"an undisturbed run ended with {code}")
    tried = range(1, count + 1, asked.step)
    for last in tried:
        world = copy_of(first, asked.directory / "killed")
        violations += [f"moment {last}: {each}" for each in _try(world, Oracle(world, before), plan, last)]
    click.echo("\n".join(violations))
    click.echo(f"{len(tried)} of {count} moments, {len(violations)} violations")
    return 1 if violations else 0


def _try(world: World, oracle: Oracle, plan: str, last: int) -> list[str]:
    code, what = apply_in_fork(world, plan, last)
    if code != -signal.SIGKILL:
        oracle.say(f"the run was to be killed, and ended with {code}")
    oracle.glance()
    code, _ = apply_in_fork(world, plan, 0)
    if code:
        oracle.say(f"the run does not go on: {code}")
    oracle.final(plan)
    return [f"{what}: {each}" for each in oracle.violations]


def copy_of(world: World, root: Path) -> World:
    """Return a copy of a world in another directory."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(world.root, root)
    return replace(world, root=root, keeping=world.keeping.copied(root))


if __name__ == "__main__":
    sys.exit(main())
