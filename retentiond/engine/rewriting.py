"""Writing again, from a whole ledger, what was lost beside it: the log byte for byte, the journal, the bundles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retentiond.engine.bundles import write_bundle
from retentiond.engine.context import Context
from retentiond.engine.signing import deliver
from retentiond.evidence.entry import EntryKind, parse_entry

_READ_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Rewritten:
    """How much was written again: entries of the log, files beside it, records of the journal, bundles.

    Attributes:
        without_manifest: Receipts whose manifest is gone, so that no account's part of them can be derived.
        files_lost: Published files beside the log whose content nothing knows any more, by their path.
    """

    entries: int
    files: int
    records: int
    bundles: int
    without_manifest: tuple[str, ...]
    files_lost: tuple[str, ...]


def rewrite(ctx: Context) -> Rewritten:
    """Write what is missing; what stands is left alone, and what stands otherwise than it must is an error.

    Raises:
        LogIntegrityError: Something that is published is not what the ledger says.
    """
    before = ctx.log.published()[1]
    records = _write_journal(ctx)
    size = deliver(ctx)
    files, lost = _write_files(ctx)
    bundles, bare = _write_bundles(ctx)
    return Rewritten(size - before, files, records, bundles, bare, lost)


def own_entries(ctx: Context) -> list[bytes]:
    """Return all entries that the ledger has, staged ones too."""
    found: list[bytes] = []
    while page := ctx.ledger.log_state.entries(len(found), _READ_AT_ONCE):
        found.extend(page)
    return found


def _write_journal(ctx: Context) -> int:
    with ctx.ledger.begin() as tx:
        rows = [row for row in tx.journal.all() if row.written]
    missing = [row for row in rows if ctx.journal.sealed(row.sha256) is None]
    for row in missing:
        ctx.journal.write(row.sha256, row.sealed)
    return len(missing)


def _write_files(ctx: Context) -> tuple[int, tuple[str, ...]]:
    files = ctx.keys.files()
    lost = []
    for entry in map(parse_entry, own_entries(ctx)):
        if entry.kind is EntryKind.POLICY:
            path = f"policies/{entry.sha256}.json"
            with ctx.ledger.begin() as tx:
                text = tx.facts.get(f"canonical:{entry.sha256}") or ""
            if text.startswith("{"):
                files[path] = text.encode()
            elif ctx.log.read_file(path) is None:
                lost.append(path)
    missing = {path: data for path, data in files.items() if ctx.log.read_file(path) is None}
    for path, data in missing.items():
        ctx.log.publish_file(path, data)
    return len(missing), tuple(lost)


def _write_bundles(ctx: Context) -> tuple[int, tuple[str, ...]]:
    with ctx.ledger.begin() as tx:
        rows = tx.receipts.all()
    missing = [row for row in rows if not row.file or not Path(row.file).exists()]
    for row in missing:
        write_bundle(ctx, row)
    manifests = ctx.terms.receipts / "manifests"
    bare = tuple(row.id for row in rows if row.commitment_key and not any(manifests.glob(f"{row.id}*")))
    return len(missing), bare
