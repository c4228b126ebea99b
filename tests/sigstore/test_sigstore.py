"""npm's @sigstore/verify, called as docs/receipts.md says, reads the receipt of a real run."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.engine.office import carry, make_office
from tests.readme.pages import ROOT, blocks
from tests.verify.builder import STRANGER, b64, pem
from tests.verify.webpage.engine import NODE

HERE = Path(__file__).parent
NPM = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
SECONDS = 300
Bundle = dict[str, Any]


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": os.pathsep.join((str(NODE.parent), os.environ["PATH"]))}
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the package as its lock file has it, the script of the page, a receipt and the issuer's key."""
    place = tmp_path_factory.mktemp("sigstore")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, place)
    done = run(NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", place / "cache", cwd=place)
    assert done.returncode == 0, done.stderr
    (script,) = blocks(ROOT / "docs" / "receipts.md", "javascript")
    (place / "sigstore.mjs").write_text(script.text, encoding="utf-8")
    office = make_office(place / "office")
    office.request("r1", 40, account="acct-zero", payload="p1")
    office.hide("r1", 10)
    carry(office)
    (receipt,) = (office.root / "receipts").glob("*.bundle.json")
    shutil.copy(receipt, place / "receipt.json")
    shutil.copy(office.root / "log" / "keys" / "issuer.pem", place)
    return place


def verified(
    place: Path, change: Callable[[Bundle], object], key: str = "issuer.pem"
) -> subprocess.CompletedProcess[str]:
    bundle: Bundle = json.loads((place / "receipt.json").read_bytes())
    changed = deepcopy(bundle)
    change(changed)
    (place / "changed.json").write_text(json.dumps(changed), encoding="utf-8")
    return run(NODE, "sigstore.mjs", "changed.json", key, cwd=place)


def as_it_is(_bundle: Bundle) -> None:
    """Change nothing."""


def say_later(bundle: Bundle) -> None:
    body = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    assert b'"issuedAt":"2' in body
    bundle["dsseEnvelope"]["payload"] = b64(body.replace(b'"issuedAt":"2', b'"issuedAt":"3'))


def sign_otherwise(bundle: Bundle) -> None:
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = b64(bytes(64))


def test_it_accepts_the_receipt(place: Path) -> None:
    done = verified(place, as_it_is)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "signed by the issuer: urn:retentiond:deletion-receipt:v1\n"


@pytest.mark.parametrize("change", [say_later, sign_otherwise])
def test_it_refuses_what_was_altered(place: Path, change: Callable[[Bundle], object]) -> None:
    done = verified(place, change)
    assert done.returncode == 1
    assert "signature verification failed" in done.stderr


def test_it_refuses_another_key(place: Path) -> None:
    (place / "stranger.pem").write_text(pem(STRANGER), encoding="ascii")
    assert "signature verification failed" in verified(place, as_it_is, "stranger.pem").stderr


def test_it_does_not_compare_the_subjects_digest(place: Path) -> None:
    """As the page says: whoever relies on this alone has to do so."""
    assert verified(place, lambda bundle: bundle.update(annex=b64(b"{}"))).returncode == 0


def test_the_lock_file_names_no_place_that_it_was_fetched_from() -> None:
    text = (HERE / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in text
    assert "resolved" not in text
