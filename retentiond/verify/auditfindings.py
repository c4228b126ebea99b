"""What an audit of a log finds, and says at the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

MOST_OF_A_KIND = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be: where (a file of the log, an entry, a row) and what is wrong."""

    where: str
    what: str


@dataclass(slots=True)
class Findings:
    """Findings as they come; of one kind only the first are kept, all are counted."""

    found: list[Finding] = field(default_factory=list)
    total: int = 0
    _kinds: Counter[str] = field(default_factory=Counter)

    def add(self, where: str, what: str, kind: str = "") -> None:
        """Take note of a finding. `kind`: what it has in common with others; its words where nothing is given."""
        self.total += 1
        kind = kind or what
        self._kinds[kind] += 1
        if self._kinds[kind] <= MOST_OF_A_KIND:
            self.found.append(Finding(where, what))


@dataclass(slots=True)
class Audited:
    """What an audit of a published log came to.

    Attributes:
        origin: the log's name.
        size: how many entries were audited.
        root: the root hash that they give, in hex; None where not all of them are known.
        kinds: how many entries there are of each kind.
        open_plans: the indexes of the plans that have neither receipt nor void, the first of them.
        open_count: how many such plans there are.
        checkpoints: how many signed checkpoints the tree was compared with.
        receipts: how many receipt bundles were verified.
        unchecked: what could not be checked, in words.
    """

    origin: str
    size: int = 0
    root: str | None = None
    kinds: Counter[str] = field(default_factory=Counter)
    open_plans: list[int] = field(default_factory=list)
    open_count: int = 0
    checkpoints: int = 0
    receipts: int = 0
    unchecked: list[str] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
