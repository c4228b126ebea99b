"""The log as an auditor has it: a directory or a URL, two keys, and perhaps some receipts; and the command itself."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from retentiond.cli import cli
from retentiond.errors import Exit, LogIntegrityError, UsageError
from retentiond.evidence.vkey import VerifierKey
from tests.audit.instance import copied, entries
from tests.engine.office import Office

Audit = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return copied(tmp_path_factory.mktemp("outside"))


@pytest.fixture
def audit(capsys: pytest.CaptureFixture[str]) -> Audit:
    def run(*words: str) -> tuple[int, dict[str, Any]]:
        code = cli.main(("--json", "audit", *words), standalone_mode=False)
        return int(code), json.loads(capsys.readouterr().out)

    return run


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def served(root: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def keys(office: Office) -> list[str]:
    folder = office.root / "log" / "keys"
    return ["--key", str(folder / "issuer.pem"), "--key", str(folder / "log.vkey")]


def receipts(office: Office) -> list[str]:
    return [str(path) for path in (office.root / "receipts").glob("*.bundle.json")]


def test_an_auditor_sees_what_is_published_and_is_told_what_was_not_seen(office: Office, audit: Audit) -> None:
    code, found = audit("--log", str(office.root / "log"), *keys(office), *receipts(office))
    assert (code, found["findings"], found["findings_total"]) == (Exit.DONE, [], 0)
    assert found["size"] == len(entries(office))
    assert found["receipts"] == len(receipts(office))
    assert any("ledger" in line for line in found["not_checked"])
    with served(office.root / "log") as url:
        code, there = audit("--log", url, *keys(office))
    assert (code, there["findings"], there["root"]) == (Exit.DONE, [], found["root"])
    assert any("cannot be listed" in line for line in there["not_checked"])


def test_an_auditor_finds_an_older_log_than_a_receipt_proves(office: Office, audit: Audit, tmp_path: Path) -> None:
    log = tmp_path / "log"
    shutil.copytree(office.root / "log", log)
    older = json.loads(Path(min(receipts(office))).read_bytes())["tlogProof"].split("\n\n", 1)[1]
    (log / "checkpoint").write_text(older, encoding="utf-8")
    code, found = audit("--log", str(log), *keys(office), *receipts(office))
    assert code == Exit.FINDINGS
    assert next(each["where"] for each in found["findings"]) == "checkpoint"
    assert "was signed (the checkpoint in" in found["findings"][0]["what"]


def test_another_logs_key_is_refused(office: Office, audit: Audit, tmp_path: Path) -> None:
    name, _, rest = (office.root / "log" / "keys" / "log.vkey").read_text("ascii").partition("+")
    other = tmp_path / "other.vkey"
    other.write_text(VerifierKey(name, b"\x05" * 32).encode(), "ascii")
    issuer = str(office.root / "log" / "keys" / "issuer.pem")
    code, found = audit("--log", str(office.root / "log"), "--key", issuer, "--key", str(other))
    assert (code, found["size"], found["root"]) == (Exit.FINDINGS, 0, None)
    assert found["findings"][0]["where"] == "checkpoint"
    assert rest


def test_people_read_it_too(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(("audit", "--log", str(office.root / "log"), *keys(office)), standalone_mode=False)
    assert code == Exit.DONE
    said = capsys.readouterr().out
    assert f"{len(entries(office))} entries" in said
    assert "nothing is wrong" in said


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), "what is to be audited"),
        (("--log", "nowhere", "KEYS"), "neither a directory nor"),
        (("--log", "KEYS"), "which log is not said"),
        (("--log", "LOG", "--key", "nowhere"), "cannot be read"),
        (("--log", "LOG", "--key", "ISSUER"), "0 keys for the role log"),
        (("--log", "LOG", "RECEIPT"), "only by who audits from outside"),
    ],
)
def test_a_question_that_cannot_be_answered_is_an_error(office: Office, words: tuple[str, ...], what: str) -> None:
    issuer = str(office.root / "log" / "keys" / "issuer.pem")
    meant = {
        "LOG": [str(office.root / "log")],
        "KEYS": keys(office),
        "ISSUER": [issuer],
        "RECEIPT": receipts(office)[:1],
    }
    asked = [word for each in words for word in meant.get(each, [each])]
    with pytest.raises(UsageError, match=what) as caught:
        cli.main(("audit", *asked), standalone_mode=False)
    assert caught.value.remedy


def test_a_tile_that_cannot_be_read_is_unknown_and_no_finding(office: Office, tmp_path: Path, audit: Audit) -> None:
    log = tmp_path / "log"
    shutil.copytree(office.root / "log", log)
    (log / "tile" / "entries" / "000").unlink()
    (log / "tile" / "entries" / "000").mkdir()
    with pytest.raises(LogIntegrityError, match="could not be read") as caught:
        audit("--log", str(log), *keys(office))
    assert caught.value.remedy
