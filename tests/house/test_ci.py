"""`.ci/run` passes when everything passes, repeats what pytest said at the end, and fails when anything fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLOSING_LINE = "===== 12 passed in 3.45s ====="
MADE = [".venv/.installed", "lint", "test", "browser", "wheel"]
MAKE = """#!/bin/sh
[ "$1" = test ] && echo '{closing_line}'
echo "make $1" >> made
[ "$1" != "{failing}" ]
"""


def ci(checkout: Path, failing: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of `.ci/run` with a make that only writes down its target, and fails for one of them."""
    (checkout / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", checkout / ".ci")
    make = checkout / "programs" / "make"
    make.parent.mkdir()
    make.write_text(MAKE.format(closing_line=CLOSING_LINE, failing=failing))
    make.chmod(0o755)
    make.with_name("chromium").symlink_to(make)  # else it would be installed where it is missing
    environment = os.environ | {"PATH": f"{make.parent}:{os.environ['PATH']}"}
    return subprocess.run(
        [str(checkout / ".ci" / "run")], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_it_makes_everything_and_ends_with_what_pytest_said(tmp_path: Path) -> None:
    done = ci(tmp_path, failing="nothing")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "made").read_text().splitlines() == [f"make {target}" for target in MADE]
    assert done.stdout.splitlines()[-1] == f"tests: {CLOSING_LINE}"


@pytest.mark.parametrize("failing", MADE)
def test_it_fails_with_the_first_step_that_fails(tmp_path: Path, failing: str) -> None:
    done = ci(tmp_path, failing)
    assert done.returncode == 1
    assert (tmp_path / "made").read_text().endswith(f"make {failing}\n")
    assert "exit code 1" in done.stdout.splitlines()[-1]
