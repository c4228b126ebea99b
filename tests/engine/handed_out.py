"""What an office hands out: bundles, verified by what shares no code with the writers, and by rules read anew."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import rfc8785

from retentiond.verify import verify_files
from retentiond.verify.verdict import Verdict
from tests.engine.office import Office


def verdict(office: Office, path: Path | str, *, log: bool = True) -> Verdict:
    """Verify a bundle against the office's keys, and its log."""
    keys = [str(office.root / "log" / "keys" / name) for name in ("issuer.pem", "log.vkey")]
    ((_, found),) = verify_files([str(path)], keys, log=str(office.root / "log") if log else None)
    return found


def read(path: Path | str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a bundle and its statement's predicate."""
    bundle = json.loads(Path(path).read_bytes())
    return bundle, json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))["predicate"]


def leaf(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(bundle["account"]["leaf"]))
    return found


def annex_over_runs(path: Path | str) -> dict[str, Any]:
    """Check a statement over runs by the steps 7 and 8, as they are written down, and return its annex."""
    bundle, predicate = read(path)
    data = base64.b64decode(bundle["annex"])
    annex: dict[str, Any] = json.loads(data)
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert statement["subject"] == [{"name": "annex", "digest": {"sha256": hashlib.sha256(data).hexdigest()}}]
    assert rfc8785.dumps(annex) == data
    assert (predicate["run"], predicate["outcome"]) == (None, "complete")
    digest = hashlib.sha256(rfc8785.dumps(annex["runs"])).hexdigest()
    assert predicate["runs"] == {"count": len(annex["runs"]), "sha256": digest}
    assert bundle["tlogProof"].split("\n")[1].startswith("index ")
    return annex
