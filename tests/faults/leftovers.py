"""What a run must not leave: parts of receipts that nobody can derive, files of no receipt, processes without a run."""

from __future__ import annotations

import json
import os
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

from retentiond.engine.manifest import ROW_BYTES, derive_account

_PROGRAM = b"retentiond.engine.preparing"
_HASH_BYTES = 32
_SECONDS_TO_END = 10


def left_over(config: Path) -> Iterator[str]:
    """Say what is wrong with what is left, once nobody is at work."""
    yield from _parts_that_are_wrong(config / "receipts")
    yield from _orphans()


def _parts_that_are_wrong(receipts: Path) -> Iterator[str]:
    """Derive the part of each account of each receipt; say which does not lead to the root that was signed."""
    bundles = sorted(receipts.glob("*.bundle.json"))
    for path in bundles:
        receipt = path.name.removesuffix(".bundle.json")
        envelope = json.loads(path.read_bytes())["dsseEnvelope"]
        signed = json.loads(b64decode(envelope["payload"]))["predicate"]["accounts"]
        base = receipts / "manifests" / receipt
        rows = base.with_name(f"{receipt}.items").read_bytes()
        for account in {rows[at : at + _HASH_BYTES] for at in range(0, len(rows), ROW_BYTES)}:
            found = derive_account(base, account)
            if found is None or (found.tree.size, found.tree.root.hex()) != (signed["size"], signed["root"]):
                yield f"I3 receipt {receipt}: an account's part does not lead to its root"
    known = {path.name.removesuffix(".bundle.json") for path in bundles}
    left = {each.name for each in (receipts / "manifests").iterdir() if each.name.split(".")[0] not in known}
    if left:
        yield f"files are left: {sorted(left)}"


def _orphans() -> Iterator[str]:
    """Name processes that were beside a run which is gone; they may need a moment to notice it."""
    deadline = time.monotonic() + _SECONDS_TO_END
    while found := list(_running()):
        if time.monotonic() > deadline:
            yield f"processes go on without their runs: {found}"
            return
        time.sleep(0.05)


def _running() -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            ours = f"TMPDIR={tempfile.gettempdir()}".encode() in (path / "environ").read_bytes().split(b"\0")
            if ours and _PROGRAM in (path / "cmdline").read_bytes() and not _is_run(parent):
                yield int(path.name)
        except (OSError, ValueError):  # it has ended
            continue


def _is_run(pid: int) -> bool:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) == os.getpid()
    except OSError:
        return False
