"""An audit's look at entries: what each kind demands of the others, and of the files that are published beside the log.

What is remembered of an entry is one byte; of a plan that is still open, its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from .auditfindings import Audited
from .errors import LogUnreadableError, TooLargeError
from .publishedlog import ENTRY, RECEIPT, RETRACT, VOID, Source

_MAX_POLICY_BYTES = 1 << 24
_REASONS = ("expired", "rejected", "cancelled", "superseded")
_PLAIN = ("plan", "policy", "state", "key", "anchor")
_NOTHING, _OPEN, _ENDED, _RECEIPT, _RETRACTED, _OTHER = range(6)
_NO_PLAN = "receipt -"


@dataclass(slots=True)
class EntryAudit:
    """Takes in entries one after the other.

    Attributes:
        source: the published files.
        digest_at: gives the digest (hex) in an entry that came before; None where it is not known.
        policies: the digests of all policies that were logged.
        newest_keys: of the newest key history that was logged; None where none was.
        histories: of all of them.
    """

    source: Source
    audited: Audited
    digest_at: Callable[[int], str | None]
    policies: set[str] = field(default_factory=set)
    newest_keys: str | None = None
    histories: set[str] = field(default_factory=set)
    _marks: bytearray = field(default_factory=bytearray)
    _open: dict[int, str] = field(default_factory=dict)

    def take(self, data: bytes | None) -> None:
        """Take in the next entry; None where it is not known, which somebody has said by then."""
        index = len(self._marks)
        self._marks.append(_NOTHING)
        if data is None:
            return
        found = ENTRY.fullmatch(data.decode("utf-8", errors="replace"))
        if not found:
            self._say(index, "it is no entry of this format")
            return
        line, digest = found[1], found[2]
        self.audited.kinds[line.partition(" ")[0]] += 1
        self._marks[index] = _OTHER
        if line in _PLAIN:
            self._plain(index, line, digest)
        elif receipt := RECEIPT.fullmatch(line):
            self._marks[index] = _RECEIPT
            self._end(index, int(receipt[1]), "receipt")
        elif void := VOID.fullmatch(line):
            self._void(index, int(void[1]), void[2], digest)
        elif retract := RETRACT.fullmatch(line):
            self._retract(index, int(retract[1]), digest)
        elif line == _NO_PLAN:
            self._marks[index] = _RECEIPT
        else:
            self._say(index, f"its kind is not known here: {line[:80]!a}")

    def finish(self, latest_old: int) -> None:
        """Say what is left open. `latest_old`: entries before this one are older than a plan may stay open."""
        self.audited.open_count = len(self._open)
        self.audited.open_plans = sorted(self._open)[:100]
        for index in sorted(each for each in self._open if each < latest_old):
            self._say(index, "its plan is older than seven days and has neither receipt nor void")

    def _plain(self, index: int, kind: str, digest: str) -> None:
        if kind == "plan":
            self._marks[index] = _OPEN
            self._open[index] = digest
        elif kind == "key":
            self.newest_keys = digest
            self.histories.add(digest)
        elif kind == "policy" and digest not in self.policies:
            self.policies.add(digest)
            self._policy(index, digest)

    def _policy(self, index: int, digest: str) -> None:
        path = f"policies/{digest}.json"
        try:
            data = self.source.read(path, _MAX_POLICY_BYTES)
        except TooLargeError as error:
            raise LogUnreadableError(f"{error}, so it is not read") from error
        if data is None:
            self.audited.findings.add(
                path, f"is missing; entry {index} of the log says that it was published", "policy"
            )
        elif hashlib.sha256(data).hexdigest() != digest:
            what = f"its content is not the one that entry {index} of the log says"
            self.audited.findings.add(path, what, "policy")

    def _end(self, index: int, plan: int, word: str) -> bool:
        """End a plan with a receipt or a void; say whether there is such a plan."""
        mark = self._marks[plan] if plan < index else _NOTHING
        if mark == _OPEN:
            self._marks[plan] = _ENDED
            self._open.pop(plan)
            return True
        if mark == _ENDED:
            self._say(index, f"a second end ({word}) of the plan in entry {plan}, which had a receipt or void already")
        elif plan >= index or mark != _NOTHING:
            self._say(index, f"a {word} of entry {plan}, which is no plan before it")
        return False

    def _void(self, index: int, plan: int, reason: str, digest: str) -> None:
        own = self._open.get(plan)
        if self._end(index, plan, "void") and own != digest:
            self._say(index, f"a void of entry {plan} with another digest than that plan's")
        if reason not in _REASONS:
            self._say(index, f"a void for a reason that is not known: {reason[:80]!a}")

    def _retract(self, index: int, receipt: int, digest: str) -> None:
        mark = self._marks[receipt] if receipt < index else _NOTHING
        if mark == _RETRACTED:
            self._say(index, f"the receipt in entry {receipt} is retracted a second time")
        elif mark == _RECEIPT:
            self._marks[receipt] = _RETRACTED
            if self.digest_at(receipt) not in (None, digest):
                self._say(index, f"retracts entry {receipt} with another digest than that receipt's")
        elif receipt >= index or mark != _NOTHING:
            self._say(index, f"retracts entry {receipt}, which is no receipt before it")

    def _say(self, index: int, what: str) -> None:
        self.audited.findings.add(f"entry {index}", what, what.split(" ", maxsplit=1)[0])
