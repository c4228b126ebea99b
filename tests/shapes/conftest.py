from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.shapes.instance import Instance, make_instance
from tests.shapes.makers import MAKERS
from tests.shapes.seeds import AUTUMN

Begin = Callable[..., Instance]


@pytest.fixture(params=sorted(MAKERS))
def begin(request: pytest.FixtureRequest, tmp_path: Path) -> Begin:
    """Make an instance beside an empty database of each engine."""

    def make(now: datetime = AUTUMN) -> Instance:
        return make_instance(tmp_path, MAKERS[request.param](tmp_path), now)

    return make
