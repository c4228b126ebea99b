from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.office import make_office
from tests.holds.stock import STOCKS
from tests.holds.world import World


@pytest.fixture(params=STOCKS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    office = make_office(tmp_path)
    return World(office, STOCKS[request.param](tmp_path))
