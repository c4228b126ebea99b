"""Verification: a read of its own, through a new descriptor of the root, that says what became of an order's records.

It never says "absent" for want of an answer. A directory of the path that is a symbolic link or a mount point now, or
that may not be searched, leaves the record unknown: an application may still reach it there. So does a root, or a
dataset's own directory, that is missing, for that is what an unmounted file system looks like.
"""

from __future__ import annotations

import os

from retentiond.connectors.files.judging import Judge, Search
from retentiond.connectors.files.layout import Layout
from retentiond.connectors.files.reading import Reader
from retentiond.connectors.files.returning import sighting_of
from retentiond.connectors.files.tree import Tree
from retentiond.domain.plan import Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Record
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Order, Verified

METHOD = "status-by-path"


def verify(opened: Tree, layout: Layout, reader: Reader, order: Order) -> Verified:
    """Look for the order's records; as `ports.stores.Connector.verify`."""
    try:
        tree = opened.again()
    except ConnectorError:
        return _unknown(order)
    try:
        with Search(tree, layout, reader) as search:
            judge = Judge(search, layout, reader, order)
            sightings = [_sighting(judge, layout, record, order.action) for record in order.records]
        return Verified(sightings, METHOD, position=_position(tree))
    except (ConnectorError, OSError):
        return _unknown(order)
    finally:
        tree.close()


def _unknown(order: Order) -> Verified:
    return Verified([Sighting.UNKNOWN] * len(order.records), METHOD)


def _sighting(judge: Judge, layout: Layout, record: Record, action: Action) -> Sighting:
    try:
        place, path = layout.locate(record)
        if action is Action.RESTORE:
            return sighting_of(judge, record, path)
        here = judge.here(place, path)
        moved = [] if here and action is not Action.TOMBSTONE else judge.moved(record, place, path)
    except (OSError, ValueError):
        return Sighting.UNKNOWN
    if any(judge.wins(trace) for trace in (*here, *moved)):
        return Sighting.DUE
    if any(trace.place.hidden_at is not None for trace in moved):
        return Sighting.HIDDEN
    return Sighting.CHANGED if here or moved else Sighting.ABSENT


def _position(tree: Tree) -> dict[str, str | int]:
    """Return which file system and directory was read, so that another one under the same path is noticed."""
    return {"systemId": f"{os.fstatvfs(tree.fd).f_fsid:016x}", "inode": tree.inode}
