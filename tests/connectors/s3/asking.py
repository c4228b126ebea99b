"""Short ways to ask a connector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from retentiond.connectors.s3.connector import S3Connector, open_connector
from retentiond.connectors.s3.options import S3Options
from retentiond.domain.dataset import ClockFormat, ClockSource, Dataset, TombstoneTarget
from retentiond.domain.decision import Cases, cases_of
from retentiond.domain.period import Period
from retentiond.domain.policy import Action, Policy, Rule
from retentiond.domain.record import Record
from retentiond.ports.stores import Order, Tally
from tests.connectors.s3.bucket_behind import BUCKET

NOW = datetime.now(UTC)  # noqa: TID251 - the server's clock is the machine's
OLD, YOUNG = timedelta(days=40), timedelta(days=5)
PURGE = Rule(1, Period(days=30))
HIDE = Rule(1, Period(days=30), then=Action.TOMBSTONE, grace=Period(days=5))
PAYLOADS = Dataset(
    name="payloads",
    store="payload-store",
    store_kind="s3",
    data_class="request-content",
    clock=ClockSource(ClockFormat.MODIFIED),
    tombstone=TombstoneTarget(marker=True),
)


@contextmanager
def opened(url: str, *, page: int = 3, bucket: str = BUCKET, attempts: int = 1) -> Iterator[S3Connector]:
    connector = open_connector(S3Options(bucket=bucket, endpoint=url), page=page, attempts=attempts)
    connector._pause = lambda _seconds: None
    yield connector
    connector.close()


def cases(rule: Rule = PURGE, dataset: Dataset = PAYLOADS, *, later: timedelta = timedelta(0)) -> Cases:
    return cases_of(Policy("p", dataset.data_class, (rule,)), dataset, NOW + later)


def scanned(
    connector: S3Connector, decided: Cases, dataset: Dataset = PAYLOADS
) -> tuple[list[Record], dict[int, Tally]]:
    """Return the records that are due, and all tallies."""
    records, tallies = [], dict[int, Tally]()
    for window in connector.scan(dataset, decided, frozenset(decided.due)):
        records += [found.record for found in window.found]
        for case, tally in window.tallies.items():
            tallies[case] = tallies.get(case, Tally()).plus(tally)
    return records, tallies


def ordered(
    decided: Cases,
    records: Sequence[Record],
    action: Action = Action.PURGE,
    fence: Callable[[], None] = lambda: None,
    dataset: Dataset = PAYLOADS,
) -> Order:
    case = next(index for index in decided.due if decided.reason(index).action is action)
    return Order(dataset, action, decided, case, records, NOW, fence)


def counted(tallies: dict[int, Tally], decided: Cases, reason: str) -> int:
    """Return how many records were tallied under a case of this reason."""
    return sum(tally.count for case, tally in tallies.items() if case >= 0 and decided.reason(case).reason == reason)
