"""The installed program as a script sees it: arguments in; an exit code, one stdout and one stderr out."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.servers.forking import Forking, started_once

ENOUGH_SECONDS = 120
# What lets root read and write where permissions say no. Without them root is a user like any other.
POWERS = "-dac_override,-dac_read_search,-fowner"


@dataclass(frozen=True)
class Answer:
    """How one call ended."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"{' '.join(self.arguments)!a} ended {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise AssertionError(f"stdout is not one JSON document: {self}") from error

    @property
    def said(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Program:
    """The console script of the wheel, run in a directory with an environment of its own."""

    script: Path
    cwd: Path
    forking: Forking | None
    environ: Mapping[str, str] = field(default_factory=dict)
    wrapper: tuple[str, ...] = ()

    def __call__(self, *arguments: str | Path, code: int | Sequence[int] | None = 0) -> Answer:
        """Run it, and check its exit code and that it shows no traceback. `code=None`: any."""
        words = tuple(map(str, arguments))
        if self.forking is None or self.script != self.forking.script:
            ended, out, err = self._from_its_beginning(words)
        else:
            environ = self._environment()
            ended, out, err = self.forking.call(words, cwd=self.cwd, environ=environ, seconds=ENOUGH_SECONDS)
        answer = Answer(words, ended, out.decode(), err.decode())
        assert "Traceback" not in answer.said, str(answer)
        if code is not None:
            assert answer.code in ([code] if isinstance(code, int) else code), str(answer)
        return answer

    def _from_its_beginning(self, words: tuple[str, ...]) -> tuple[int, bytes, bytes]:
        done = subprocess.run(
            [*self.wrapper, str(self.script), *words],
            cwd=self.cwd,
            env=self._environment(),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=ENOUGH_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def start(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Begin a call that goes on beside the test."""
        return subprocess.Popen(
            [*self.wrapper, str(self.script), *map(str, arguments)],
            cwd=self.cwd,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )

    def within(self, cwd: Path, **environ: str) -> Program:
        """Return the program as it runs elsewhere, or with more in its environment."""
        return replace(self, cwd=cwd, environ={**self.environ, **environ})

    def unprivileged(self) -> Program:
        """Return the program as somebody runs it for whom permissions count."""
        if os.geteuid() != 0:
            return self
        wrapper = ("setpriv", f"--bounding-set={POWERS}", f"--inh-caps={POWERS}")
        return replace(self, wrapper=wrapper, forking=started_once(self.script, wrapper))

    def with_largest_file(self, size_bytes: int) -> Program:
        """Return the program as it runs where no file can grow past a size, as on a full disk."""
        return replace(self, wrapper=("prlimit", f"--fsize={size_bytes}:{size_bytes}"), forking=None)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        return {**kept, "SSH_AUTH_SOCK": "", **self.environ}
