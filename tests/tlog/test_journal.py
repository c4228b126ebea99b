"""The journal: sealed, durable, named by its bytes; what cannot be written is not acknowledged."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retentiond.errors import LogIntegrityError
from retentiond.keys.local import LocalSealer
from retentiond.tlog.journal import DirectoryJournal

NOW = datetime(2026, 11, 24, 3, 0, 0, tzinfo=UTC)
RECORD: dict[str, object] = {"verb": "hold.add", "matter": "M'; DROP--\n\x00\u202e", "account": "acct-1"}


def test_a_record_is_stored_sealed_under_the_digest_that_is_logged(tmp_path: Path) -> None:
    sealer = LocalSealer(bytes(32))
    journal = DirectoryJournal(tmp_path / "journal", sealer)
    names = [journal.append(RECORD, NOW), journal.append(RECORD, NOW)]
    files = {path.name: path.read_bytes() for path in (tmp_path / "journal").iterdir()}
    assert len(files) == len(set(names)) == 2
    for name in names:
        sealed = files[f"{name}.sealed"]
        assert hashlib.sha256(sealed).hexdigest() == name
        assert b"acct-1" not in sealed
        assert json.loads(sealer.open(sealed, b"journal")) == {**RECORD, "at": "2026-11-24T03:00:00Z"}


def test_a_record_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LogIntegrityError, match="No space left on device") as caught:
        DirectoryJournal(tmp_path / "journal", LocalSealer(bytes(32))).append(RECORD, NOW)
    assert caught.value.remedy
    assert list((tmp_path / "journal").glob("*.sealed")) == []
