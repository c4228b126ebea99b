"""`make` explains itself, and set-up says what is missing instead of failing somewhere in the middle."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = {
    *("help", "demo", "test", "browser", "sigstore", "coverage", "lint", "bench", "faults", "worlds", "fuzz", "guards"),
    *("pyz", "page", "wheel", "clean"),
}
OLD_PYTHON = "#!/bin/sh\nexit 1\n"
NO_VENV = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; *print*) echo 3.12 ;; esac\n'


@pytest.fixture
def bare_checkout(tmp_path: Path) -> Path:
    """Give a checkout whose path has a space in it, with programs of the base system in bin/ and no Python at all."""
    checkout = tmp_path / "a checkout"
    (checkout / "requirements").mkdir(parents=True)
    shutil.copy(ROOT / "requirements" / "install.sh", checkout / "requirements")
    programs = checkout / "bin"
    programs.mkdir()
    for name in ("sh", "dirname"):
        (programs / name).symlink_to(shutil.which(name) or name)
    return checkout


def set_up(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    programs = str(checkout / "bin")
    return subprocess.run(
        [f"{programs}/sh", str(checkout / "requirements" / "install.sh")],
        env={"PATH": programs, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def pretend(checkout: Path, name: str, program: str) -> Path:
    path = checkout / "bin" / name
    path.write_text(program)
    path.chmod(0o755)
    return path


def make(*arguments: str, **environment: str) -> str:
    command = ["make", "--no-print-directory", "--directory", str(ROOT), *arguments]
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        command, env=outer | environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_make_alone_names_every_target() -> None:
    assert set(re.findall(r"^  make (\S+)", make(), flags=re.MULTILINE)) == TARGETS
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE)) == TARGETS


def test_set_up_comes_first_where_it_is_needed(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements/dev.lock", "requirements/install.sh"):
        copy = tmp_path / name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy)
    for target in ("demo", "test", "lint", "wheel"):
        first = make("--directory", str(tmp_path), "--dry-run", target).splitlines()[0]
        assert first == "sh requirements/install.sh", target


@pytest.mark.parametrize("home", ["", "  "])
def test_without_a_home_programs_get_one_inside_the_checkout(home: str) -> None:
    database = make("--print-data-base", "help", HOME=home)
    assert f"\nHOME := {ROOT}/.venv/home\n" in database


def test_no_python_is_said_with_a_remedy(bare_checkout: Path) -> None:
    pretend(bare_checkout, "python3", OLD_PYTHON)
    done = set_up(bare_checkout)
    assert done.returncode == 3
    assert "no Python 3.11 or newer was found (tried python3, python3.14" in done.stderr
    assert "make PYTHON=/path/to/python3" in done.stderr
    assert not (bare_checkout / ".venv").exists()


def test_a_python_without_venv_is_said_with_the_package_that_brings_it(bare_checkout: Path) -> None:
    pretend(bare_checkout, "python3", OLD_PYTHON)
    pretend(bare_checkout, "python3.12", NO_VENV)
    done = set_up(bare_checkout)
    assert done.returncode == 3
    assert "python3.12 (Python 3.12) lacks the modules venv and ensurepip" in done.stderr
    assert "apt-get install python3.12-venv" in done.stderr


def test_a_python_that_is_named_is_used(bare_checkout: Path) -> None:
    pretend(bare_checkout, "python3", OLD_PYTHON)
    record = 'case "$1" in -m) echo "$0 $*" >&2; exit 9 ;; esac\n'
    named = pretend(bare_checkout, "my python", f"#!/bin/sh\n{record}")
    done = set_up(bare_checkout, PYTHON=str(named))
    assert done.returncode == 9
    assert done.stderr == f"{named} -m venv --clear .venv\n"


def test_scripts_can_be_run_and_parse() -> None:
    for script, shell in (("requirements/install.sh", "sh"), ("requirements/compile.sh", "sh"), (".ci/run", "bash")):
        assert os.access(ROOT / script, os.X_OK), script
        subprocess.run([shell, "-n", str(ROOT / script)], check=True, timeout=60)
