"""What the tests of the directory connector share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from retentiond.connectors.files import tree
from tests.connectors.files.disk import Disk


@pytest.fixture
def disk() -> Iterator[Disk]:
    """A store that everybody may enter, as pytest's own directories may not be."""
    base = Path(tempfile.mkdtemp())
    base.chmod(0o755)
    disk = Disk(base)
    yield disk
    disk.close()
    for _, names, _, fd in os.fwalk(base):  # from above, so that each can be entered before it is read
        for name in names:
            os.chmod(name, 0o700, dir_fd=fd)
    shutil.rmtree(base)


@pytest.fixture(params=["renameat2", "without-renameat2"])
def _both_renames(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test once more as on a file system that cannot rename without overwriting."""
    if request.param != "renameat2":
        monkeypatch.setattr(tree, "_renameat2", None)
