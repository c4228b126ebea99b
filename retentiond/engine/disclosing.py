"""Disclosure: a bundle that shows of a receipt that it is about records somebody names, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from uuid import UUID

from retentiond.domain.record import Record, canonical_strings, key_bytes
from retentiond.engine.bundles import build_bundle, disclosure_of, get_receipt, key_of, write_durably
from retentiond.engine.context import Context
from retentiond.engine.endings import read_ended
from retentiond.engine.itemrows import commitment_under
from retentiond.engine.receipts import manifest_base
from retentiond.engine.retractions import check_not_retracted
from retentiond.engine.searching import ManifestItems
from retentiond.errors import LedgerError, NotFound, UsageError
from retentiond.evidence.bundle import ItemDisclosure
from retentiond.evidence.commitment import ItemAction, encode_item, item_leaf, item_salt
from retentiond.evidence.merkle import leaf_hash
from retentiond.ports.rows import BatchRow, ReceiptRow

_BYTES = "\\x"


@dataclass(frozen=True, slots=True)
class Named:
    """Records of a dataset that somebody names, as they typed it. `version` is of objects; empty where there is none.

    Attributes:
        account: Whose they are, to be shown too; None where that is nobody's business.
    """

    dataset: str
    keys: Sequence[str]
    version: str = ""
    account: str | None = None


@dataclass(frozen=True, slots=True)
class _Item:
    """One way to read what somebody named, with one thing that may have been done to it."""

    dataset: str
    key: bytes
    version: bytes
    action: ItemAction

    @property
    def name(self) -> bytes:
        return encode_item(self.dataset, self.key, self.version)


def disclose(ctx: Context, receipt_id: str, named: Named, output: Path | None) -> Path:
    """Write a bundle that shows that a receipt is about records of one account, and return where it stands.

    Of an account that is not named it shows what its leaf says, and not whose it is.

    Raises:
        NotFound: There is no such receipt, or it is not about one of them.
        ReceiptError: Its key was destroyed, its manifest is missing, or it was retracted.
        UsageError: The records have no account in common.
    """
    row = get_receipt(ctx, receipt_id)
    check_not_retracted(ctx, row)
    key = key_of(ctx, row)
    wanted = [
        {leaf_hash(item_leaf(key, each.name, each.action)): each for each in _items(named, k)} for k in named.keys
    ]
    with ManifestItems(manifest_base(ctx, row.id)) as items:
        commitment = _account(ctx, row, named, items, wanted)
        found = [(leaf, each[leaf]) for each in wanted for leaf in each if items.has(commitment, leaf)]
        disclosed = [_disclosed(key, item, items.place(commitment, leaf)) for leaf, item in found]
    account = disclosure_of(ctx, row, commitment, named.account)
    bundle = build_bundle(ctx, row, annex=False, disclosed=(account, disclosed))
    path = output or Path(f"{row.id}.disclosure.json")
    write_durably(path, bundle.encode())
    return path


def _account(
    ctx: Context, row: ReceiptRow, named: Named, items: ManifestItems, wanted: Sequence[Mapping[bytes, _Item]]
) -> bytes:
    """Return the commitment to the account that all of the records stand under."""
    if named.account is not None:
        commitment = commitment_under(key_of(ctx, row), named.account)
        owners = [{commitment} if any(items.has(commitment, leaf) for leaf in each) else set() for each in wanted]
    else:
        seen = items.owners([leaf for each in wanted for leaf in each])
        owners = [{owner for leaf in each for owner in seen.get(leaf, ())} for each in wanted]
    for key, found in zip(named.keys, owners, strict=True):
        if not found:
            raise _unknown(ctx, row, named, key)
    common = reduce(set.intersection, owners)
    if not common:
        raise UsageError(
            "these records are of different accounts, and one bundle is about one account",
            where="--key",
            remedy="disclose each by itself",
        )
    return min(common)


def _items(named: Named, key: str) -> list[_Item]:
    version = named.version.encode("utf-8", "surrogateescape")
    return [_Item(named.dataset, read, version, action) for read in _readings(key) for action in ItemAction]


def _readings(typed: str) -> dict[bytes, None]:
    """Return the names that a key as somebody typed it may have in receipts: several columns are a JSON array."""
    found = {typed.encode("utf-8", "surrogateescape"): None}
    with suppress(ValueError):
        found[str(UUID(typed)).encode()] = None
    with suppress(ValueError):
        parts = json.loads(typed)
        if isinstance(parts, list):
            found[canonical_strings([str(part) for part in parts])] = None
    if typed.startswith(_BYTES):
        with suppress(ValueError):
            found[bytes.fromhex(typed.removeprefix(_BYTES))] = None
    return found


def _disclosed(key: bytes, item: _Item, place: tuple[int, list[bytes]]) -> ItemDisclosure:
    salt = item_salt(key, item.name)
    return ItemDisclosure(item.dataset, item.key, item.version, item.action, salt, *place)


def _unknown(ctx: Context, row: ReceiptRow, named: Named, key: str) -> NotFound:
    whose = "" if named.account is None else " of that account"
    versions = sorted(set(_versions(ctx, row, named.dataset, key)))
    remedy = "keys are typed as the store has them; of an object the version is named, too: --version V"
    if versions:
        remedy = f"it is about these versions of it: --version {', or --version '.join(versions)}"
    return NotFound(
        f"receipt {row.id} is not about record {key!r} of dataset {named.dataset!r}{whose}",
        where="--key",
        remedy=remedy,
    )


def _versions(ctx: Context, row: ReceiptRow, dataset: str, key: str) -> Iterator[str]:
    """Name the versions of a key that a run worked on, as long as the ledger has its identifiers."""
    names = _readings(key)
    with ctx.ledger.begin() as tx:
        parts, batches = tx.plans.parts(row.plan), tx.batches.of_plan(row.plan)
    for batch in batches:
        records = _readable(ctx, batch) if parts[batch.part].dataset == dataset else ()
        found = (record for record in records if record.version and key_bytes(record.key) in names)
        yield from (record.version.decode("utf-8", "backslashreplace") for record in found)


def _readable(ctx: Context, batch: BatchRow) -> Sequence[Record]:
    with suppress(LedgerError):  # its identifiers were destroyed
        return read_ended(ctx, batch).records
    return ()
