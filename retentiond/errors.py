"""What can go wrong, in words for an operator: what happened, where, and what to do about it.

Every error that an operator can cause or meet is a `RetentiondError`. It carries the exit code of the command line
and a remedy; its cause is kept (`raise … from`). The root of the import order: this module imports nothing.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the command line; scripts rely on them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    FINDINGS = 3
    STOPPED = 4
    PARTLY = 5
    HELD = 6
    INTERRUPTED = 130


class RetentiondError(Exception):
    """Base of all errors that retentiond raises on purpose.

    Args:
        what: What happened, to what; one sentence, without a final full stop.
        where: The place, such as `policies.yaml:12:7`, a dataset or a store; empty when there is none.
        remedy: What to do next; one sentence.

    Attributes:
        guard: The guard that said no, by its name in the table of guards; empty where none did.
    """

    exit_code: Exit = Exit.FAILED
    guard: str = ""

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{place}{self.what}{remedy}"


class UsageError(RetentiondError):
    """The command was called in a way that it does not support."""

    exit_code = Exit.USAGE


class ConfigError(RetentiondError):
    """A file or setting that operators write is wrong; nothing was done."""

    exit_code = Exit.USAGE


class PolicyError(ConfigError):
    """A policy contradicts itself, its promise or the datasets that it governs."""


class KeyFileError(ConfigError):
    """A key file is missing, unreadable, too widely readable, or not the key that it should be."""


class ConnectorError(RetentiondError):
    """A store did not do what was asked.

    Args:
        transient: Whether the same call may succeed later; such calls are retried, others are not.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "", transient: bool = False) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.transient = transient


class DatasetRefused(ConnectorError):
    """A dataset cannot be worked on safely as it stands, such as a table whose children would go with it."""


class PurgeNotVerified(RetentiondError):
    """A separate read found what was said to be removed, or could not tell."""


class GuardStopped(RetentiondError):
    """A guard stopped a plan or run before anything was removed.

    Args:
        guard: The guard's name, as in the table of guards.
    """

    exit_code = Exit.STOPPED

    def __init__(self, what: str, *, guard: str, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.guard = guard


class Deferred(GuardStopped):
    """A run stands still until its stores may be worked on again; what was begun is safe, and `run` goes on with it."""


class KeyNotInForce(GuardStopped):
    """A key that would sign was revoked, has ended, or is not in the history of keys; nothing was signed with it."""


class KeyServiceError(RetentiondError):
    """A service that holds a key did not sign; nothing was signed."""


class ApprovalError(RetentiondError):
    """A signature does not approve what it should: forged, expired, foreign, self-given or replayed."""

    exit_code = Exit.STOPPED


class HoldConflict(RetentiondError):
    """A legal hold forbids what was asked, or a change of holds met a run in progress."""

    exit_code = Exit.STOPPED


class AccountStateError(RetentiondError):
    """An account is not in a state in which this can be asked."""

    exit_code = Exit.USAGE


class ErasureStateError(RetentiondError):
    """A request for erasure is not in a state in which this can be asked, or it names nobody."""

    exit_code = Exit.USAGE


class LedgerError(RetentiondError):
    """The ledger could not be read or written; nothing was removed."""


class LedgerBusy(LedgerError):
    """Another process is acting on this ledger."""


class LockLost(LedgerBusy):
    """This process acted on the ledger, and does no more: another one may."""


class ClaimLost(LedgerError):
    """A batch was taken from whoever claimed it: a newer claim or a change of holds fences it off."""


class NotFound(RetentiondError):
    """No plan, run, receipt, hold, dataset or record of that name."""

    exit_code = Exit.USAGE


class LogIntegrityError(RetentiondError):
    """The log contradicts itself, its key or the ledger; nothing is signed."""


class LedgerBehindLog(LogIntegrityError):
    """The published log is ahead of the ledger: the ledger went back in time. Nothing is removed, nothing signed."""

    exit_code = Exit.STOPPED
    guard = "ledger-behind-log"


class ReceiptError(RetentiondError):
    """A receipt cannot be made or derived as the formats demand."""


class ScratchError(RetentiondError):
    """What does not have to lie in memory found no room on disk either; what was begun goes on with the next run."""


class NotAttested(RetentiondError):
    """Nothing can be attested: something is overdue or unknown, or there is nothing to attest. Nothing was signed."""

    exit_code = Exit.FINDINGS


class Interrupted(RetentiondError):
    """The operator asked to stop; the batch in hand was finished and the state is safe."""

    exit_code = Exit.INTERRUPTED
