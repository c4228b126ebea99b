"""What one verification has before it: the receipt, and what the verifier's own side trusts."""

from __future__ import annotations

from dataclasses import dataclass

from .documents import History, Receipt
from .dsse import pae
from .encoding import sha256_hex
from .keyring import PinnedKeys
from .note import NoteKey
from .publishedlog import PublishedLog, entry


@dataclass(frozen=True, slots=True)
class Case:
    """A receipt of the right shape beside the pinned keys.

    Attributes:
        receipt: what is to be verified.
        keys: the issuer's and the log's keys.
        witnesses: the witnesses that must have cosigned the checkpoint.
        history: the issuer's key history, where one was given.
        log: the published log, where one was given; None as well until the steps that need it.
    """

    receipt: Receipt
    keys: PinnedKeys
    witnesses: tuple[NoteKey, ...] = ()
    history: History | None = None
    log: PublishedLog | None = None

    @property
    def signed(self) -> bytes:
        """The bytes that the issuer signed: the PAE of the statement."""
        return pae(self.receipt.envelope["payloadType"], self.receipt.body)

    @property
    def digest(self) -> str:
        """The receipt's digest (hex), which stands in its log entry."""
        return sha256_hex(self.signed)

    @property
    def entry(self) -> bytes:
        """The log entry that this receipt must have."""
        if self.receipt.is_over_runs:
            return entry("receipt -", self.digest)
        return entry(f"receipt {self.receipt.predicate['run']['planEntry']['index']}", self.digest)
