"""From ended batches to the rows of a receipt's manifest: each record committed to, under each of its owners."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from retentiond.domain.plan import Part
from retentiond.engine import manifest
from retentiond.engine.context import Context
from retentiond.engine.endings import read_ended
from retentiond.engine.identifiers import Ended, items_of
from retentiond.engine.itemrows import Rows, actions_of, done_of
from retentiond.engine.leaving import owners_among
from retentiond.evidence.commitment import item_hashes
from retentiond.ports.rows import BatchRow


def read_all(ctx: Context, batches: Iterable[BatchRow]) -> Iterator[tuple[BatchRow, Ended]]:
    """Give ended batches with what they hold, one after the other."""
    return ((batch, read_ended(ctx, batch)) for batch in batches)


def item_rows(key: bytes, parts: Sequence[Part], batches: Iterable[tuple[BatchRow, Ended]]) -> Iterator[list[bytes]]:
    """Give the manifest's rows of ended batches, batch by batch: a record stands under each of its owners."""
    rows = Rows(key)
    for batch, ended in batches:
        yield from rows.of(parts[batch.part].dataset, ended)


@dataclass(frozen=True, slots=True)
class Owner:
    """An account with a receipt of its own: the receipt's K, and the commitment to the account under it."""

    key: bytes
    commitment: bytes


def rows_of_owners(
    leaving: Collection[str],
    owners: Mapping[str, Owner],
    parts: Sequence[Part],
    batches: Iterable[tuple[BatchRow, Ended]],
) -> Iterator[tuple[str, Part, list[bytes]]]:
    """Give the rows of accounts that have a receipt of their own, each under its receipt's key, from one reading.

    A record of several of them stands under each; what others own is left out, and what stayed.
    """
    for batch, ended in batches:
        part, done = parts[batch.part], done_of(ended)
        actions = actions_of(ended)
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place, record in enumerate(done):
            for account in owners_among(leaving, record):
                places[account].append(place)
        for account, own in places.items():
            records, taken = done.at(own), [actions[place] for place in own]
            hashes = item_hashes(owners[account].key, items_of(part.dataset, records), taken)
            commitments = [owners[account].commitment] * len(own)
            rows = manifest.pack(commitments, hashes, taken, records.size_bytes, records.clock)
            yield account, part, rows
