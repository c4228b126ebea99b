"""What a scan counts of a dataset, on its way to what a plan says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import OTHERS, UNOWNED, Cases, Disposition
from retentiond.domain.plan import Forecast
from retentiond.domain.policy import Action
from retentiond.domain.record import Record
from retentiond.domain.records import columns_of
from retentiond.domain.replay import SINCE
from retentiond.engine.leaving import Left
from retentiond.ports.stores import UNNAMEABLE, Tally, Window


@dataclass(slots=True)
class Count:
    """What was found in one dataset.

    Attributes:
        kept: What policy keeps of the rows that were asked about.
        unowned: Of accounts that leave: rows of which nobody can tell whose they are.
        since: After a restore: rows of closed accounts that were written since their closure, and stay.
        too_old: By rule that promises zero retention, what an earlier check should have removed, and is not held.
        actions: How many records were planned, by what is to be done.
        doubts: What is undetermined, by the rule that could not be asked; 0 where none could.
    """

    dataset: Dataset
    policy: str
    tallies: dict[int, Tally] = field(default_factory=dict)
    held: int = 0
    waiting: int = 0
    planned: Tally = field(default_factory=Tally)
    undetermined: Counter[str] = field(default_factory=Counter)
    kept: Tally = field(default_factory=Tally)
    unowned: int = 0
    since: int = 0
    too_old: dict[int, Tally] = field(default_factory=dict)
    doubts: Counter[int] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)

    def plan(self, action: Action | None, records: Sequence[Record]) -> None:
        """Add records that were planned."""
        self.planned = self.planned.plus(tally_of(records))
        self.actions[action or Action.PURGE] += len(records)

    def examine(self, window: Window) -> None:
        """Add a window of a scan."""
        for case, tally in window.tallies.items():
            self.tallies[case] = self.tallies.get(case, Tally()).plus(tally)

    @property
    def examined(self) -> int:
        """All records looked at."""
        return sum(tally.count for tally in self.tallies.values())

    def doubt(self, cases: Cases) -> None:
        """Count what could not be told, by reason, and what policy keeps of those that are asked about."""
        for index, tally in self.tallies.items():
            case = cases.cases[index] if index != UNNAMEABLE else None
            if case is not None and case.disposition is Disposition.KEEP and case.reason not in (OTHERS, UNOWNED):
                self.kept = self.kept.plus(tally)
            if case is not None and case.reason == SINCE:
                self.since += tally.count
            if case is not None and case.disposition is Disposition.KEEP and case.reason == UNOWNED:
                self.unowned += tally.count
            if case is None or case.disposition is Disposition.UNDETERMINED:
                self.undetermined[case.reason if case else "name-unreadable"] += tally.count
                self.doubts[case.rule if case else 0] += tally.count

    def note_age(self, rule: int, latest: int, records: Sequence[Record]) -> None:
        """Count those of a rule's records whose clock is not after the latest one that may be there."""
        found = columns_of(records)
        pairs = zip(found.clock, found.size_bytes, strict=True)
        late = [(clock, size) for clock, size in pairs if clock is not None and clock <= latest]
        if late:
            tally = Tally(len(late), sum(size for _, size in late), min(clock for clock, _ in late))
            self.too_old[rule] = self.too_old.get(rule, Tally()).plus(tally)

    def forecast(self) -> Forecast:
        """Return what a plan says of the dataset."""
        doubts = +self.undetermined
        due, unsure = self.planned.count, doubts.total()
        return Forecast(
            dataset=self.dataset.name,
            policy=self.policy,
            examined=self.examined,
            due=due,
            kept=self.examined - due - self.held - self.waiting - unsure,
            held=self.held,
            undetermined=unsure,
            size_bytes=self.planned.size_bytes,
            doubts=tuple(sorted(doubts.items())),
            oldest=self.planned.oldest,
            follows=self.dataset.follows,
            waiting=self.waiting,
            actions=tuple(sorted((str(action), count) for action, count in self.actions.items() if count)),
        )


@dataclass(slots=True)
class DatasetPlan:
    """The counts of a subject's datasets, and what stays of accounts that leave."""

    counts: list[Count]
    left: Left

    def forecasts(self) -> list[Forecast]:
        """Return what the plan says of each dataset."""
        return [count.forecast() for count in self.counts]


def tally_of(records: Sequence[Record]) -> Tally:
    """Return records counted."""
    found = columns_of(records)
    oldest = min((clock for clock in found.clock if clock is not None), default=None)
    return Tally(len(found), sum(found.size_bytes), oldest)
