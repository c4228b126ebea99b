"""The separate read: what another connection finds of an order's records after the commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from retentiond.connectors import redacting
from retentiond.connectors.returning import sighting_of
from retentiond.connectors.sqlite.database import Database
from retentiond.connectors.sqlite.judging import Judge, Judged, load_batch
from retentiond.connectors.sqlite.layout import Layout, Source, lay_out
from retentiond.domain.content import Change
from retentiond.domain.plan import Sighting
from retentiond.domain.policy import Action
from retentiond.domain.records import keys_of
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Order, Verified

METHOD = "select-by-key"


def verify(order: Order, connect: Callable[[], AbstractContextManager[Database]]) -> Verified:
    """Look for an order's records in all tables of the dataset; any failure leaves all of them unknown."""
    try:
        with connect() as db:
            sightings = _look(db, order)
    except (ConnectorError, sqlite3.Error):
        sightings = [Sighting.UNKNOWN] * len(order.records)
    return Verified(tuple(sightings), redacting.METHOD_KNOWING if order.traces else METHOD)


def _look(db: Database, order: Order) -> list[Sighting]:
    layout = lay_out(db, order.dataset)
    with db.reading():
        load_batch(db, len(order.dataset.key), keys_of(order.records))
        if order.change is not None:
            return _look_inside(db, layout, order, order.change)
        live = Judge(db, layout.live, order.cases).judge_batch()
        moved = Judge(db, layout.quarantine, order.cases).judge_batch() if layout.quarantine else {}
    if not live and not moved:
        return [Sighting.ABSENT] * len(order.records)
    pairs = ((live.get(number), moved.get(number)) for number in range(len(order.records)))
    if order.action is Action.RESTORE:
        return [sighting_of(order.case, *pair, quarantine=layout.quarantine is not None) for pair in pairs]
    return [_sighting(order, *pair) for pair in pairs]


def _sighting(order: Order, live: Judged | None, moved: Judged | None) -> Sighting:
    found = [each for each in (live, moved) if each is not None]
    if not found:
        return Sighting.ABSENT
    if order.action is Action.TOMBSTONE and all(each.hidden for each in found):
        return Sighting.HIDDEN
    return Sighting.DUE if any(each.case == order.case for each in found) else Sighting.CHANGED


def _look_inside(db: Database, layout: Layout, order: Order, change: Change) -> list[Sighting]:
    """Look into whole rows, computed columns included, for what was to go from them."""
    found: dict[int, list[tuple[int, bool | None]]] = {}
    remaining: set[int] = set()
    for source in layout.sources:
        judge = Judge(db, source, order.cases, change)
        for number, row in judge.judge_batch().items():
            found.setdefault(number, []).append((row.case, row.stands))
        remaining |= redacting.remaining(order.traces, _rows(judge, source)) if order.traces else set()
    numbers = range(len(order.records))
    return [redacting.sighting_of(found.get(number, ()), order.case, remains=number in remaining) for number in numbers]


def _rows(judge: Judge, source: Source) -> Iterator[tuple[int, Sequence[object]]]:
    return judge.values([column.name for column in source.table.columns], "TRUE")
