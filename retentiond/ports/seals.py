"""The ledger's noun for what is sealed under the wrapping key, so that it can be sealed anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SealedRow:
    """Something sealed.

    Attributes:
        kind: `run` or `receipt` (its commitment key), `batch` (its identifiers), `closure` (its account), `erasure`
            (its person), `erasure-texts` (what was written of it), `hold` (what it is of), or `purge` (what a manual
            purge was asked for).
        key: What names it, such as (plan, ordinal); with the kind it is what it was sealed for.
    """

    kind: str
    key: tuple[str, ...]
    sealed: bytes

    @property
    def context(self) -> bytes:
        """The context that it was sealed for."""
        return "/".join((self.kind, *self.key)).encode()


class Seals(Protocol):
    """Everything in the ledger that is sealed under the wrapping key, but for the journal."""

    def not_under(self, mark: bytes, limit: int) -> Sequence[SealedRow]:
        """Return some of what does not begin with a key's mark; nothing where all does."""
        ...

    def replace(self, row: SealedRow, sealed: bytes) -> None:
        """Put other sealed bytes in the place of those that were read.

        Raises:
            NotFound: They are not there any more.
        """
        ...
