"""What is no file, no end, or no receipt: a clear refusal, soon."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from retentiond.verify import files, verify
from retentiond.verify.command import main

from .builder import TRUSTED, Draft, seal, write_log

SEALED = seal(Draft())


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def verdict(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_pipe_that_nobody_writes_to_is_empty(
    pipe: Path, key_files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(pipe), *key_files, "--json"]) == 1
    found = verdict(capsys)
    assert (found["step"], found["reason"]) == ("well-formed", "the bundle: not JSON")


def test_a_receipt_may_come_through_a_pipe(key_files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()

    def write_in_pieces() -> None:
        with open(writer, "wb", buffering=0) as file:  # noqa: PTH123 - it is open already
            file.writelines(SEALED.data[start : start + 3000] for start in range(0, len(SEALED.data), 3000))

    thread = threading.Thread(target=write_in_pieces)
    thread.start()
    try:
        assert main([f"/dev/fd/{reader}", *key_files, "--json"]) == 0
    finally:
        thread.join()
        os.close(reader)
    assert verdict(capsys)["valid"] is True


def test_a_writer_that_never_ends_is_not_waited_for(
    pipe: Path, key_files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "_PATIENCE_SECONDS", 0.05)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(pipe, os.O_WRONLY)
    try:
        os.write(writer, SEALED.data[:100])
        assert main([str(pipe), *key_files]) == 2
    finally:
        os.close(writer)
        os.close(reader)
    printed = capsys.readouterr().err
    assert "to do:" in printed
    assert "does not come to an end" in printed


def test_a_link_that_leads_nowhere_exits_2(
    tmp_path: Path, key_files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for name in ("loop", "loop/inside", "log.vkey/inside"):
        assert main([str(tmp_path / name), *key_files]) == 2
        assert "to do:" in capsys.readouterr().err


def test_a_key_may_be_no_file_either(pipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["receipt.json", "--key", str(pipe), "--key", str(pipe.parent)]) == 2
    assert "to do:" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["checkpoint", "tile/entries/000", "tile/entries/002.p/88"])
def test_a_pipe_in_a_log_is_not_waited_for(tmp_path: Path, name: str) -> None:
    log = write_log(tmp_path, SEALED.entries)
    (log / name).unlink()
    os.mkfifo(log / name)
    assert verify(SEALED.data, TRUSTED, log=str(log)).step == "entry"


def test_a_receipt_that_ends_anywhere_too_early_is_refused() -> None:
    whole = seal(Draft(items=[])).data
    for end in range(len(whole)):
        found = verify(whole[:end], TRUSTED)
        assert (found.step, found.reason) == ("well-formed", "the bundle: not JSON")
