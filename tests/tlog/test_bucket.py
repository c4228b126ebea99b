"""The log in a bucket: as in a directory, whatever the server does; and conditions only where they are honoured."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import boto3
import pytest

from retentiond.connectors.s3.objects import PublishedObjects
from retentiond.connectors.s3.options import S3Options
from retentiond.errors import LogIntegrityError, RetentiondError
from retentiond.evidence.vkey import VerifierKey
from retentiond.tlog import BucketStore, TileLog
from retentiond.tlog.note import open_checkpoint
from tests.servers.versioned import Bucket, Forward, Reply, Request, Server, error, versioned_server
from tests.tlog import reader
from tests.tlog.parts import ORIGIN, VKEY, FixedKey, MemoryState, open_log

BOTH = frozenset(("if-none-match", "if-match"))
PREFIX = "logs/one/"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with versioned_server() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.bucket = Bucket(versioning="", honours=BOTH)
    running.script = lambda request, forward: forward(request)
    running.seen.clear()
    return running


@cache
def objects_at(url: str) -> PublishedObjects:
    """One client for all tests: making it takes longer than most of them."""
    return PublishedObjects(S3Options(bucket="published", endpoint=url))


def open_store(server: Server) -> BucketStore:
    return BucketStore(objects_at(server.url), PREFIX)


def in_bucket(server: Server, state: MemoryState) -> TileLog:
    return TileLog(ORIGIN, FixedKey(), state, open_store(server))


def downloaded(server: Server, root: Path) -> Path:
    """What the public sees."""
    for key, (newest, *_) in server.bucket.objects.items():
        path = root / key.decode().removeprefix(PREFIX)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(newest.body or b"")
    return root


def check_published(server: Server, state: MemoryState, root: Path) -> int:
    found = reader.read(downloaded(server, root), VKEY)
    assert found.entries == state.staged[: found.size]
    return found.size


@pytest.mark.parametrize("honours", [("if-none-match", "if-match"), ("if-none-match",), ("if-match",), ()])
def test_it_is_the_log_of_a_directory_byte_for_byte(server: Server, tmp_path: Path, honours: tuple[str, ...]) -> None:
    server.bucket.honours = frozenset(honours)
    state = MemoryState()
    log, beside = in_bucket(server, state), open_log(tmp_path / "there", MemoryState(state.staged))
    for step in (3, 250, 0, 300):
        state.stage(step)
        assert log.publish() == beside.publish() == len(state.staged)
    log.publish_file("policies/abc.json", b"{}")
    log.publish_file("keys/history.json", b"1")
    log.publish_file("keys/history.json", b"2", replace=True)
    root = downloaded(server, tmp_path / "here")
    for path in (tmp_path / "there").rglob("*"):
        if path.is_file():
            assert (root / path.relative_to(tmp_path / "there")).read_bytes() == path.read_bytes()
    assert check_published(server, state, root) == log.rebuild_check() == 553
    assert list(log.read_entries()) == state.staged
    assert reader.check_proof(log.prove(260), state.staged[260], VKEY) == (260, 553)
    assert (root / "keys/history.json").read_bytes() == b"2"
    assert {"tile/0/000", "tile/entries/001"} <= set(log.published_names("tile"))
    assert len(log.remarks()) == (2 if len(honours) == 2 else 3)
    assert any("only compare-and-swap" in line for line in log.remarks()) is (len(honours) < 2)


def test_files_are_served_as_what_they_are(server: Server) -> None:
    state = MemoryState()
    state.stage(300)
    log = in_bucket(server, state)
    log.publish()
    log.publish_file("policies/abc.json", b"{}")
    sent = {request.key.decode().removeprefix(PREFIX): request.headers for request in server.seen if request.body}
    for path, kind, caching, condition in (
        ("tile/0/000", "application/octet-stream", "public, max-age=31536000, immutable", "If-None-Match"),
        ("tile/entries/001.p/44", "application/octet-stream", "max-age=60", "If-None-Match"),
        ("policies/abc.json", "application/json", "public, max-age=31536000, immutable", "If-None-Match"),
        ("checkpoint", "text/plain; charset=utf-8", "no-cache", "If-None-Match"),
    ):
        assert (sent[path]["Content-Type"], sent[path]["Cache-Control"]) == (kind, caching)
        assert sent[path][condition] == "*"
    state.stage(1)
    log.publish()
    (last,) = [
        each for each in server.seen if each.key.endswith(b"/checkpoint") and each.body and "If-Match" in each.headers
    ]
    assert last.headers["If-Match"] != "*"
    assert not server.deletions


@dataclass
class Kill:
    """The process dies at a request, before the server hears of it or after it did as it was told."""

    at: int
    after: bool
    writes: int = 0

    def __call__(self, request: Request, forward: Forward) -> Reply | None:
        if request.method != "PUT":
            return forward(request)
        self.writes += 1
        if self.writes == self.at and self.after:
            forward(request)
        return error(403, "AccessDenied") if self.writes >= self.at else forward(request)


def begun(server: Server) -> MemoryState:
    server.bucket = Bucket(versioning="", honours=BOTH)
    server.script = lambda request, forward: forward(request)
    state = MemoryState()
    state.stage(250)
    in_bucket(server, state).publish()
    state.stage(10)
    return state


def test_a_crash_at_any_write_is_finished_by_the_next_run(server: Server, tmp_path: Path) -> None:
    first, whole = begun(server), Kill(10**9, after=False)
    bucket = deepcopy(server.bucket)
    server.script = whole
    in_bucket(server, MemoryState(first.staged, first.note)).publish()
    assert whole.writes >= 10
    for at in range(1, whole.writes + 1):
        for after in (False, True):
            state = MemoryState(first.staged, first.note)
            server.bucket = deepcopy(bucket)
            server.script = Kill(at, after)
            with pytest.raises(RetentiondError, match="the log cannot be") as caught:
                in_bucket(server, state).publish()
            assert "not lost" in caught.value.remedy
            server.script = lambda request, forward: forward(request)
            check_published(server, state, tmp_path / f"{at}-{after}-before")
            log = in_bucket(server, state)
            log.compare()
            assert log.publish() == 260
            assert check_published(server, state, tmp_path / f"{at}-{after}") == 260
            assert len(state.signed) == 1


def test_writers_of_one_ledger_lose_nothing_and_make_no_fork(server: Server, tmp_path: Path) -> None:
    state, lock, failures = MemoryState(), threading.Lock(), list[BaseException]()

    class Locked(MemoryState):
        def swap_checkpoint(self, old: bytes | None, new: bytes) -> bool:
            with lock:
                return super().swap_checkpoint(old, new)

        def stage(self, count: int) -> None:
            with lock:
                super().stage(count)

    state = Locked()

    def write() -> None:
        try:
            log = in_bucket(server, state)
            for _ in range(6):
                state.stage(9)
                log.publish()
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    assert check_published(server, state, tmp_path) == len(state.staged) == 108
    hashes = [reader.sha256(b"\x00" + entry) for entry in state.staged]
    for note in state.signed:
        checkpoint = open_checkpoint(note, VerifierKey.parse(VKEY))
        assert checkpoint.root == reader.mth(hashes[: checkpoint.size])


class Overtaken(MemoryState):
    """A ledger in which somebody acts before the swap, or right after it."""

    before: Callable[[], object] | None = None
    after: Callable[[], object] | None = None

    def swap_checkpoint(self, old: bytes | None, new: bytes) -> bool:
        before, self.before = self.before, None
        if before:
            before()
        swapped = super().swap_checkpoint(old, new)
        after, self.after = self.after, None
        if after:
            after()
        return swapped


def test_a_second_ledger_can_neither_fork_the_log_nor_spoil_it(server: Server, tmp_path: Path) -> None:
    first = begun(server)
    state = Overtaken(first.staged, first.note)
    other = MemoryState([*state.staged[:250], b"another"], state.note)
    state.before = in_bucket(server, other).publish
    for _ in range(2):
        with pytest.raises(LogIntegrityError, match="checkpoint of 251 entries"):
            in_bucket(server, state).publish()
        assert check_published(server, other, tmp_path) == 251


def test_a_partial_tile_of_another_ledger_is_not_written_over(server: Server) -> None:
    state = begun(server)
    name = f"{PREFIX}tile/0/001.p/4".encode()
    server.bucket.put(name, body=b"x" * 128)
    with pytest.raises(LogIntegrityError, match="another content") as caught:
        in_bucket(server, state).publish()
    assert caught.value.where == "s3://published/logs/one/tile/0/001.p/4"
    assert server.bucket.objects[name][0].body == b"x" * 128
    assert len(state.signed) == 1


def test_an_overtaken_writer_does_not_show_its_older_checkpoint(server: Server, tmp_path: Path) -> None:
    first = begun(server)
    state = Overtaken(first.staged, first.note)

    def overtake() -> None:
        state.stage(7)
        assert in_bucket(server, state).publish() == 267

    state.after = overtake
    assert in_bucket(server, state).publish() == 267
    shown = [each.body for each in server.seen if each.method == "PUT" and each.key.endswith(b"/checkpoint")]
    assert [open_checkpoint(each, VerifierKey.parse(VKEY)).size for each in shown] == [250, 267, 260]
    assert check_published(server, state, tmp_path) == 267


def test_an_answer_that_was_lost_is_asked_for_again(server: Server, tmp_path: Path) -> None:
    state, lost = begun(server), set[bytes]()

    def lose(request: Request, forward: Forward) -> Reply | None:
        if request.method == "PUT" and request.key not in lost:
            lost.add(request.key)
            forward(request)
            return None
        return forward(request)

    server.script = lose
    assert in_bucket(server, state).publish() == 260
    assert len(lost) > 5
    assert check_published(server, state, tmp_path) == 260


@pytest.mark.parametrize(
    ("code", "status", "what"),
    [("AccessDenied", 403, "access denied"), ("NoSuchBucket", 404, "does not exist"), ("SlowDown", 503, "SlowDown")],
)
def test_what_the_server_refuses_is_said_and_nothing_is_signed(
    server: Server, monkeypatch: pytest.MonkeyPatch, code: str, status: int, what: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    state = begun(server)
    for method in ("PUT", "GET"):

        def refuse(request: Request, forward: Forward, method: str = method) -> Reply:
            return error(status, code) if request.method == method else forward(request)

        server.script = refuse
        log = in_bucket(server, state)
        for act in (log.publish, log.remarks if method == "PUT" else log.compare):
            with pytest.raises(RetentiondError, match=what) as caught:
                act()
            assert caught.value.where.startswith("s3://published/logs/one/")
            assert caught.value.remedy
    assert len(state.signed) == 1


def test_a_bucket_that_is_elsewhere_is_found_there(server: Server, tmp_path: Path) -> None:
    server.bucket.region = "eu-central-1"
    state = MemoryState()
    state.stage(3)
    objects_at.cache_clear()
    assert in_bucket(server, state).publish() == 3
    objects_at.cache_clear()
    assert check_published(server, state, tmp_path) == 3


def test_moto_honours_both_and_the_log_is_whole(moto_s3: str) -> None:
    boto3.client("s3", endpoint_url=moto_s3).create_bucket(Bucket="published")
    store = BucketStore(objects_at(moto_s3), "")
    state = MemoryState()
    log = TileLog(ORIGIN, FixedKey(), state, store)
    for step in (10, 300):
        state.stage(step)
        log.publish()
    assert log.rebuild_check() == 310
    assert [line.rpartition("is ")[2] for line in log.remarks()] == ["honoured", "honoured"]
