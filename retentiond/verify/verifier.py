"""The order of the steps. The first one that fails is reported, and nothing after it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from . import account, logsteps, statement
from .case import Case
from .documents import History, Receipt, read_history, read_receipt
from .errors import FailedStepError
from .keyring import PinnedKeys, pin, pin_witnesses
from .note import NoteKey
from .publishedlog import PublishedLog, read_log, require_location
from .verdict import Verdict, acceptance, refusal

WELL_FORMED = "well-formed"
_ENTRY = "entry"
_BEFORE_THE_LOG: tuple[tuple[str, Callable[[Case], None]], ...] = (
    ("canonical", logsteps.canonical),
    ("signature", logsteps.signature),
)
_FROM_THE_LOG_ON: tuple[tuple[str, Callable[[Case], None]], ...] = (
    (_ENTRY, logsteps.entry_fits),
    ("inclusion", logsteps.inclusion),
    ("checkpoint", logsteps.checkpoint),
    ("statement", statement.statement),
    ("annex", statement.annex),
    ("account", account.account),
    ("items", account.items),
    ("retracted", logsteps.retracted),
)


class _StepError(Exception):
    """A step failed, and this is its name."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(step, reason)
        self.step = step
        self.reason = reason


@dataclass(slots=True)
class Verifier:
    """Verifies receipts against one set of pinned keys; the log is read once, when a receipt first needs it.

    Attributes:
        keys: the issuer's and the log's keys.
        log: the directory or http(s) URL of the published log, None when there is none to look at.
        history: the bytes of the issuer's key history, None when there is none to look at.
        witnesses: the witnesses, each of which must have cosigned.
    """

    keys: PinnedKeys
    log: str | None = None
    history: bytes | None = None
    witnesses: tuple[NoteKey, ...] = ()
    _read: PublishedLog | FailedStepError | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse, with a UsageError, a log that is no directory and no URL, before any receipt is looked at."""
        if self.log is not None:
            require_location(self.log)

    def verify(self, bundle: bytes) -> Verdict:
        """Verify one receipt bundle and give the verdict, whatever the bytes are."""
        receipt: Receipt | None = None
        try:
            receipt, history = _read_documents(bundle, self.history)
            case = Case(receipt, self.keys, self.witnesses, history)
            _take(_BEFORE_THE_LOG, case)
            case = replace(case, log=self._published_log())
            _take(_FROM_THE_LOG_ON, case)
        except _StepError as failed:
            return refusal(failed.step, failed.reason, receipt.predicate["receiptId"] if receipt else None)
        return acceptance(case)

    def _published_log(self) -> PublishedLog | None:
        if self.log is None:
            return None
        if self._read is None:
            try:
                self._read = read_log(self.log, self.keys.logs)
            except FailedStepError as error:
                self._read = error
        if isinstance(self._read, FailedStepError):
            # The first step that asks the log cannot be answered; unknown is not "it holds".
            raise _StepError(_ENTRY, str(self._read)) from self._read
        return self._read


def verify(
    bundle: bytes,
    keys: Sequence[str | bytes],
    *,
    log: str | None = None,
    history: bytes | None = None,
    witnesses: Sequence[str | bytes] = (),
) -> Verdict:
    """Verify one receipt bundle.

    Args:
        bundle: the bundle's bytes.
        keys: what stands in the key files, in any order: the issuer's public key (PEM) and the log's verifier key, or
            several of each, since another took its place.
        log: the directory or http(s) URL of the published log.
        history: the bytes of the issuer's key history (`keys/history.json`).
        witnesses: the verifier keys (cosignature/v1) of the witnesses, each of which must have cosigned.

    Returns:
        The verdict: the first step that fails, or what a valid receipt says.

    Raises:
        UsageError: a key is missing, given twice or unusable; the log is no directory and no URL.
    """
    return Verifier(pin(keys), log, history, pin_witnesses(witnesses)).verify(bundle)


def _read_documents(bundle: bytes, history: bytes | None) -> tuple[Receipt, History | None]:
    try:
        return read_receipt(bundle), None if history is None else read_history(history)
    except FailedStepError as error:
        raise _StepError(WELL_FORMED, str(error)) from error


def _take(steps: Sequence[tuple[str, Callable[[Case], None]]], case: Case) -> None:
    for name, step in steps:
        try:
            step(case)
        except FailedStepError as error:
            raise _StepError(name, str(error)) from error
