from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.office import make_office
from tests.holds.stock import STOCKS
from tests.holds.world import World


@pytest.fixture(params=STOCKS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with STOCKS[request.param](tmp_path, lambda: request.getfixturevalue("postgresql_newest")) as stock:
        yield World(make_office(tmp_path), stock)
