"""The separate read: what another connection finds of an order's records after the commit, on the primary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg

from retentiond.connectors import redacting
from retentiond.connectors.postgresql.judging import Judge, Judged
from retentiond.connectors.postgresql.layout import Layout
from retentiond.connectors.postgresql.redacting import row_sql
from retentiond.connectors.postgresql.session import Position, Session, Transaction
from retentiond.connectors.postgresql.vetting import Vetting
from retentiond.connectors.returning import sighting_of
from retentiond.domain.plan import Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Key
from retentiond.domain.records import keys_of
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Order, Verified

METHOD = "select-by-key"
CHUNK = 5_000
SEARCHED = 200  # rows that are in memory at a time, whole
TRIES = 2


def verify(order: Order, session: Session, vetting: Vetting, acting: Session, role: str) -> Verified:
    """Look for an order's records in all tables of the dataset; any failure leaves all of them unknown.

    A look whose connection was lost is begun anew, once: a restarted server would else stop each dataset at its batch.

    Args:
        vetting: What the session has seen of tables so far.
        acting: The session that acts; what another database says cannot tell that anything is gone from its own.
    """
    for _ in range(TRIES):
        try:
            sightings, position = _look(order, session, vetting, acting)
        except (ConnectorError, psycopg.Error):
            if session.is_lost or acting.is_lost:
                continue
            break
        method = redacting.METHOD_KNOWING if order.traces else METHOD
        return Verified(tuple(sightings), method, role, position)
    return Verified((Sighting.UNKNOWN,) * len(order.records), METHOD, role)


def _look(
    order: Order, session: Session, vetting: Vetting, acting: Session
) -> tuple[list[Sighting], dict[str, str | int] | None]:
    with session.reading() as tx:
        at = tx.position()
        if at is None or not _is_where_was_acted(session, at, acting):
            tx.position()  # fails where the server was started anew in between: then it is looked again
            return [Sighting.UNKNOWN] * len(order.records), None
        layout = vetting.layout(tx, order.dataset)
        found: list[Sighting] = []
        keys = keys_of(order.records)
        for start in range(0, len(keys), CHUNK):
            found += _sightings(tx, layout, order, keys[start : start + CHUNK], start)
    system = {"systemId": session.identity.system} if session.identity.system else {}
    return found, {**system, "timeline": at.timeline, "lsn": at.lsn}


def _is_where_was_acted(session: Session, at: Position, acting: Session) -> bool:
    """Whether both sessions reach one database; two primaries of one cluster differ by their timeline."""
    try:
        own = _position(acting)
    except psycopg.Error:  # it may have been lost since it acted: a new connection is as good
        acting.close()
        own = _position(acting)
    return own is not None and own.timeline == at.timeline and session.identity.meets(acting.identity)


def _position(session: Session) -> Position | None:
    with session.reading() as tx:
        return tx.position()


def _sightings(tx: Transaction, layout: Layout, order: Order, keys: Sequence[Key], start: int) -> list[Sighting]:
    if order.change is not None:
        traces = {n: order.traces[start + n] for n in range(len(keys)) if start + n in order.traces}
        return _look_inside(tx, layout, order, keys, traces)
    live = Judge(layout.live, order.cases).judge(tx, keys)
    moved = Judge(layout.quarantine, order.cases).judge(tx, keys) if layout.quarantine else {}
    if not live and not moved:
        return [Sighting.ABSENT] * len(keys)
    pairs = ((live.get(number), moved.get(number)) for number in range(len(keys)))
    if order.action is Action.RESTORE:
        return [sighting_of(order.case, *pair, quarantine=layout.quarantine is not None) for pair in pairs]
    return [_sighting(order, *pair) for pair in pairs]


def _look_inside(
    tx: Transaction, layout: Layout, order: Order, keys: Sequence[Key], traces: Mapping[int, frozenset[str]]
) -> list[Sighting]:
    """Look into whole rows, computed columns included, for what was to go from them."""
    found: dict[int, list[tuple[int, bool | None]]] = {}
    remaining: set[int] = set()
    known = sorted(traces)
    for source in layout.sources:
        for number, row in Judge(source, order.cases, order.change).judge(tx, keys).items():
            found.setdefault(number, []).append((row.case, row.stands))
        for at in range(0, len(known), SEARCHED):
            some = known[at : at + SEARCHED]
            rows = Judge(source, None).values(tx, [keys[n] for n in some], row_sql(source, computed=True))
            remaining |= redacting.remaining(traces, [(some[n], values) for n, values in rows])
    numbers = range(len(keys))
    return [redacting.sighting_of(found.get(number, ()), order.case, remains=number in remaining) for number in numbers]


def _sighting(order: Order, live: Judged | None, moved: Judged | None) -> Sighting:
    found = [each for each in (live, moved) if each is not None]
    if not found:
        return Sighting.ABSENT
    if order.action is Action.TOMBSTONE and all(each.hidden for each in found):
        return Sighting.HIDDEN
    return Sighting.DUE if any(each.case == order.case for each in found) else Sighting.CHANGED
