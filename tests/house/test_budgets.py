"""The budgets hold for this checkout, and each of them is found out when it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import budgets

ROOT = Path(__file__).parents[2]


def body(lines: int) -> str:
    return "def f():\n" + "    a = 1\n" * (lines - 1)


def nested(levels: int) -> str:
    return (
        "def f(a):\n" + "".join("    " * level + "if a:\n" for level in range(1, levels + 1)) + "    " * 9 + "b = 1\n"
    )


def found(source: str, path: str = "retentiond/engine/x.py") -> list[str]:
    return [finding.what for finding in budgets.check_module(path, source)]


def test_this_checkout_is_within_its_budgets() -> None:
    findings, modules, sizes = budgets.check_tree(ROOT)
    assert [str(finding) for finding in findings] == []
    assert modules > 10
    assert sizes


@pytest.mark.parametrize(
    ("within", "beyond", "what"),
    [
        (body(80), body(81), "f has 81 lines (budget 80)"),
        (nested(4), nested(5), "f has 5 levels of nesting (budget 4)"),
        (
            "def f(a, b, c, d, e, *, g, h): ...",
            "def f(a, b, c, d, e, /, *, g, h, i): ...",
            "f has 8 parameters (budget 7)",
        ),
        ("a = 1\n" * 400, "a = 1\n" * 401, "the module has 401 lines (budget 400)"),
        ("t = clock.now()", "t = datetime.now(UTC)", "reads the time outside clock.py: take it as an argument"),
        ("t = time.monotonic()", "t = time.time()", "reads the time outside clock.py: take it as an argument"),
        ("try:\n  f()\nexcept E:\n  raise\n", "try:\n  f()\nexcept E:\n  pass\n", "an exception is swallowed"),
        ("# done", "# TODO: more", "left over: # TODO: more"),
    ],
)
def test_each_budget_is_held_to_the_line(within: str, beyond: str, what: str) -> None:
    assert found(within) == []
    assert found(beyond) == [what]


def test_a_docstring_costs_nothing_and_an_elif_is_no_deeper_than_its_if() -> None:
    described = 'def f():\n    """Say.\n' + "\n    more\n" * 50 + '    """\n    return 1\n'
    chained = "def f(a):\n    if a:\n        pass\n" + "    elif a:\n        pass\n" * 9
    assert found(described) == []
    assert found(chained) == []


def test_commands_have_as_many_parameters_as_options_and_the_clock_reads_the_time() -> None:
    assert found("def f(a, b, c, d, e, g, h, i): ...", "retentiond/cli/plan.py") == []
    assert found("t = datetime.now(UTC)", "retentiond/clock.py") == []


@pytest.mark.parametrize(
    ("sizes", "what"),
    [
        ([12] * 9 + [35], None),
        ([13] * 10, "functions: median is 13 lines (budget 12)"),
        ([1] * 8 + [36] * 2, "functions: 90 % is 36 lines (budget 35)"),
        ([], "there is no function to measure"),
    ],
)
def test_the_sizes_of_all_functions_together(sizes: list[int], what: str | None) -> None:
    assert [finding.what for finding in budgets.check_sizes(sizes)] == ([what] if what else [])


@pytest.mark.parametrize("line", ["@pytest.mark.skip", "pytest.skip('x')", "@unittest.skipUnless(1, '')"])
def test_a_test_that_is_skipped_is_found(line: str) -> None:
    assert [finding.line for finding in budgets.check_test("tests/test_x.py", f"import pytest\n{line}\n")] == [2]


def test_as_a_program_it_names_the_place_and_fails(tmp_path: Path) -> None:
    module = tmp_path / "retentiond" / "late.py"
    module.parent.mkdir()
    module.write_text("def f():\n    return time.time()\n")
    done = subprocess.run(
        [sys.executable, budgets.__file__, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stdout.startswith("retentiond/late.py:2: reads the time outside clock.py")
