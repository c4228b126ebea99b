"""The budgets of CONTRIBUTING.md, read off the source: sizes, nesting, one reader of the time, nothing left over.

As a program (`python tests/house/budgets.py [ROOT]`, part of `make lint`) it prints one finding a line and a summary,
and exits with 1 when there are findings. Standard library only.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MEDIAN_FUNCTION_LINES = 12
NINE_IN_TEN_FUNCTION_LINES = 35
LONGEST_FUNCTION_LINES = 80
MODULE_LINES = 400
NESTING = 4
PARAMETERS = 7

TIME_READ = re.compile(r"\b(?:datetime\.(?:now|utcnow|today)|date\.today|time\.time(?:_ns)?)\(")
LEFT_OVER = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b|\bNotImplementedError\b|raise NotImplemented\b|pragma: no cover")
SKIPPED_TEST = re.compile(r"\bmark\.(?:skip|x)|\bpytest\.(?:skip|importorskip|x)|\.skip(?:Test|If|Unless)?\(")

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)


@dataclass(frozen=True, slots=True)
class Finding:
    """One budget that does not hold, and where."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


def function_lines(function: Function) -> int:
    """Count the lines of a function from its `def` to its end, without its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is None:
        return lines
    docstring = function.body[0]
    return lines - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


def nesting(node: ast.AST) -> int:
    """Count the blocks around the most deeply nested statement under a node; an `elif` is no deeper than its `if`."""
    depths = [nesting(child) + _opens_block(node, child) for child in ast.iter_child_nodes(node)]
    return max(depths, default=0)


def _opens_block(parent: ast.AST, child: ast.AST) -> bool:
    is_elif = isinstance(parent, ast.If) and isinstance(child, ast.If) and parent.orelse == [child]
    return isinstance(child, BLOCKS) and not is_elif


def parameters(function: Function) -> int:
    """Count what a caller can pass by name or place, `self` included."""
    arguments = function.args
    return len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)


def functions(tree: ast.AST) -> Iterator[Function]:
    """All functions and methods, nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def check_function(path: str, function: Function) -> Iterator[Finding]:
    """Hold one function against its budgets; a command's parameters are its options, as many as it has."""
    measured = [
        ("lines", function_lines(function), LONGEST_FUNCTION_LINES),
        ("levels of nesting", nesting(function), NESTING),
        ("parameters", 0 if "/cli/" in f"/{path}" else parameters(function), PARAMETERS),
    ]
    for unit, count, budget in measured:
        if count > budget:
            yield Finding(path, function.lineno, f"{function.name} has {count} {unit} (budget {budget})")


def check_lines(path: str, source: str) -> Iterator[Finding]:
    """Look at the text itself: its length, times read, things left over."""
    lines = source.splitlines()
    if len(lines) > MODULE_LINES:
        yield Finding(path, 1, f"the module has {len(lines)} lines (budget {MODULE_LINES})")
    for number, line in enumerate(lines, 1):
        if TIME_READ.search(line) and Path(path).name != "clock.py":
            yield Finding(path, number, "reads the time outside clock.py: take it as an argument")
        if LEFT_OVER.search(line):
            yield Finding(path, number, f"left over: {line.strip()[:80]}")


def check_handlers(path: str, tree: ast.AST) -> Iterator[Finding]:
    """Find exceptions that are caught and dropped."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and all(isinstance(statement, ast.Pass) for statement in node.body):
            yield Finding(path, node.lineno, "an exception is swallowed")


def check_module(path: str, source: str) -> Iterator[Finding]:
    """Hold one module of retentiond against every budget but those of all functions together."""
    tree = ast.parse(source, path)
    yield from check_lines(path, source)
    yield from check_handlers(path, tree)
    for function in functions(tree):
        yield from check_function(path, function)


def check_sizes(sizes: Sequence[int]) -> Iterator[Finding]:
    """Hold the sizes of all functions, in lines, against the budgets of the median and of nine in ten."""
    if not sizes:
        yield Finding("retentiond", 1, "there is no function to measure")
        return
    ordered = sorted(sizes)
    nine_in_ten = ordered[min(int(len(ordered) * 0.9), len(ordered) - 1)]
    for name, lines, budget in (
        ("median", statistics.median(ordered), MEDIAN_FUNCTION_LINES),
        ("90 %", nine_in_ten, NINE_IN_TEN_FUNCTION_LINES),
    ):
        if lines > budget:
            yield Finding("retentiond", 1, f"functions: {name} is {lines:g} lines (budget {budget})")


def check_test(path: str, source: str) -> Iterator[Finding]:
    """Find tests that may not run: what is not run is not tested."""
    for number, line in enumerate(source.splitlines(), 1):
        if SKIPPED_TEST.search(line):
            yield Finding(path, number, "a test is skipped or expected to fail")


def check_tree(root: Path) -> tuple[list[Finding], int, list[int]]:
    """Hold a checkout against the budgets: the findings, how many modules there are, the sizes of all functions."""
    findings: list[Finding] = []
    sizes: list[int] = []
    modules = [path for path in sorted((root / "retentiond").rglob("*.py")) if "migrations" not in path.parts]
    for module in modules:
        source = module.read_text(encoding="utf-8")
        findings += check_module(module.relative_to(root).as_posix(), source)
        sizes += map(function_lines, functions(ast.parse(source)))
    for test in sorted((root / "tests").rglob("*.py")):
        if test.parent.name != "house":
            findings += check_test(test.relative_to(root).as_posix(), test.read_text(encoding="utf-8"))
    findings += check_sizes(sizes)
    return findings, len(modules), sizes


def main(arguments: Sequence[str]) -> int:
    """Print the findings about a checkout, by default the one that this file is in."""
    root = Path(arguments[0]) if arguments else Path(__file__).parents[2]
    findings, modules, sizes = check_tree(root)
    for finding in findings:
        print(finding)
    print(f"budgets: {modules} modules, {len(sizes)} functions, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
