"""The journal: sealed, durable, named by its bytes; what cannot be written is not acknowledged."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retentiond.errors import KeyFileError, LogIntegrityError
from retentiond.evidence.canonical import Json
from retentiond.keys.rings import LocalSealer
from retentiond.tlog.journal import DirectoryJournal

NOW = datetime(2026, 11, 24, 3, 0, 0, tzinfo=UTC)
RECORD: dict[str, Json] = {
    "verb": "hold.add",
    "matter": "M'; DROP--\n\x00\u202e",
    "scope": {"accounts": ["acct-1", "a\nb", "\U0001f512"], "keys": []},
}


def test_a_record_is_stored_sealed_under_the_digest_that_is_logged(tmp_path: Path) -> None:
    journal = DirectoryJournal(tmp_path / "journal", LocalSealer(bytes(32)))
    records = [journal.seal(RECORD, NOW), journal.seal(RECORD, NOW)]
    assert not (tmp_path / "journal").exists()
    for record in records:
        journal.write(*record)
    files = {path.name: path.read_bytes() for path in (tmp_path / "journal").iterdir()}
    assert len(files) == len({name for name, _ in records}) == 2
    assert journal.names() == {name for name, _ in records}
    for name, sealed in records:
        assert files[f"{name}.sealed"] == journal.sealed(name) == sealed
        assert hashlib.sha256(sealed).hexdigest() == name
        assert b"acct-1" not in sealed
        assert journal.open(sealed) == {**RECORD, "at": "2026-11-24T03:00:00Z"}


def test_a_record_that_was_altered_is_none(tmp_path: Path) -> None:
    journal = DirectoryJournal(tmp_path / "journal", LocalSealer(bytes(32)))
    name, sealed = journal.seal(RECORD, NOW)
    journal.write(name, sealed)
    path = tmp_path / "journal" / f"{name}.sealed"
    path.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert journal.sealed(name) is None
    journal.write(name, sealed)
    assert journal.sealed(name) == sealed
    with pytest.raises(LogIntegrityError, match="is not what its name says"):
        journal.write(name, sealed + b"x")
    assert journal.sealed("0" * 64) is None
    with pytest.raises(KeyFileError):
        DirectoryJournal(tmp_path / "journal", LocalSealer(bytes([1] * 32))).open(sealed)


def test_a_record_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    journal = DirectoryJournal(tmp_path / "journal", LocalSealer(bytes(32)))
    record = journal.seal(RECORD, NOW)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LogIntegrityError, match="No space left on device") as caught:
        journal.write(*record)
    assert caught.value.remedy
    assert list((tmp_path / "journal").glob("*.sealed")) == []


def test_what_is_sealed_is_canonical_json(tmp_path: Path) -> None:
    sealer = LocalSealer(bytes(32))
    _, sealed = DirectoryJournal(tmp_path, sealer).seal({"b": "x", "a": ["1"]}, NOW)
    plain = sealer.open(sealed, b"journal")
    assert plain == b'{"a":["1"],"at":"2026-11-24T03:00:00Z","b":"x"}'
    assert json.loads(plain)["a"] == ["1"]
