"""Fifty people inside accounts ask on one day, over rows, payloads, exports in a bucket: exactly theirs is gone."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from retentiond.domain.erasure import ErasureState
from retentiond.engine.bundles import get_receipt, list_receipts
from retentiond.engine.context import Context
from retentiond.engine.running import run_all
from retentiond.verify import Verifier
from retentiond.verify.keyring import pin
from tests.erasure.scene import HOSTILE, Scene
from tests.servers.versioned import Bucket, versioned_server

_BUCKET = """
stores:
  exports: {{kind: s3, bucket: api-payloads, region: us-east-1, endpoint: "{url}", backups: none}}
"""
_EXPORTS = """
datasets:
  exports:
    store: exports
    prefix: ""
    key_pattern: "{account}/{user}/{name}"
    clock: modified
    account: {pattern: account}
    user: {pattern: user}
    class: content
"""
ODD = (HOSTILE, "__proto__", "%2e%2e", "Ünïcødé", "O'Brien\x00x", "*", "a b", '"', "null", "0")


@dataclass
class Oracle:
    """What it wrote, and whose it is: by kind of record its name, and the (account, user) pairs that it is of."""

    scene: Scene
    bucket: Bucket
    wrote: dict[str, dict[Any, set[tuple[str, str]]]] = field(default_factory=lambda: defaultdict(dict))

    def fill(self, accounts: list[str], users: list[str]) -> None:
        number = 0
        with self.scene.db() as db:
            db.execute("BEGIN")
            for place, account in enumerate(accounts):
                for index, user in enumerate(users):
                    number += 1
                    other = users[(index + 1) % len(users)]
                    members = [other] if index % 4 == 0 else None
                    payload = f"p-{number}" if index % 3 == 0 else None
                    of = {(account, user), *({(account, other)} if members else set())}
                    row = (f"c-{number}", account, user, members and json.dumps({"members": members}))
                    db.execute("INSERT INTO chats VALUES (?, ?, ?, ?, ?, ?)", (*row, self.scene.ago(3), payload))
                    self.wrote["chats"][f"c-{number}"] = of
                    if not members:  # a chat waits for a score that is only one side's
                        score = (number, account, f"c-{number}", self.scene.ago(2))
                        db.execute("INSERT INTO scores VALUES (?, ?, ?, ?)", score)
                        self.wrote["scores"][number] = {(account, user)}
                    if payload:
                        self.scene.blob(payload)
                        self.wrote["payloads"][payload] = of
                    if index % 5 == 1 and "/" not in user and "\x00" not in user:
                        key = f"{account}/{user}/export-{number}.json"
                        self.bucket.put(key, timedelta(days=2))
                        self.bucket.put(key, timedelta(days=1), b"newer")
                        self.wrote["exports"][key] = {(account, user)}
                db.execute("INSERT INTO bills VALUES (?, ?, ?)", (place, account, self.scene.ago(1)))
                self.wrote["bills"][place] = set()
            db.execute("COMMIT")

    def left(self, gone: set[tuple[str, str]]) -> dict[str, set[Any]]:
        return {kind: {name for name, of in found.items() if not of & gone} for kind, found in self.wrote.items()}

    def there(self) -> dict[str, set[Any]]:
        keys = {name.decode() for name, versions in self.bucket.objects.items() if versions}
        tables = {name: self.scene.rows(name) for name in ("chats", "scores", "bills")}
        return {**tables, "payloads": self.scene.blobs(), "exports": keys}

    def records_of(self, person: tuple[str, str]) -> int:
        versions = 2  # of each export
        return sum(
            (versions if kind == "exports" else 1) * sum(person in of for of in found.values())
            for kind, found in self.wrote.items()
        )


def test_fifty_people_are_erased_and_nobody_else_is_touched(scene: Scene) -> None:
    with versioned_server() as server:
        scene.edit("datamap.yaml", "\nstores:\n", _BUCKET.format(url=server.url))
        scene.edit("datamap.yaml", "\ndatasets:\n", _EXPORTS)
        scene.approve_datasets()
        oracle = Oracle(scene, server.bucket)
        accounts, users = [f"acct-{n}" for n in range(10)], [*ODD, *(f"u-{n}" for n in range(10))]
        oracle.fill(accounts, users)
        people = [(account, user) for place, account in enumerate(accounts) for user in users[place : place + 5]]
        assert len(people) == 50
        with scene.open() as ctx:
            names = scene.ask_all(ctx, people)
            session = run_all(ctx)
            assert not session.failures
            assert not session.stops
            assert session.overdue == 0, session
            _check(ctx, scene, oracle, names)
        assert oracle.there() == oracle.left(set(people))
        assert oracle.there()["exports"] < set(oracle.wrote["exports"])


def _check(ctx: Context, scene: Scene, oracle: Oracle, names: dict[str, tuple[str, str]]) -> None:
    """Look that each request ended with a receipt that verifies, over all records of that person and no others."""
    with ctx.ledger.begin() as tx:
        rows = {name: tx.erasures.get(name) for name in names}
    keys = scene.root / "log" / "keys"
    verifier = Verifier(
        pin([(keys / each).read_bytes() for each in ("issuer.pem", "log.vkey")]), str(scene.root / "log")
    )
    for name, person in names.items():
        row = rows[name]
        assert row is not None
        assert row.state is ErasureState.DONE
        receipt = get_receipt(ctx, row.receipt)
        assert verifier.verify(Path(receipt.file).read_bytes()).valid
        leaf = scene.leaf(ctx, receipt, person[0])
        assert leaf["records"] == oracle.records_of(person)
        assert leaf["retained"] == 0
    kinds = [each.kind for each in list_receipts(ctx)]
    assert kinds.count("erasure") == len(names)
    assert kinds.count("run") == len(kinds) - len(names)
