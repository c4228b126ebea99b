"""The page from nothing to a first approved run, walked on a PostgreSQL and an S3 server of the tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.readme.pages import ROOT, walk
from tests.servers.postgres import PASSWORD, Server, free_port, started

FIRST_RUN = ROOT / "docs" / "first-run.md"


@pytest.fixture
def server() -> Iterator[Server]:
    """A server as in production, which `check` has nothing to say of."""
    with started() as server:
        server.configure(fsync="on")
        server.restart()
        yield server


@pytest.fixture
def environment(tmp_path: Path, server: Server, moto_s3: str) -> dict[str, str]:
    """What the page lets its reader export, and where the servers are."""
    places = {"RETENTIOND_CONFIG": tmp_path / "etc", "STATE": tmp_path / "state"}
    for place in places.values():
        place.mkdir()
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    return {
        **{name: str(place) for name, place in places.items()},
        "PATH": os.pathsep.join((str(server.installation.programs), os.environ["PATH"])),
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGUSER": "postgres",
        "PGPASSWORD": PASSWORD,
        "AWS_ENDPOINT_URL_S3": moto_s3,
        "RETENTIOND_LISTEN": f"127.0.0.1:{free_port()}",
        "COLUMNS": "200",
        "SSH_AUTH_SOCK": "",
    }


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Path]:
    """The file with the daemon's process id; it is stopped where the page did not come to that."""
    pid = tmp_path / "serve.pid"
    yield pid
    if pid.exists():
        try:
            os.kill(int(pid.read_text("ascii")), signal.SIGTERM)
        except ProcessLookupError:
            pid.unlink()


def test_from_nothing_to_a_first_approved_run(
    tmp_path: Path, server: Server, environment: dict[str, str], daemon: Path
) -> None:
    printed = "".join(walk(FIRST_RUN, tmp_path, environment))
    assert "all is well" in printed
    assert "70 records" in printed
    assert "approved with 2 further plan(s)" in printed
    assert "account acct-1: closed" in printed
    assert printed.count("VALID, complete") == 6
    assert "the account 'acct-1' is in it, records: 51" in printed
    assert daemon.exists()
    with server.connect("app") as app:
        left = {name for (name,) in app.execute("SELECT request_id FROM api_requests").fetchall()}
        hidden = {name for (name,) in app.execute("SELECT request_id FROM api_requests WHERE deleted_at > '-infinity'")}
    theirs = {f"req-{n}" for n in range(60) if n % 3 == 1}
    due = {f"req-{n}" for n in range(23, 60) if n % 25}
    assert left == {f"req-{n}" for n in range(60)} - theirs - {"req-3"}
    assert hidden == due - theirs
    pages = boto3.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL_S3"]).list_object_versions(
        Bucket="api-payloads"
    )
    assert {each["Key"].split("/")[2].removesuffix(".json") for each in pages["Versions"]} == left
    assert {each["Key"].split("/")[2].removesuffix(".json") for each in pages["DeleteMarkers"]} == hidden
