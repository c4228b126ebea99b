"""A log that grows under SIGKILL: `python -m tests.faults.logs --entries 200000 --kills 20 --seed 1`.

Writers stage entries and publish them, one or two at a time on one ledger, in a directory or in a bucket; again and
again one of them is killed and started anew. Each writes down what it was told to be published. In the end nothing of
that is missing, every checkpoint that was ever seen is of the one log that there is, and an audit has no finding.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

import click

from retentiond.bootstrap import open_context
from retentiond.cli.auditing import audit_context
from retentiond.engine.context import Context
from retentiond.errors import RetentiondError
from retentiond.evidence.entry import policy_entry
from retentiond.evidence.vkey import VerifierKey
from retentiond.tlog.note import open_checkpoint
from tests.conftest import AWS
from tests.engine.office import Office, Quiet, make_office
from tests.servers.versioned import Bucket, Forward, Reply, Request, Script, versioned_server
from tests.tlog import reader

POLICIES = 24
"""Different entries: which stands where tells whether one was lost, doubled or moved."""
BATCHES = (1, 400)
_POLL_SECONDS = 0.01


@dataclass(slots=True)
class Report:
    """What became of a log."""

    entries: int = 0
    kills: int = 0
    restarts: int = 0
    acknowledged: int = 0
    seen: int = 0
    seconds: float = 0.0
    audit_seconds: float = 0.0
    violations: list[str] = field(default_factory=list)


class Growing:
    """One log and its writers.

    Args:
        bucket: What holds the log; None for a directory.
    """

    def __init__(self, root: Path, *, seed: int, endpoint: str = "", bucket: Bucket | None = None) -> None:
        self._office = make_office(root)
        if endpoint:
            self._office.edit("retentiond.yaml", "log: ../log", f"log: {{url: s3://grown/a, endpoint: '{endpoint}'}}")
        self._root = root
        self._bucket = bucket
        self._dice = random.Random(seed)
        self._digests = _publish_policies(self._office)
        self._seen: set[bytes] = set()
        self._writers: list[int] = []
        self.report = Report()

    def go(self, entries: int, kills: int, *, writers: int = 1) -> Report:
        """Let the log grow beyond so many entries, and kill so often on the way."""
        begun = time.monotonic()
        marks = sorted(self._dice.sample(range(entries // 20, entries), kills))
        self._writers = [self._start() for _ in range(writers)]
        try:
            while marks:
                self._wait_for(marks.pop(0))
                self._kill(self._dice.randrange(writers))
            self._wait_for(entries)
        finally:
            for pid in self._writers:
                with suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
        self.report.seconds = time.monotonic() - begun
        self._judge()
        return self.report

    def _start(self) -> int:
        self.report.restarts += 1
        acks = self._root / f"acks-{self.report.restarts}"
        seed = self._dice.random()
        pid = os.fork()
        if pid == 0:
            _write(self._office.config, self._digests, acks, seed)
        return pid

    def _wait_for(self, size: int) -> None:
        while self._size() < size:
            time.sleep(_POLL_SECONDS)
            for pid in self._writers:
                if os.waitpid(pid, os.WNOHANG) != (0, 0):
                    raise AssertionError((self._root / "said").read_text("utf-8"))

    def _kill(self, which: int) -> None:
        time.sleep(self._dice.random() * 0.05)
        os.kill(self._writers[which], signal.SIGKILL)
        os.waitpid(self._writers[which], 0)
        self.report.kills += 1
        self._size()
        self._writers[which] = self._start()

    def _size(self) -> int:
        """Look at the published checkpoint as anybody can, and keep it."""
        if self._bucket is not None:
            stored = self._bucket.objects.get(b"a/checkpoint")
            note = stored[0].body if stored else None
        else:
            note = (self._root / "log" / "checkpoint").read_bytes()
        if not note:
            return 0
        self._seen.add(note)
        return int(note.split(b"\n")[1])

    def _judge(self) -> None:
        with self._office.open() as ctx:
            ctx.log.publish()
            self._size()
            own = _own_entries(ctx)
            begun = time.monotonic()
            found = audit_context(ctx)
            self.report.audit_seconds = time.monotonic() - begun
            vkey = ctx.terms.verifier_keys["log"]
        say = self.report.violations.append
        for where, what in found.findings:
            say(f"audit: {where}: {what}")
        self.report.entries = found.audited.size
        published = self._published(vkey)
        if published.entries != own:
            say(f"{len(published.entries)} entries are published, and the ledger has others: {len(own)}")
        self._judge_acknowledged(published.entries)
        self._judge_seen(published.entries, vkey)

    def _published(self, vkey: str) -> reader.Published:
        root = self._root / "log"
        if self._bucket is not None:
            root = self._root / "downloaded"
            for key, (newest, *_) in self._bucket.objects.items():
                path = root / key.decode().removeprefix("a/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(newest.body or b"")
        return reader.read(root, vkey)

    def _judge_acknowledged(self, entries: list[bytes]) -> None:
        for path in sorted(self._root.glob("acks-*")):
            for line in path.read_text("ascii").splitlines():
                try:
                    start, words = json.loads(line)
                except ValueError:
                    continue  # the writer died while it wrote this down
                self.report.acknowledged += len(words)
                expected = [policy_entry(self._digests[word]) for word in words]
                if entries[start : start + len(words)] != expected:
                    self.report.violations.append(f"what was published from entry {start} on is not there any more")

    def _judge_seen(self, entries: list[bytes], vkey: str) -> None:
        """Every checkpoint that anybody saw is of a beginning of the log."""
        leaves = [reader.sha256(b"\x00" + entry) for entry in entries]
        self.report.seen = len(self._seen)
        # Rebuilding a tree takes a while: of many, some, and always the newest.
        notes = sorted(self._seen, key=lambda note: int(note.split(b"\n")[1]))
        for note in {*self._dice.sample(notes, min(40, len(notes))), notes[-1]}:
            checkpoint = open_checkpoint(note, VerifierKey.parse(vkey))
            if reader.mth(leaves[: checkpoint.size]) != checkpoint.root:
                self.report.violations.append(f"a checkpoint of {checkpoint.size} entries was of another log")


def _publish_policies(office: Office) -> list[str]:
    """Publish texts that entries may speak of, and have the ledger know them."""
    digests = []
    with office.open() as ctx:
        for number in range(POLICIES):
            text = json.dumps({"number": number})
            digests.append(hashlib.sha256(text.encode()).hexdigest())
            with ctx.ledger.begin() as tx:
                tx.entries.stage(policy_entry(digests[-1]))
                tx.facts.set(f"canonical:{digests[-1]}", text)
            ctx.log.publish_file(f"policies/{digests[-1]}.json", text.encode())
        for path, data in ctx.keys.files().items():
            ctx.log.publish_file(path, data)
        ctx.log.publish()
    return digests


def _write(config: Path, digests: list[str], acks: Path, seed: float) -> None:
    """Stage and publish until somebody kills this process."""
    said = os.open(acks.with_name("said"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    dice = random.Random(seed)
    try:
        with open_context(config, {}, Quiet(), lambda: False) as ctx, acks.open("ab", buffering=0) as told:
            while True:
                _write_once(ctx, digests, dice, told)
    except RetentiondError as error:
        os.write(2, f"{error}\n".encode())
    finally:
        os._exit(1)


def _write_once(ctx: Context, digests: list[str], dice: random.Random, told: FileIO) -> None:
    words = [dice.randrange(len(digests)) for _ in range(dice.randint(*BATCHES))]
    with ctx.ledger.begin() as tx:
        indexes = [tx.entries.stage(policy_entry(digests[word])) for word in words]
    ctx.log.publish()
    told.write(json.dumps([indexes[0], words]).encode() + b"\n")


def _own_entries(ctx: Context) -> list[bytes]:
    own: list[bytes] = []
    while page := ctx.ledger.log_state.entries(len(own), 4096):
        own.extend(page)
    return own


@contextmanager
def grown(root: Path, place: str, seed: int) -> Iterator[Growing]:
    """Give a log that can grow, in a `directory` or a `bucket`."""
    if place == "directory":
        yield Growing(root, seed=seed)
        return
    bucket = Bucket(versioning="", honours=frozenset(("if-none-match", "if-match")))
    with versioned_server(bucket) as server:
        server.script = _forgetful(server.script, server.seen)
        yield Growing(root, seed=seed, endpoint=server.url, bucket=bucket)


def _forgetful(script: Script, seen: list[Request]) -> Script:
    """Keep the server from remembering some hundred thousand requests."""

    def answer(request: Request, forward: Forward) -> Reply | None:
        seen.clear()
        return script(request, forward)

    return answer


def main() -> None:
    """Read the options, let logs grow, and say what became of them."""
    parser = argparse.ArgumentParser(description="logs that grow under SIGKILL")
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ.update(AWS)
    failed = False
    for place, writers, share in (("directory", 1, 1), ("directory", 2, 4), ("bucket", 2, 4)):
        with tempfile.TemporaryDirectory(prefix="faults-logs-") as name, grown(Path(name), place, options.seed) as log:
            report = log.go(options.entries // share, options.kills, writers=writers)
        failed = failed or bool(report.violations)
        click.echo(
            f"{place}, {writers} writer(s): {report.entries:,} entries, {report.acknowledged:,} acknowledged, "
            f"{report.kills} kills, {report.seen:,} checkpoints seen, {len(report.violations)} violations; "
            f"{report.seconds:.0f} s, audit {report.audit_seconds:.0f} s"
        )
        for violation in report.violations:
            click.echo(f"  {violation}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
