from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.office import Office, make_office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return make_office(tmp_path)
