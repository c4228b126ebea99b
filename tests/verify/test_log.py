"""Steps `entry`, `checkpoint` and `retracted` with a published log beside the receipt."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from retentiond.verify import UsageError, Verdict, Verifier, verify
from retentiond.verify.keyring import pin
from retentiond.verify.publishedlog import tile_number

from .builder import (
    ORIGIN,
    PLAN_INDEX,
    PLAN_SHA256,
    RECEIPT_INDEX,
    STRANGER,
    TRUSTED,
    WITNESS,
    WITNESS_1,
    Draft,
    Sealed,
    checkpoint_body,
    cosign,
    entry,
    over_runs,
    raw,
    seal,
    sha256,
    sign_note,
    vkey,
    write_log,
)
from .changes import cases

OTHER = "ab" * 32


def verdict(sealed: Sealed, log: Path | str) -> Verdict:
    return verify(sealed.data, TRUSTED, log=str(log))


def later(sealed: Sealed, *entries: bytes, total: int = 700) -> list[bytes]:
    """The log after it has grown by these entries and others."""
    grown = [*sealed.entries, *entries]
    return grown + [entry("state", sha256(b"later %d" % number)) for number in range(total - len(grown))]


@pytest.mark.parametrize("total", [600, 601, 768, 769, 1024, 1500])
@pytest.mark.parametrize("make", [Draft, over_runs])
def test_a_receipt_that_stands_in_the_log_is_valid(tmp_path: Path, make: Callable[[], Draft], total: int) -> None:
    sealed = seal(make())
    found = verdict(sealed, write_log(tmp_path, later(sealed, total=total)))
    assert found.reason is None
    assert any("its plan was in the log" in line for line in found.proven) is (make is Draft)
    assert any(str(total) in line for line in found.proven)
    assert not any("--log" in line for line in found.not_proven)


def test_a_bundles_number_is_spelled_in_groups_of_three_digits() -> None:
    assert [tile_number(number) for number in (0, 7, 999, 1000, 1_234_067)] == [
        "000",
        "007",
        "999",
        "x001/000",
        "x001/x234/067",
    ]


def test_a_partial_bundle_may_have_been_replaced_by_the_full_one(tmp_path: Path) -> None:
    sealed = seal(Draft())
    write_log(tmp_path, later(sealed, total=1024))
    (tmp_path / "checkpoint").write_text(
        f"{(body := checkpoint_body(sealed.entries))}\n{sign_note(body)}",
        encoding="utf-8",
    )
    assert not (tmp_path / "tile/entries/002.p").exists()
    assert verdict(sealed, tmp_path).valid


WRONG_ENTRIES: list[tuple[str, dict[int, bytes]]] = [
    ("the plan is another", {PLAN_INDEX: entry("plan", OTHER)}),
    ("the plan's entry is no plan", {PLAN_INDEX: entry("state", PLAN_SHA256)}),
    ("the plan's entry is a policy", {PLAN_INDEX: entry("policy", PLAN_SHA256)}),
    ("the plan stands elsewhere", {PLAN_INDEX: entry("state", OTHER), PLAN_INDEX + 1: entry("plan", PLAN_SHA256)}),
    ("the plan's entry has more lines", {PLAN_INDEX: entry("plan", PLAN_SHA256) + b"x\n"}),
]


@pytest.mark.parametrize("further", cases(WRONG_ENTRIES))
def test_the_plan_has_to_be_in_the_log_as_the_statement_says(tmp_path: Path, further: dict[int, bytes]) -> None:
    draft = Draft()
    draft.further = further
    sealed = seal(draft)
    assert verify(sealed.data, TRUSTED).valid
    assert verdict(sealed, write_log(tmp_path, sealed.entries)).step == "entry"


@pytest.mark.parametrize("kind_line", ["receipt -", "receipt 271", "plan", "state"])
def test_the_receipts_own_entry_has_to_be_of_its_kind(tmp_path: Path, kind_line: str) -> None:
    draft = Draft()
    draft.kind_line = kind_line
    sealed = seal(draft)
    assert verdict(sealed, write_log(tmp_path, sealed.entries)).step == "entry"


def test_a_log_that_shows_something_else_at_the_receipts_index_is_refused(tmp_path: Path) -> None:
    sealed = seal(Draft())
    sealed.entries[RECEIPT_INDEX] = entry("state", OTHER)
    assert verdict(sealed, write_log(tmp_path, sealed.entries)).step == "entry"


def test_a_log_that_ends_before_the_receipt_is_refused(tmp_path: Path) -> None:
    sealed = seal(Draft())
    assert verdict(sealed, write_log(tmp_path, sealed.entries[:RECEIPT_INDEX])).step == "entry"


def test_a_log_older_than_the_receipts_checkpoint_is_refused(tmp_path: Path) -> None:
    sealed = seal(Draft())
    found = verdict(sealed, write_log(tmp_path, sealed.entries[:599]))
    assert found.step == "checkpoint"
    assert "older" in (found.reason or "")


@pytest.mark.parametrize("index", [0, RECEIPT_INDEX + 1, 599])
def test_a_log_with_another_history_is_refused(tmp_path: Path, index: int) -> None:
    sealed = seal(Draft())
    sealed.entries[index] = entry("state", OTHER)
    found = verdict(sealed, write_log(tmp_path, later(sealed)))
    assert found.step == "checkpoint"
    assert "two histories" in (found.reason or "")


# ------------------------------------------------------------------------------------------------- a spoiled log


def bundle_file(log: Path, number: int = 1) -> Path:
    return log / f"tile/entries/{number:03d}"


def tamper(log: Path) -> None:
    data = bytearray(bundle_file(log).read_bytes())
    data[-2] ^= 1
    bundle_file(log).write_bytes(bytes(data))


def note_of(log: Path, change: Callable[[str], str]) -> None:
    text = (log / "checkpoint").read_text(encoding="utf-8")
    (log / "checkpoint").write_text(change(text), encoding="utf-8")


def sign_by_stranger(log: Path) -> None:
    note_of(log, lambda text: (body := text.partition("\n\n")[0] + "\n") + "\n" + sign_note(body, signer=STRANGER))


def other_size(log: Path) -> None:
    note_of(log, lambda text: (body := text.partition("\n\n")[0].replace("600", "512") + "\n") + "\n" + sign_note(body))


def extended(log: Path) -> None:
    note_of(log, lambda text: (body := text.partition("\n\n")[0] + "\nmore\n") + "\n" + sign_note(body))


def append(log: Path, data: bytes) -> None:
    bundle_file(log).write_bytes(bundle_file(log).read_bytes() + data)


def as_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILED: list[tuple[str, Callable[[Path], object]]] = [
    ("a tampered entry", tamper),
    ("a missing full bundle", lambda log: bundle_file(log).unlink()),
    ("a missing partial bundle", lambda log: (log / "tile/entries/002.p/88").unlink()),
    ("a truncated bundle", lambda log: bundle_file(log).write_bytes(bundle_file(log).read_bytes()[:-1])),
    ("an empty bundle", lambda log: bundle_file(log).write_bytes(b"")),
    ("half a length at the end", lambda log: append(log, b"\0")),
    ("one entry more", lambda log: append(log, b"\0\1x")),
    ("a length beyond the end", lambda log: append(log, b"\xff\xff")),
    ("a bundle that is a directory", lambda log: as_directory(bundle_file(log))),
    ("an endless bundle", lambda log: bundle_file(log).write_bytes(bytes(20_000_000))),
    ("no checkpoint", lambda log: (log / "checkpoint").unlink()),
    ("a checkpoint that is a directory", lambda log: as_directory(log / "checkpoint")),
    ("an empty checkpoint", lambda log: (log / "checkpoint").write_bytes(b"")),
    ("a checkpoint that is not text", lambda log: (log / "checkpoint").write_bytes(b"\xff\xfe")),
    ("a checkpoint of two megabytes", lambda log: (log / "checkpoint").write_bytes(b"x" * 2_000_000)),
    ("a checkpoint signed by a stranger", sign_by_stranger),
    ("a checkpoint without signature", lambda log: note_of(log, lambda text: text.partition("—")[0])),
    ("a checkpoint of another size", other_size),
    ("a checkpoint with an extension line", extended),
]


@pytest.mark.parametrize("spoil", cases(SPOILED))
def test_a_log_that_does_not_hold_together_answers_nothing(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    sealed = seal(Draft())
    write_log(tmp_path, sealed.entries)
    assert verdict(sealed, tmp_path).valid
    spoil(tmp_path)
    found = verdict(sealed, tmp_path)
    assert (found.valid, found.step) == (False, "entry")


@pytest.mark.parametrize("data", [b"\0", b"\xff\xff", b"\0\5text"])
def test_a_bundle_that_ends_too_early_is_said_to(tmp_path: Path, data: bytes) -> None:
    sealed = seal(Draft())
    append(write_log(tmp_path, sealed.entries), data)
    assert "tile/entries/001 ends in the middle" in (verdict(sealed, tmp_path).reason or "")


def test_a_tampered_tile_is_no_way_to_a_wrong_root(tmp_path: Path) -> None:
    sealed = seal(Draft())
    log = write_log(tmp_path, sealed.entries)
    (log / "tile/0").mkdir()
    (log / "tile/0/000").write_bytes(bytes(8192))
    assert verdict(sealed, log).valid


@pytest.mark.parametrize("where", ["nowhere", "checkpoint", "ftp://log.example/", "file:///tmp", "\0"])
def test_a_log_that_is_no_directory_is_a_usage_error(tmp_path: Path, where: str) -> None:
    sealed = seal(Draft())
    write_log(tmp_path, sealed.entries)
    location = where if ":" in where or "\0" in where else str(tmp_path / where)
    with pytest.raises(UsageError) as error:
        verify(b"not even a bundle", TRUSTED, log=location)
    assert error.value.where == location


def test_the_log_is_read_once_for_many_receipts(tmp_path: Path) -> None:
    sealed = seal(Draft())
    verifier = Verifier(pin(TRUSTED), str(write_log(tmp_path, sealed.entries)))
    assert verifier.verify(sealed.data).valid
    (tmp_path / "checkpoint").unlink()
    assert verifier.verify(sealed.data).valid


# ------------------------------------------------------------------------------------------ retracted


def retracting(sealed: Sealed) -> list[tuple[str, bytes]]:
    return [
        ("retracted", entry(f"retract {RECEIPT_INDEX} wrong-count", sealed.digest)),
        ("retracted in many words", entry(f"retract {RECEIPT_INDEX} <b>wrong</b> \u202ecount", sealed.digest)),
        ("another receipt of the plan", entry(f"receipt {PLAN_INDEX}", OTHER)),
        ("the same receipt once more", entry(f"receipt {PLAN_INDEX}", sealed.digest)),
        ("the plan expired", entry(f"void {PLAN_INDEX} expired", PLAN_SHA256)),
        ("the plan was cancelled", entry(f"void {PLAN_INDEX} cancelled", PLAN_SHA256)),
        ("the plan was superseded", entry(f"void {PLAN_INDEX} superseded", PLAN_SHA256)),
    ]


@pytest.mark.parametrize("case", range(len(retracting(seal(Draft())))))
@pytest.mark.parametrize("after", [True, False], ids=["later", "in the receipt's own tree"])
def test_what_ends_a_receipt_or_its_plan_in_another_way_is_honoured(
    tmp_path: Path,
    case: int,
    after: bool,  # noqa: FBT001 - a case
) -> None:
    sealed = seal(Draft())
    _, data = retracting(sealed)[case]
    if after:
        assert verdict(sealed, write_log(tmp_path / "before", later(sealed))).valid
        entries = later(sealed, data)
    else:
        draft = Draft()
        draft.further = {400: data}
        sealed = seal(draft)
        entries = sealed.entries
    assert verdict(sealed, write_log(tmp_path / "after", entries)).step == "retracted"


def test_another_receipt_before_it_is_honoured_too(tmp_path: Path) -> None:
    draft = Draft()
    draft.further = {275: entry(f"receipt {PLAN_INDEX}", OTHER)}
    sealed = seal(draft)
    assert verdict(sealed, write_log(tmp_path, sealed.entries)).step == "retracted"


def harmless(sealed: Sealed) -> list[bytes]:
    return [
        entry(f"retract {RECEIPT_INDEX} wrong", OTHER),
        entry(f"retract {RECEIPT_INDEX + 1} wrong", sealed.digest),
        entry(f"retract 0{RECEIPT_INDEX} wrong", sealed.digest),
        entry(f"void {PLAN_INDEX} expired", OTHER),
        entry(f"void {PLAN_INDEX + 1} expired", PLAN_SHA256),
        entry(f"receipt {PLAN_INDEX + 1}", sealed.digest),
        entry("receipt -", OTHER),
        entry("plan", PLAN_SHA256),
        entry("anchor", OTHER),
        entry("key", OTHER),
        entry("nobody knows this kind", sealed.digest),
        entry(f"retract {RECEIPT_INDEX} wrong", sealed.digest) + b"more\n",
        b"",
        b"\xff\xfe\0",
        b"x" * 65535,
        b"retentiond/log-entry/v2\nretract 280 wrong\nsha256:" + sealed.digest.encode() + b"\n",
    ]


def test_what_speaks_of_something_else_does_no_harm(tmp_path: Path) -> None:
    sealed = seal(Draft())
    assert verdict(sealed, write_log(tmp_path, later(sealed, *harmless(sealed)))).reason is None


def test_a_receipt_over_runs_can_be_retracted(tmp_path: Path) -> None:
    sealed = seal(over_runs())
    data = entry(f"retract {RECEIPT_INDEX} wrong", sealed.digest)
    assert verdict(sealed, write_log(tmp_path, later(sealed, data))).step == "retracted"


@pytest.mark.parametrize("kind_line", ["receipt -", "receipt 3"])
def test_a_run_that_the_log_does_not_bear_out_is_said(tmp_path: Path, kind_line: str) -> None:
    sealed = seal(over_runs())
    first, second = entry(kind_line, "1a" * 32), entry(kind_line, "2b" * 32)

    def said(further: dict[int, bytes], *more: bytes) -> list[str]:
        draft = over_runs()
        draft.further = further
        found = verdict(seal(draft), write_log(tmp_path, [*seal(draft).entries, *more]))
        assert found.valid
        return [note for note in found.notes if "stands on" in note]

    assert said({12: first, 40: second}) == []
    assert said({12: first}) == ["the log has no such receipt of a run that this stands on: entry 40"]
    assert said({12: second, 40: entry("plan", "2b" * 32)})[1].endswith("entry 40")
    retracts = entry("retract 12 wrong", "1a" * 32)
    assert said({12: first, 40: second}, retracts) == ["the log retracts a run that this stands on: entry 12"]
    assert said({12: first, 40: second}, entry("retract 12 wrong", sealed.digest)) == []


def test_a_log_is_said_to_end_somewhere(tmp_path: Path) -> None:
    sealed = seal(Draft())
    missing = verdict(sealed, write_log(tmp_path, later(sealed))).not_proven
    assert any("700 entries" in line and "newer log" in line for line in missing)


@pytest.mark.parametrize(("signer", "said"), [(WITNESS_1, False), (STRANGER, True), (None, True)])
def test_a_log_that_no_pinned_witness_saw_is_said(
    tmp_path: Path, signer: Ed25519PrivateKey | None, *, said: bool
) -> None:
    """The receipt's checkpoint is cosigned; the log given may be a fork that goes on from there."""
    draft = Draft()
    draft.write_note = lambda body: f"{body}\n{sign_note(body)}{cosign(body, 7)}"
    sealed = seal(draft)

    def note(body: str) -> str:
        return f"{body}\n{sign_note(body)}" + (cosign(body, 8, signer=signer) if signer else "")

    log = write_log(tmp_path, later(sealed), note)
    found = verify(sealed.data, TRUSTED, log=str(log), witnesses=[vkey(WITNESS, raw(WITNESS_1), 4)])
    assert found.valid
    assert any("others see the log" in line for line in found.not_proven) is said


def test_a_receipt_over_runs_has_no_plan_that_could_end_twice(tmp_path: Path) -> None:
    sealed = seal(over_runs())
    others = (
        entry("receipt -", OTHER),
        entry(f"receipt {PLAN_INDEX}", OTHER),
        entry(f"void {PLAN_INDEX} x", PLAN_SHA256),
    )
    assert verdict(sealed, write_log(tmp_path, later(sealed, *others))).valid


# ------------------------------------------------------------------------------------------ over the network


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


class Packed(BaseHTTPRequestHandler):
    """Serves everything as gzip, asked or not, as c2sp.org/tlog-tiles allows."""

    root: Path

    def do_GET(self) -> None:
        file = self.root / self.path.lstrip("/")
        data = gzip.compress(file.read_bytes()) if file.is_file() else b""
        self.send_response(200 if data else 404)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


class Failing(BaseHTTPRequestHandler):
    """Answers everything with the same status, or not as HTTP."""

    status: int | None = 500

    def do_GET(self) -> None:
        if self.status is None:
            self.wfile.write(b"what?\r\n\r\n")
            return
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


Serve = Callable[[Any], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(handler: Any) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_log_is_read_over_http(tmp_path: Path, serve: Serve) -> None:
    sealed = seal(Draft())
    write_log(tmp_path / "logs" / "a", later(sealed))
    url = serve(partial(Quiet, directory=str(tmp_path)))
    for location in (f"{url}/logs/a", f"{url}/logs/a/"):
        assert verdict(sealed, location).reason is None


def test_a_retraction_is_honoured_over_http(tmp_path: Path, serve: Serve) -> None:
    sealed = seal(Draft())
    write_log(tmp_path, later(sealed, entry(f"retract {RECEIPT_INDEX} wrong", sealed.digest)))
    assert verdict(sealed, serve(partial(Quiet, directory=str(tmp_path)))).step == "retracted"


def test_a_log_that_is_served_compressed_is_read(tmp_path: Path, serve: Serve) -> None:
    sealed = seal(Draft())
    write_log(tmp_path, sealed.entries)
    assert verdict(sealed, serve(type("Here", (Packed,), {"root": tmp_path}))).valid


def test_what_only_claims_to_be_compressed_is_refused(tmp_path: Path, serve: Serve) -> None:
    sealed = seal(Draft())
    write_log(tmp_path, sealed.entries)
    plain = type("Here", (Quiet,), {"end_headers": _claim_gzip})
    assert verdict(sealed, serve(partial(plain, directory=str(tmp_path)))).step == "entry"


def _claim_gzip(handler: Quiet) -> None:
    handler.send_header("Content-Encoding", "gzip")
    SimpleHTTPRequestHandler.end_headers(handler)


def test_what_unpacks_to_more_than_it_may_is_refused(tmp_path: Path, serve: Serve) -> None:
    sealed = seal(Draft())
    write_log(tmp_path, sealed.entries)
    bundle_file(tmp_path).write_bytes(bytes(50_000_000))
    found = verdict(sealed, serve(type("Here", (Packed,), {"root": tmp_path})))
    assert found.step == "entry"
    assert "larger" in (found.reason or "")


class WithoutPartial(Quiet):
    """Serves a directory, but answers for partial bundles with a status of its own."""

    status: int

    def do_GET(self) -> None:
        if ".p/" in self.path:
            self.send_error(self.status)
        else:
            super().do_GET()


@pytest.mark.parametrize(("status", "valid"), [(404, True), (410, True), (403, False), (500, False), (503, False)])
def test_only_a_partial_bundle_that_is_known_to_be_gone_is_replaced_by_the_full_one(
    tmp_path: Path,
    serve: Serve,
    status: int,
    valid: bool,  # noqa: FBT001 - a case
) -> None:
    sealed = seal(Draft())
    write_log(tmp_path, later(sealed, total=768))
    body = checkpoint_body(sealed.entries)
    (tmp_path / "checkpoint").write_text(f"{body}\n{sign_note(body)}", encoding="utf-8")
    handler = type("Here", (WithoutPartial,), {"status": status})
    found = verdict(sealed, serve(partial(handler, directory=str(tmp_path))))
    assert found.valid is valid
    assert valid or "could not be read" in (found.reason or "")


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503, 204, None])
def test_a_server_that_fails_makes_nothing_valid(serve: Serve, status: int | None) -> None:
    sealed = seal(Draft())
    assert verdict(sealed, serve(type("Here", (Failing,), {"status": status}))).step == "entry"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://", "http://[", "http://127.0.0.1:99999/", "http://a b/"]
)
def test_an_address_where_nobody_answers_makes_nothing_valid(url: str) -> None:
    assert verdict(seal(Draft()), url).step == "entry"


def test_an_origin_with_strange_letters_is_a_name_like_others(tmp_path: Path) -> None:
    assert ORIGIN.isascii()
    sealed = seal(Draft())
    log = write_log(tmp_path / "lög \u202e'; --", sealed.entries)
    assert verdict(sealed, log).valid
