"""What a run keeps on disk while it works leaves nothing behind, and says so where there is no room for it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from retentiond.engine.manifest import Replacing
from retentiond.engine.scratch import Scratch
from retentiond.errors import Interrupted, ScratchError


def test_a_file_that_is_not_whole_takes_no_room(tmp_path: Path) -> None:
    def write() -> None:
        with Replacing(tmp_path / "receipt.items") as file:
            file.write(b"rows")
            raise Interrupted("killed")

    with pytest.raises(Interrupted):
        write()
    assert not list(tmp_path.iterdir())


def test_a_scratch_database_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Scratch("CREATE TABLE seen (account TEXT);") as scratch:
        scratch._write("INSERT INTO seen VALUES (?)", [(f"acct-{number}",) for number in range(100_000)])
        assert not list(tmp_path.iterdir())
        assert scratch._db.execute("SELECT count(*) FROM seen").fetchone() == (100_000,)


def test_without_a_directory_for_it_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(ScratchError, match=r"cannot be written: .*/nowhere"):
        Scratch("")
