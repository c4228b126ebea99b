"""The separate read: what another connection finds of an order's records after the commit, on the primary."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from retentiond.connectors.postgresql.judging import Judge, Judged
from retentiond.connectors.postgresql.layout import Layout
from retentiond.connectors.postgresql.session import Identity, Session, Transaction
from retentiond.connectors.postgresql.vetting import Vetting
from retentiond.domain.plan import Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Key
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Order, Verified

METHOD = "select-by-key"
CHUNK = 5_000


def verify(order: Order, session: Session, vetting: Vetting, acted_on: Identity, role: str) -> Verified:
    """Look for an order's records in all tables of the dataset; any failure leaves all of them unknown.

    Args:
        vetting: What the session has seen of tables so far.
        acted_on: The database in which was acted; another one cannot tell that anything is gone.
    """
    try:
        sightings, position = _look(order, session, vetting, acted_on)
    except (ConnectorError, psycopg.Error):
        return Verified((Sighting.UNKNOWN,) * len(order.records), METHOD, role)
    return Verified(tuple(sightings), METHOD, role, position)


def _look(
    order: Order, session: Session, vetting: Vetting, acted_on: Identity
) -> tuple[list[Sighting], dict[str, str | int] | None]:
    with session.reading() as tx:
        if tx.standby or not session.identity.same(acted_on):
            return [Sighting.UNKNOWN] * len(order.records), None
        at = tx.position()
        layout = vetting.layout(tx, order.dataset)
        found: list[Sighting] = []
        for start in range(0, len(order.records), CHUNK):
            keys = [record.key for record in order.records[start : start + CHUNK]]
            found += _sightings(tx, layout, order, keys)
    system = {"systemId": session.identity.system} if session.identity.system else {}
    return found, {**system, "timeline": at.timeline, "lsn": at.lsn}


def _sightings(tx: Transaction, layout: Layout, order: Order, keys: Sequence[Key]) -> list[Sighting]:
    live = Judge(layout.live, order.cases).judge(tx, keys)
    moved = Judge(layout.quarantine, order.cases).judge(tx, keys) if layout.quarantine else {}
    if not live and not moved:
        return [Sighting.ABSENT] * len(keys)
    return [_sighting(order, live.get(number), moved.get(number)) for number in range(len(keys))]


def _sighting(order: Order, live: Judged | None, moved: Judged | None) -> Sighting:
    found = [each for each in (live, moved) if each is not None]
    if not found:
        return Sighting.ABSENT
    if order.action is Action.TOMBSTONE and all(each.hidden for each in found):
        return Sighting.HIDDEN
    return Sighting.DUE if any(each.case == order.case for each in found) else Sighting.CHANGED
