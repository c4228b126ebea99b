"""One ended batch as rows of a receipt's manifest: each record committed to, under each of its owners.

Nothing here asks the ledger, so that a process that knows nothing but the receipt's K can do it.
"""

from __future__ import annotations

from collections.abc import Iterator

from retentiond.domain.records import Records, Same, chosen, columns_of
from retentiond.engine import manifest
from retentiond.engine.identifiers import Ended, Final, items_of
from retentiond.evidence.commitment import ItemAction, account_commitment, account_salt, item_hashes

ACTIONS = {
    Final.PURGED: ItemAction.PURGE,
    Final.TOMBSTONED: ItemAction.TOMBSTONE,
    Final.REDACTED: ItemAction.REDACT,
    Final.PSEUDONYMISED: ItemAction.PSEUDONYMISE,
    Final.KEY_DESTROYED: ItemAction.KEY_DESTROYED,
    Final.ALREADY_GONE: ItemAction.ALREADY_GONE,
}
_NAMED = frozenset(ACTIONS)
_NOBODY: tuple[str | None, ...] = (None,)
_MOST_COMMITMENTS = 10_000


def done_of(ended: Ended) -> Records:
    """Return the records of a batch that were acted on, or were gone already: those that a receipt names."""
    return columns_of(chosen(ended.records, ended.places(_NAMED)))


def actions_of(ended: Ended) -> list[ItemAction]:
    """Return what was done to each of these records."""
    return [ACTIONS[final] for final in ended.finals if final in ACTIONS]


def has_rows(ended: Ended) -> bool:
    """Tell whether a receipt says anything of a batch, by itself or under its account."""
    return not _SILENT.issuperset(ended.finals)


_SILENT = frozenset(Final) - _NAMED - {Final.HELD}


class Rows:
    """Makes the rows of batches under one receipt's key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._accounts = _Commitments(key)

    def of(self, dataset: str, ended: Ended) -> Iterator[list[bytes]]:
        """Give the rows of a batch: a record stands under each of its owners."""
        accounts, done, actions = self._accounts, done_of(ended), actions_of(ended)
        hashes = item_hashes(self._key, items_of(dataset, done), actions)
        sizes, clocks = done.size_bytes, done.clock
        yield manifest.pack(map(accounts.__getitem__, done.account), hashes, actions, sizes, clocks)
        for place, owner in _further_owners(done):
            yield manifest.pack([accounts[owner]], [hashes[place]], [actions[place]], [sizes[place]], [clocks[place]])
        yield _retained(ended, accounts)


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
