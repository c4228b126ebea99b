"""What every test may use: servers, times written short, and hypothesis in a profile that repeats itself."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import lru_cache
from http.client import HTTPConnection
from pathlib import Path
from socketserver import StreamRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.memory import roomy

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytest_plugins = ["tests.servers.postgres"]
# Else each answer of a test's server waits 40 ms for the client to acknowledge its head.
StreamRequestHandler.disable_nagle_algorithm = True

PURE = ("domain", "evidence")  # folders of tests that need no socket: none is given to them
SLOW = (
    "test_first_run.py",
    "test_demo.py",
    "test_worlds.py",
    "test_replicas.py",
    "test_programme.py",
    "test_daemon.py",
    "test_hostile.py",
    "test_agreement.py",
    "test_orders.py",
    "test_bad_input.py",
    "test_kill.py",
    "test_recovery.py",
    "test_erasure.py",
)
AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure() -> None:
    """Have temporary files in memory where it has room, unless TMPDIR says where; killed programs leave some."""
    if "TMPDIR" not in os.environ:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = roomy()
        own = Path(roomy(), f"rtd-{os.getpid()}")
        own.mkdir()
        own.chmod(0o1777)
        os.environ["TMPDIR"] = tempfile.tempdir = str(own)
        atexit.register(shutil.rmtree, own)  # first to be registered, so last: others lie in it


def pytest_xdist_auto_num_workers() -> int:
    """Give two cores three workers: a fifth of the time goes to waiting, but each more takes longer to collect."""
    return max((os.cpu_count() or 1) * 3 // 2, 2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take sockets away from the tests of what is pure, and begin with what takes longest, mostly by waiting."""
    root = Path(__file__).parent
    items.sort(key=lambda item: item.path.name not in SLOW)
    for item in items:
        if item.path.is_relative_to(root) and item.path.relative_to(root).parts[0] in PURE:
            item.add_marker(pytest.mark.disable_socket)


@pytest.fixture(scope="session", autouse=True)
def _surroundings() -> Iterator[None]:
    """Keep what the person who runs the tests has set for retentiond, AWS or the terminal out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("RETENTIOND_", "AWS_"))]:
            patch.delenv(name)
        for name, value in AWS.items():
            patch.setenv(name, value)
        patch.setenv("NO_COLOR", "1")
        patch.setenv("NO_PROXY", ",".join(filter(None, ["127.0.0.1", os.environ.get("NO_PROXY")])))
        yield


@pytest.fixture(scope="session", autouse=True)
def _yaml_that_is_read_once() -> Iterator[None]:
    """Read each file of YAML once: the same few are read thousands of times, and a fifth of all time went there."""
    from retentiond.settings import document  # noqa: PLC0415 - the copy of this house in tests/house has no retentiond

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "parse_document", lru_cache(document.parse_document))
        yield


@pytest.fixture(scope="session", autouse=True)
def _statements_that_are_compiled_once() -> Iterator[None]:
    """Compile each of the ledger's statements once and not for each ledger that is opened: a sixth of the time."""
    from sqlalchemy import create_engine  # noqa: PLC0415 - as above

    from retentiond.ledger import postgresql, sqlite  # noqa: PLC0415 - as above

    first: dict[str, Engine] = {}

    def sharing(url: str, **options: object) -> Engine:
        engine = create_engine(url, **options)
        known = first.setdefault(url, engine)
        engine.dialect = engine.pool._dialect = known.dialect
        engine._compiled_cache = known._compiled_cache
        return engine

    with pytest.MonkeyPatch.context() as patch:
        for module in (sqlite, postgresql):
            patch.setattr(module, "create_engine", sharing)
        yield


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """Start one S3 server on a free port of 127.0.0.1 for the session, and give its URL."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - a second to import, and most tests do without

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto_s3(moto_server: str) -> str:
    """Give the URL of an S3 server that has no buckets, for credentials and region of the environment."""
    with closing(HTTPConnection(urlsplit(moto_server).netloc, timeout=30)) as connection:
        connection.request("POST", "/moto-api/reset")
        assert connection.getresponse().status == 200
    return moto_server


@pytest.fixture(scope="session")
def utc() -> Callable[..., datetime]:
    """Give a function that makes a UTC time: `utc(2026, 11, 24, 3)` or `utc("2026-11-24T03:00:00Z")`."""

    def make(first: int | str, *rest: int) -> datetime:
        if isinstance(first, str):
            return datetime.fromisoformat(first).astimezone(UTC)
        return datetime(first, *rest, tzinfo=UTC)  # type: ignore[misc,arg-type]

    return make
