"""The two looks of an audit put together: at the published log, by the verifier; at the ledger, by the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from retentiond.cli.common import console, table
from retentiond.cli.progress import TerminalReporter
from retentiond.cli.working import working
from retentiond.clock import SystemClock
from retentiond.engine.audit import LedgerAudit, signed_checkpoints
from retentiond.engine.context import Context, Reporter
from retentiond.errors import LogIntegrityError, RetentiondError, UsageError
from retentiond.evidence.keyhistory import of_role
from retentiond.verify import UsageError as VerifyUsage
from retentiond.verify.audit import LogAudit, Sink
from retentiond.verify.auditfindings import Audited
from retentiond.verify.errors import LogUnreadableError, TooLargeError
from retentiond.verify.keyring import PinnedKeys, pin
from retentiond.verify.publishedlog import require_location, source_of

_STEP = 4096
_OUTSIDE = "ledger, journal and events: from outside only what is published can be seen"


@dataclass(frozen=True, slots=True)
class Found:
    """What an audit found, all of it: where, and what is wrong."""

    audited: Audited
    findings: Sequence[tuple[str, str]]
    total: int
    unchecked: Sequence[str]

    def document(self) -> dict[str, Any]:
        """Return it as programs get it."""
        return {
            "log": self.audited.origin,
            "size": self.audited.size,
            "root": self.audited.root,
            "entries": dict(self.audited.kinds),
            "checkpoints": self.audited.checkpoints,
            "receipts": self.audited.receipts,
            "open_plans": {"count": self.audited.open_count, "entries": self.audited.open_plans},
            "findings": [{"where": where, "what": what} for where, what in self.findings],
            "findings_total": self.total,
            "not_checked": list(self.unchecked),
        }


def audit_instance(location: str) -> Found:
    """Audit an instance: its published log, or the copy of it at a place, and its ledger against that."""
    with working() as ctx, _told():
        return audit_context(ctx, location)


def audit_context(ctx: Context, location: str = "") -> Found:
    """Audit an instance that is open."""
    if location:
        require_location(location)
    source = source_of(location) if location else _Published(ctx)
    log = ctx.terms.verifier_keys["log"]
    logs = [log, *(each.key for each in of_role(ctx.keys.records(), "log") if each.key != log)]  # each that ever signed
    keys = pin([ctx.terms.verifier_keys["issuer"], *logs])
    sink = _ToLedger(LedgerAudit(ctx))
    receipts = ctx.terms.receipts.glob("*.bundle.json")
    audited = LogAudit(source, keys, signed_checkpoints(ctx), receipts, None, sink).run()
    sink.ledger.finish()
    published = [(each.where, each.what) for each in audited.findings.found]
    return Found(
        audited,
        [*published, *((each.where, each.what) for each in sink.ledger.findings.found)],
        audited.findings.total + sink.ledger.findings.total,
        [*audited.unchecked, *sink.ledger.unchecked],
    )


def audit_published(location: str, keys: Sequence[str], receipts: Sequence[Path]) -> Found:
    """Audit a published log from outside, with keys of one's own and the receipts that one has."""
    with _told(), TerminalReporter(console(stderr=True)) as reporter:
        if not location:
            raise UsageError("which log is not said", remedy="--log DIR, or --log https://… where it is published")
        require_location(location)
        source, sink = source_of(location), _Progress(reporter)
        audited = LogAudit(source, _pinned(keys), (), receipts, SystemClock().now(), sink).run()
    found = [(each.where, each.what) for each in audited.findings.found]
    return Found(audited, found, audited.findings.total, [*audited.unchecked, _OUTSIDE])


def audit_words(console: Console, found: Found) -> None:
    """Say it to people."""
    audited = found.audited
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(audited.kinds.items()))
    console.print(f"log {audited.origin}: {audited.size} entries ({kinds})")
    console.print(f"  root {audited.root}" if audited.root else "  root not known")
    console.print(f"  {audited.checkpoints} signed checkpoints of one history, {audited.receipts} receipts verified")
    if audited.open_count:
        console.print(f"  {audited.open_count} plans are open: entries {', '.join(map(str, audited.open_plans))}")
    for each in found.unchecked:
        console.print(f"  not checked: {each}")
    if not found.total:
        console.print("nothing is wrong")
        return
    rows = table("where", "what is wrong")
    for finding in found.findings:
        rows.add_row(*finding)
    console.print(rows)
    if found.total > len(found.findings):
        console.print(f"and {found.total - len(found.findings)} more")
    console.print(f"{found.total} findings", style="bold red")


class _Published:
    """The published files of an instance, as the verifier reads them."""

    def __init__(self, ctx: Context) -> None:
        self._log = ctx.log

    def read(self, path: str, limit: int) -> bytes | None:
        data = self._log.read_published(path)
        if data is not None and len(data) > limit:
            raise TooLargeError(f"{path} is larger than {limit} bytes")
        return data

    def names(self, folder: str) -> Iterator[str]:
        return self._log.published_names(folder)


class _ToLedger(Sink):
    """Hands entries over to the look at the ledger."""

    def __init__(self, ledger: LedgerAudit) -> None:
        self.ledger = ledger

    def begin(self, size: int) -> None:
        """So many entries follow."""
        self.ledger.begin(size)

    def entry(self, index: int, data: bytes | None) -> None:
        """Take an entry."""
        self.ledger.entry(index, data)


class _Progress(Sink):
    """Shows how far it is."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def begin(self, size: int) -> None:
        """So many entries follow."""
        self._reporter.start("audit", size)

    def entry(self, index: int, data: bytes | None) -> None:
        """Count an entry."""
        del data
        if index % _STEP == _STEP - 1:
            self._reporter.advance(_STEP)


def _pinned(names: Sequence[str]) -> PinnedKeys:
    try:
        return pin([Path(name).read_bytes() for name in names])
    except OSError as error:
        where = str(error.filename)
        raise UsageError(f"a key cannot be read: {error.strerror}", where=where, remedy="give its file") from error


@contextmanager
def _told() -> Iterator[None]:
    """Say what the verifier raises as the rest of the program does."""
    try:
        yield
    except VerifyUsage as error:
        raise UsageError(error.what, where=error.where or "", remedy=error.remedy or "") from error
    except LogUnreadableError as error:
        what = f"the log cannot be read to its end: {error}"
        raise LogIntegrityError(
            what, remedy="nothing is known of the rest: make it readable, then audit it again"
        ) from error
    except OSError as error:
        what = f"{error.filename} cannot be read: {error.strerror}"
        raise RetentiondError(what, remedy="give permission, then audit it again") from error
