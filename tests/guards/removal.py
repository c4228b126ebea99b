"""Take one guard after the other out of the program, run the tests of all of them, and see whose tests go red.

    python -m tests.guards.removal [NAME…]

Exactly one test has to: that of the guard that is missing. Prints a line for each guard; exits 1 where another one went
red, or none.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.guards.patches import REMOVALS, WITHOUT

ROOT = Path(__file__).parents[2]
TESTS = "tests/acceptance/test_guards.py"
_FAILED = re.compile(r"^(?:FAILED|ERROR) .*test_a_guard_stops.*\[([a-z-]+)\]", re.MULTILINE)
_PASSED = re.compile(r"^(?:.*, )?(\d+) passed", re.MULTILINE)


def reddened(name: str) -> tuple[set[str], int]:
    """Run the tests of all guards without one of them; give the names of those that went red, and how many did not."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", "-p", "no:cacheprovider"]
    command = [*pytest, "--tb=no", "-rfE", "-k", "test_a_guard_stops", TESTS]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, WITHOUT: name}, capture_output=True, text=True, check=False
    )
    passed = _PASSED.search(done.stdout)
    return set(_FAILED.findall(done.stdout)), int(passed[1]) if passed else 0


def main(names: Sequence[str]) -> int:
    wrong = 0
    for name in names or REMOVALS:
        red, green = reddened(name)
        right = red == {name} and green == len(REMOVALS) - 1
        wrong += not right
        print(f"without {name:22} red: {', '.join(sorted(red)) or 'nothing'}; green: {green}", end="", flush=True)
        print("" if right else "   <-- not exactly its own")
    print(
        f"{wrong} of {len(names or REMOVALS)} guards are not guarded by exactly their own test" if wrong else "all well"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
