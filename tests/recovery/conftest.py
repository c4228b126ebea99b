from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.office import make_office
from tests.recovery.disaster import Disaster


@pytest.fixture
def disaster(tmp_path: Path) -> Disaster:
    """An instance with a history, of which copies were put away halfway through."""
    return Disaster(make_office(tmp_path, single_operator=False))
