"""What a page of the documentation holds: its blocks, and the exit code that each promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.servers.forking import of_this_interpreter, on_the_path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").rglob("*.md")))
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMISE = re.compile(r"# exits (\d+)")
SECONDS = 120
_NOTHING: Mapping[str, str] = {}
_SESSION = """if [ -e "$EXPORTED" ]; then . "$EXPORTED"; fi; trap 'export -p > "$EXPORTED"' EXIT
"""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its language, its text, and where it stands."""

    language: str
    text: str
    where: str

    @property
    def promised(self) -> int:
        """The exit code that it is said to end with."""
        said = _PROMISE.findall(self.text)
        return int(said[-1]) if said else 0


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """Yield the blocks of a page in these languages, in order."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        if found[1] in languages:
            line = text.count("\n", 0, found.start()) + 1
            yield Block(found[1], found[2], f"{page.name}:{line}")


def run(block: Block, directory: Path, programs: Path, more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a block with bash, with what the blocks before it exported.

    Args:
        programs: A directory of programs that comes first, before this interpreter's.
        more: More of the environment.
    """
    given = {**os.environ, **more}
    path = os.pathsep.join((str(programs), str(Path(sys.executable).parent), given["PATH"]))
    exported = directory.with_name(f"{directory.name}.exported")
    environment = {**given, "PATH": path, "HOME": str(directory), "EXPORTED": str(exported)}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", _SESSION + block.text],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def walk(page: Path, directory: Path, more: Mapping[str, str] = _NOTHING) -> list[str]:
    """Run all shell blocks of a page in order, as one person would in one session; return what each printed.

    Args:
        more: More of the environment.

    Raises:
        AssertionError: One did not end as the page says.
    """
    printed = []
    with on_the_path(of_this_interpreter(), directory.with_name(f"{directory.name}.bin")) as programs:
        for block in blocks(page, "sh"):
            ended = run(block, directory, programs, more)
            told = f"{block.where} ended with {ended.returncode}, not {block.promised}\n{ended.stdout}{ended.stderr}"
            assert ended.returncode == block.promised, told
            printed.append(ended.stdout)
    return printed
