"""What the tests of rotation share: runs with something due, the keys that somebody pinned, and what these say."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from retentiond.engine import keychange, keyverbs
from retentiond.engine.keyverbs import Rotated
from retentiond.evidence.keyhistory import KeyRecord
from retentiond.verify import Verdict, verify
from tests.engine.office import Office, carry
from tests.verify.builder import WITNESS, WITNESS_1, cosign, raw, vkey

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Pins:
    """The public keys as they were published at some time."""

    pem: str
    vkey: str

    @property
    def origin(self) -> str:
        return self.vkey.split("+", maxsplit=1)[0]

    @property
    def both(self) -> list[str]:
        return [self.pem, self.vkey]


def pins(office: Office) -> Pins:
    published = office.root / "log" / "keys"
    return Pins((published / "issuer.pem").read_text("utf-8"), (published / "log.vkey").read_text("utf-8"))


def run(office: Office, key: str) -> bytes:
    """Remove a record in a run of its own, an hour later, and give the receipt."""
    before = set(receipts(office))
    office.clock.at += HOUR
    office.request(key, 3, account="acct-zero")
    carry(office)
    (path,) = set(receipts(office)) - before
    return path.read_bytes()


def receipts(office: Office) -> list[Path]:
    return sorted((office.root / "receipts").glob("*.bundle.json"))


def rotate(office: Office, kind: str, overlap: str = "7 days", *, destroy: bool = False) -> Rotated:
    office.clock.at += HOUR
    with office.open() as ctx:
        return keyverbs.rotate(ctx, kind, overlap, None, destroy=destroy)


def revoke(office: Office, key: str, ago: timedelta = timedelta(), reason: str = "stolen") -> KeyRecord:
    with office.open() as ctx:
        return keychange.revoke(ctx, key, ctx.now() - ago, reason, None).record


def history(office: Office) -> bytes:
    return (office.root / "log" / "keys" / "history.json").read_bytes()


def records(office: Office) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(base64.b64decode(json.loads(history(office))["payload"]))["keys"]
    return found


def judged(office: Office, receipt: bytes, *keys: str, **more: Any) -> Verdict:
    """Judge a receipt with the history and the log as they are published now."""
    log = str(office.root / "log")
    return verify(receipt, list(dict.fromkeys(keys)), **({"history": history(office), "log": log} | more))


def witnessed(receipt: bytes, at: datetime) -> bytes:
    """Give a receipt to whose checkpoint a witness put its signature and a time."""
    bundle = json.loads(receipt)
    body = bundle["tlogProof"].split("\n\n")[1] + "\n"
    bundle["tlogProof"] += cosign(body, int(at.timestamp()))
    return json.dumps(bundle).encode()


WITNESSES = [vkey(WITNESS, raw(WITNESS_1), 4)]
