"""From ended batches to the rows of a receipt's manifest: each record committed to, under each of its owners."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from retentiond.domain.plan import Part
from retentiond.domain.records import Records, Same, chosen, columns_of
from retentiond.engine import manifest
from retentiond.engine.context import Context
from retentiond.engine.endings import read_ended
from retentiond.engine.identifiers import Ended, Final, items_of
from retentiond.evidence.commitment import ItemAction, account_commitment, account_salt, item_hashes
from retentiond.ports.rows import BatchRow

_ACTIONS = {
    Final.PURGED: ItemAction.PURGE,
    Final.TOMBSTONED: ItemAction.TOMBSTONE,
    Final.REDACTED: ItemAction.REDACT,
    Final.PSEUDONYMISED: ItemAction.PSEUDONYMISE,
    Final.KEY_DESTROYED: ItemAction.KEY_DESTROYED,
    Final.ALREADY_GONE: ItemAction.ALREADY_GONE,
}
_NAMED = frozenset(_ACTIONS)
_NOBODY: tuple[str | None, ...] = (None,)
_MOST_COMMITMENTS = 10_000


def read_all(ctx: Context, batches: Iterable[BatchRow]) -> Iterator[tuple[BatchRow, Ended]]:
    """Give ended batches with what they hold, one after the other."""
    return ((batch, read_ended(ctx, batch)) for batch in batches)


def done_of(ended: Ended) -> Records:
    """Return the records of a batch that were acted on, or were gone already: those that a receipt names."""
    return columns_of(chosen(ended.records, ended.places(_NAMED)))


def item_rows(key: bytes, parts: Sequence[Part], batches: Iterable[tuple[BatchRow, Ended]]) -> Iterator[list[bytes]]:
    """Give the manifest's rows of ended batches, batch by batch: a record stands under each of its owners."""
    accounts = _Commitments(key)
    for batch, ended in batches:
        done = done_of(ended)
        actions = [_ACTIONS[final] for final in ended.finals if final in _ACTIONS]
        hashes = item_hashes(key, items_of(parts[batch.part].dataset, done), actions)
        sizes, clocks = done.size_bytes, done.clock
        yield manifest.pack(map(accounts.__getitem__, done.account), hashes, actions, sizes, clocks)
        for place, owner in _further_owners(done):
            yield manifest.pack([accounts[owner]], [hashes[place]], [actions[place]], [sizes[place]], [clocks[place]])
        yield _retained(ended, accounts)


@dataclass(frozen=True, slots=True)
class Owner:
    """An account with a receipt of its own: the receipt's K, and the commitment to the account under it."""

    key: bytes
    commitment: bytes


def rows_of_owners(
    owners: Mapping[str, Owner], parts: Sequence[Part], batches: Iterable[tuple[BatchRow, Ended]]
) -> Iterator[tuple[str, Part, list[bytes]]]:
    """Give the rows of accounts that have a receipt of their own, each under its receipt's key, from one reading.

    A record of several of them stands under each; what others own is left out, and what stayed.
    """
    for batch, ended in batches:
        part, done = parts[batch.part], done_of(ended)
        actions = [_ACTIONS[final] for final in ended.finals if final in _ACTIONS]
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place, record in enumerate(done):
            for account in record.accounts:
                if account in owners:
                    places[account].append(place)
        for account, own in places.items():
            records, taken = done.at(own), [actions[place] for place in own]
            hashes = item_hashes(owners[account].key, items_of(part.dataset, records), taken)
            commitments = [owners[account].commitment] * len(own)
            rows = manifest.pack(commitments, hashes, taken, records.size_bytes, records.clock)
            yield account, part, rows


def _further_owners(done: Records) -> Iterator[tuple[int, str]]:
    if isinstance(done.ties, Same) and not done.ties.value.others:
        return iter(())
    return ((place, owner) for place, record in enumerate(done) if record.ties.others for owner in record.accounts[1:])


def _retained(ended: Ended, accounts: _Commitments) -> list[bytes]:
    if Final.HELD not in ended.finals:
        return []
    held = [record for record, final in zip(ended.records, ended.finals, strict=True) if final is Final.HELD]
    owners = [owner for record in held for owner in record.accounts or _NOBODY]
    return [manifest.pack_unnamed(accounts[owner], manifest.RETAINED) for owner in owners]


class _Commitments(dict[str | None, bytes]):
    """Commitments to accounts under a receipt's key, each made when it is first asked for."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def __missing__(self, account: str | None) -> bytes:
        if len(self) > _MOST_COMMITMENTS:  # a bound on memory, not a format
            self.clear()
        made = self[account] = commitment_under(self._key, account or "")
        return made


def commitment_under(key: bytes, account: str) -> bytes:
    """Return the 32-byte commitment to an account under a receipt's key; the empty one is of records without any."""
    raw = account.encode()
    return bytes.fromhex(account_commitment(account_salt(key, raw), raw))
