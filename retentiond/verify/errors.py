"""What can go wrong while a receipt is verified."""

from __future__ import annotations


class UsageError(Exception):
    """The verifier was asked something it cannot answer: a key is missing, a file cannot be read.

    It says nothing about the receipt. On the command line it is exit code 2.
    """

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        """Keep what happened, to what (`where`), and what to do about it (`remedy`)."""
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy


class FailedStepError(Exception):
    """A step of the verification does not hold; the message says why. The step's name is added by the caller."""


class LogUnreadableError(FailedStepError):
    """The published log cannot be read or does not agree with its own checkpoint, so it answers no question."""


class TooLargeError(LogUnreadableError):
    """A file of the log is larger than it can be."""
