"""What tests stand on: sockets taken from pure tests, no way off this machine, a clean S3 server for each test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

ROOT = Path(__file__).parents[2]
CONNECT = "import socket\ndef test_it():\n    socket.create_connection(({host!r}, 9), timeout=0.2)\n"


def run_test(tmp_path: Path, folder: str, host: str) -> str:
    """Run a test that connects to a host, in a copy of this house where it stands in the given folder of tests."""
    for name in ("pyproject.toml", "tests/conftest.py", "tests/servers/postgres.py", "tests/servers/memory.py"):
        copy = tmp_path / name
        copy.parent.mkdir(exist_ok=True, parents=True)
        copy.write_bytes((ROOT / name).read_bytes())
    test = tmp_path / "tests" / folder / "test_it.py"
    test.parent.mkdir()
    test.write_text(CONNECT.format(host=host))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120).stdout


@pytest.mark.parametrize(
    ("folder", "host", "refusal"),
    [
        ("domain", "127.0.0.1", "SocketBlockedError"),
        ("evidence", "127.0.0.1", "SocketBlockedError"),
        ("connectors", "127.0.0.1", "ConnectionRefusedError"),
        ("connectors", "192.0.2.1", "SocketConnectBlockedError"),
    ],
)
def test_sockets_reach_as_far_as_a_test_needs(tmp_path: Path, folder: str, host: str, refusal: str) -> None:
    assert re.search(rf"\b{refusal}\b", run_test(tmp_path, folder, host))


@pytest.mark.parametrize("attempt", [1, 2])
def test_every_test_finds_an_s3_server_without_buckets(moto_s3: str, attempt: int) -> None:
    s3 = boto3.client("s3", endpoint_url=moto_s3)
    assert s3.list_buckets()["Buckets"] == []
    s3.create_bucket(Bucket=f"left-over-{attempt}")
    assert moto_s3.startswith("http://127.0.0.1:")


def test_nothing_of_the_outer_environment_reaches_a_test() -> None:
    assert [name for name in os.environ if name.startswith("RETENTIOND_")] == []
    assert "AWS_PROFILE" not in os.environ
    assert "AWS_ENDPOINT_URL_S3" not in os.environ


def test_times_are_utc_however_they_are_written(utc: Callable[..., datetime]) -> None:
    assert utc(2026, 11, 24, 3, 10) == utc("2026-11-24T04:10:00+01:00") == datetime(2026, 11, 24, 3, 10, tzinfo=UTC)
    assert utc("2026-11-24T04:10:00+01:00").utcoffset() == timedelta(0)
