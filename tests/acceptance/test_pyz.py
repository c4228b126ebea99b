"""The verifier in one file, by itself: no retentiond, no configuration, nothing but `cryptography`."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.program import Program
from tests.acceptance.world import World

BUILD = "import pathlib, sys; from retentiond.verify.pyz import build; build(pathlib.Path(sys.argv[1]))"

# Runs the archive where nothing of retentiond can be imported.
ALONE = (
    "import runpy, sys; sys.modules['retentiond'] = None; sys.argv.pop(0); runpy.run_path(sys.argv[0], {}, '__main__')"
)


@pytest.fixture
def verifier(program: Program, installation: Path) -> Program:
    python = replace(program, script=installation / "python")
    archive = program.cwd / "retentiond-verify.pyz"
    python("-c", BUILD, archive)
    return replace(python, wrapper=(str(installation / "python"), "-c", ALONE), script=archive)


def test_the_archive_verifies_the_receipt_of_a_real_run_and_refuses_a_forged_one(
    small: World, verifier: Program
) -> None:
    (run,) = small("apply", small.approved_plan())["runs"]
    receipt = small.root / run["file"]
    log = small.config / "log"
    keys = ("--key", log / "keys" / "issuer.pem", "--key", log / "keys" / "log.vkey")
    assert verifier(receipt, *keys, "--json").json["valid"] is True
    assert verifier(receipt, *keys, "--log", log, "--history", log / "keys" / "history.json").out.startswith("VALID")

    bundle = json.loads(receipt.read_text(encoding="utf-8"))
    annex = base64.b64decode(bundle["annex"]).replace(b'"purged":', b'"purged":1', 1)
    bundle["annex"] = base64.b64encode(annex).decode()
    forged = small.root / "forged.json"
    forged.write_text(json.dumps(bundle), encoding="utf-8")
    refused = verifier(forged, *keys, "--json", code=1).json
    assert (refused["valid"], refused["step"]) == (False, "annex")
    assert refused["reason"]
