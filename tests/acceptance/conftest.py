"""The program as installed from its built wheel, away from the checkout, and stores for it to work on."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.program import Program
from tests.acceptance.world import World
from tests.servers.forking import Forking, forking

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, install it and nothing else into an environment that borrows its dependencies; give its bin/."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "installation"
    root.mkdir(exist_ok=True)
    with (root / "lock").open("w", encoding="ascii") as lock:  # once for all workers
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "whole").exists():
            _install(root)
            (root / "whole").touch()
    return root / "venv" / "bin"


def _install(root: Path) -> None:
    _call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(root / "dist"), str(CHECKOUT))
    (wheel,) = (root / "dist").glob("*.whl")
    home = root / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    # A .pth of the borrowed directory is not followed from here, so the checkout's editable install is not seen.
    paths = sysconfig.get_paths(vars={"base": str(home), "platbase": str(home)})
    Path(paths["purelib"], "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    target = ["--python", str(home / "bin" / "python"), "install", "--no-deps", "--no-index", "--force-reinstall"]
    _call(sys.executable, "-m", "pip", "--disable-pip-version-check", *target, str(wheel))


@pytest.fixture(scope="session")
def forks(installation: Path) -> Iterator[Forking]:
    """Give the installed program with its imports behind it."""
    with forking(installation / "retentiond") as started:
        yield started


@pytest.fixture
def program(forks: Forking, tmp_path: Path) -> Program:
    """Give the installed program, run in the test's own directory."""
    return Program(forks.script, tmp_path, forks)


@pytest.fixture
def world(program: Program, tmp_path: Path, moto_s3: str) -> World:
    """Give a table, a directory and a bucket, described and approved by nobody yet."""
    return World.made(program, tmp_path, moto_s3)


@pytest.fixture
def small(program: Program, tmp_path: Path) -> World:
    """Give the same without the bucket."""
    return World.made(program, tmp_path, None)


def _call(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
