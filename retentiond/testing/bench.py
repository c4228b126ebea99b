"""What the contract's tests are made of: filling a store, deciding, scanning and ordering."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from retentiond.domain.condition import Compare, Operator, attribute
from retentiond.domain.decision import Cases, Disposition, cases_of
from retentiond.domain.period import Period
from retentiond.domain.plan import Outcome
from retentiond.domain.policy import Action, Policy, Rule
from retentiond.domain.record import Key, Record
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Connector, Order, Tally
from retentiond.testing.harness import Entry, Harness

KEEP_DAYS, GRACE_DAYS = 30, 5
OLD, YOUNG = 40, 5

PURGE_RULE = Rule(1, Period(days=KEEP_DAYS))
TOMBSTONE_RULE = Rule(1, Period(days=KEEP_DAYS), then=Action.TOMBSTONE, grace=Period(days=GRACE_DAYS))
FLAGGED_RULE = Rule(1, Period(months=24), when=Compare(attribute("flagged"), Operator.EQUAL, literal=True))


class FenceClosed(Exception):
    """What the suite's fence raises; a connector must let it through untouched."""


@dataclass(slots=True)
class Scan:
    """Everything that one scan said."""

    records: list[Record] = field(default_factory=list)
    cases: list[int] = field(default_factory=list)
    tallies: dict[int, Tally] = field(default_factory=dict)

    @property
    def keys(self) -> list[Key]:
        """Keys of the records that were handed out, repeated ones repeated."""
        return [record.key for record in self.records]

    @property
    def examined(self) -> int:
        """How many records were looked at."""
        return sum(tally.count for tally in self.tallies.values())


def decide(harness: Harness, *rules: Rule, later_days: int = 0) -> Cases:
    """Return the cases of a policy with these rules on the harness's dataset, now or some days later."""
    policy = Policy("contract", harness.dataset.data_class, tuple(rules))
    return cases_of(policy, harness.dataset, harness.now + timedelta(days=later_days))


def scan(connector: Connector, harness: Harness, cases: Cases) -> Scan:
    """Return all that a scan for what is due says."""
    seen = Scan()
    for window in connector.scan(harness.dataset, cases, frozenset(cases.due)):
        seen.records.extend(found.record for found in window.found)
        seen.cases.extend(found.case for found in window.found)
        for case, tally in window.tallies.items():
            seen.tallies[case] = seen.tallies.get(case, Tally()).plus(tally)
    return seen


def order(harness: Harness, cases: Cases, records: Sequence[Record], fence: Callable[[], None] = lambda: None) -> Order:
    """Return the order to do what is due of records, all of the one case in which anything is due."""
    disposition = cases.reason(cases.due[0]).disposition
    return Order(harness.dataset, Action(disposition), cases, cases.due[0], records, harness.now, fence)


def purge_order(harness: Harness, records: Sequence[Record], fence: Callable[[], None] = lambda: None) -> Order:
    """Return the order to purge records that are past the retention period."""
    return order(harness, decide(harness, PURGE_RULE), records, fence)


def fill(harness: Harness, entries: Iterable[Entry]) -> dict[str, Key]:
    """Put entries into the store and return their keys by name."""
    return {entry.name: harness.put(entry) for entry in entries}


def old_and_young(harness: Harness, count: int = 3) -> tuple[set[Key], set[Key]]:
    """Put some records that are due and as many that are not; return their keys."""
    old = fill(harness, (Entry(f"old-{number}", age_days=OLD) for number in range(count)))
    young = fill(harness, (Entry(f"young-{number}", age_days=YOUNG) for number in range(count)))
    return set(old.values()), set(young.values())


def due_records(connector: Connector, harness: Harness) -> list[Record]:
    """Return the records past the retention period, as a scan hands them out."""
    return scan(connector, harness, decide(harness, PURGE_RULE)).records


def closed_fence() -> None:
    """Forbid to go on."""
    raise FenceClosed


def doubtful(cases: Cases, case: int) -> bool:
    """Whether records of this case are undetermined; a negative one is the connector's own doubt."""
    return case < 0 or cases.reason(case).disposition is Disposition.UNDETERMINED


def outcomes_of(connector: Connector, asked: Order) -> set[Outcome]:
    """Return the outcomes of an act; one that raises leaves all of them unknown, as the engine takes it."""
    try:
        return set(connector.act(asked).outcomes)
    except ConnectorError:
        return {Outcome.UNKNOWN}
