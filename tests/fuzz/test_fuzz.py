"""A short, repeatable run of every fuzz target: what was found before, then some thousand mutations."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random

import pytest

from .__main__ import FOUND
from .mutating import WORDS, mutations
from .targets import TARGETS

# These sign what they are fed, which takes longer.
RUNS = {"body": 120, "annex": 120, "leaf": 120}


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_the_bytes_are_a_parser_reads_or_refuses(name: str) -> None:
    target = TARGETS[name]
    for data in (*target.seeds, *WORDS, *_found(name)):
        target(data)
    for data in islice(mutations(target.seeds, Random(name)), RUNS.get(name, 1000)):
        target(data)


def _found(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(Path(FOUND, name).glob("*"))]
