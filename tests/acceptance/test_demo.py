"""The demo: it ends well, leaves what it promises, and is good to read."""

from __future__ import annotations

import json
from pathlib import Path

from tests.acceptance.program import Program

NOISE = ("werkzeug", '"GET /', '"PUT /', "HTTP/1.1", "WARNING", "Running on", "DeprecationWarning")


def test_the_demo_tells_its_story_and_leaves_everything(program: Program, tmp_path: Path) -> None:
    told = program("demo", "--dir", "story")
    assert "forgery refused" in told.out
    assert "VALID" in told.out
    assert "INVALID" in told.out
    assert [noise for noise in NOISE if noise in told.said] == []

    left = tmp_path / "story"
    wanted = ("log/checkpoint", "keys/log.vkey", "keys/issuer.pem", "config/policies.yaml", "config/datamap.yaml")
    assert [name for name in wanted if not (left / name).is_file()] == []
    assert list(left.glob("ledger*.db"))
    receipts = sorted(left.glob("receipts/*.bundle.json"))
    assert receipts
    keys = ("--key", left / "keys" / "log.vkey", "--key", left / "keys" / "issuer.pem")
    for receipt in receipts:
        text = receipt.read_text(encoding="utf-8")
        assert json.loads(text)["mediaType"]
        assert "acct-" not in text
        found = program("receipt", "verify", receipt, *keys, "--log", left / "log", "--json").json
        assert found["valid"] is True
        assert [note for note in found["notes"] if "stands on" in note] == []
    listed = program("--config", left / "config", "receipt", "list", "--json").json["receipts"]
    assert "closure" in [each["kind"] for each in listed]


def test_the_demo_writes_over_nothing(program: Program, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config").write_text("mine", encoding="utf-8")
    refused = program("demo", "--dir", "mine", code=[1, 2])
    assert "mine" in refused.err
    assert (tmp_path / "mine" / "config").read_text(encoding="utf-8") == "mine"
