from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.coverage.database import Maker, made
from tests.engine.office import Office, make_office
from tests.servers.postgres import Server


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return make_office(tmp_path)


@pytest.fixture
def make(postgresql_newest: Server) -> Iterator[Maker]:
    """Return a function that makes a database with a script, and a role that may look only."""
    with ExitStack() as stack:
        yield lambda script: stack.enter_context(made(postgresql_newest, script))
