"""One target under atheris; run by `python -m tests.fuzz` in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence

import atheris


def fuzz(name: str, arguments: Sequence[str]) -> None:
    """Fuzz a target until libFuzzer's limits end the process."""
    with atheris.instrument_imports(include=["retentiond.verify"]):
        from .targets import TARGETS  # noqa: PLC0415 - imported here, it is instrumented

    target = TARGETS[name]
    atheris.Setup(["fuzz", *arguments[1:]], target)
    atheris.Fuzz()
