"""Bundles: what is handed out of a receipt, to auditors with its annex, to a customer with that account's part only."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from retentiond.engine.context import Context
from retentiond.engine.manifest import Tree, derive_account
from retentiond.engine.retractions import check_not_retracted, retractions_in
from retentiond.errors import NotFound, ReceiptError
from retentiond.evidence.bundle import AccountDisclosure, Bundle, ItemDisclosure
from retentiond.evidence.commitment import account_commitment, account_salt
from retentiond.evidence.envelope import Envelope, key_id
from retentiond.evidence.keyhistory import of_role, raw_of_pem
from retentiond.ports.rows import ReceiptRow


def write_bundle(ctx: Context, row: ReceiptRow) -> ReceiptRow:
    """Write a receipt's bundle with its annex where receipts are kept; return the receipt with its file."""
    (written,) = write_bundles(ctx, [row])
    return written


def write_bundles(ctx: Context, rows: Sequence[ReceiptRow]) -> list[ReceiptRow]:
    """Do that for several, and note all files in the ledger together."""
    written = [replace(row, file=str(ctx.terms.receipts / f"{row.id}.bundle.json")) for row in rows]
    for row in written:
        write_durably(Path(row.file), build_bundle(ctx, row).encode())
    with ctx.ledger.begin() as tx:
        for row in written:
            tx.receipts.set_file(row.id, row.file)
    return written


def build_bundle(
    ctx: Context,
    row: ReceiptRow,
    *,
    annex: bool = True,
    account: str | None = None,
    disclosed: tuple[AccountDisclosure, Sequence[ItemDisclosure]] | None = None,
) -> Bundle:
    """Return a receipt's bundle.

    Args:
        account: Disclose this account's part, and nothing of others.
        disclosed: In its place: what is disclosed of an account, and of its records.

    Raises:
        NotFound: The receipt is not about that account.
    """
    part, items = disclosed or (None if account is None else disclose_account(ctx, row, account), ())
    envelope = Envelope.from_json(json.loads(row.envelope))
    return Bundle(
        envelope=envelope,
        tlog_proof=ctx.log.prove(row.log_index),
        annex=row.annex if annex else None,
        account=part,
        items=items,
        keys=_keys(ctx, envelope),
    )


def _keys(ctx: Context, envelope: Envelope) -> Mapping[str, str]:
    """Return the public keys that verify a receipt: the issuer's may be one before the one in use."""
    newest, signed_by = ctx.terms.verifier_keys, envelope.signatures[0].keyid
    if key_id(raw_of_pem(newest["issuer"])) == signed_by:
        return newest
    before = [each.key for each in of_role(ctx.keys.records(), "issuer") if each.keyid == signed_by]
    return {**newest, "issuer": before[0]} if before else newest


def disclose_account(ctx: Context, row: ReceiptRow, account: str) -> AccountDisclosure:
    """Derive an account's part of a receipt.

    Raises:
        NotFound: The receipt is not about that account.
        ReceiptError: The manifest is missing, or the receipt's key was destroyed.
    """
    raw = account.encode()
    commitment = bytes.fromhex(account_commitment(account_salt(key_of(ctx, row), raw), raw))
    return disclosure_of(ctx, row, commitment, account)


def disclosure_of(ctx: Context, row: ReceiptRow, commitment: bytes, account: str | None) -> AccountDisclosure:
    """Derive the part of an account that is known by its commitment; it is named only where `account` is.

    Raises:
        NotFound: The receipt is not about that account.
        ReceiptError: The manifest is missing, or the receipt's key was destroyed.
    """
    derived = derive_account(ctx.terms.receipts / "manifests" / row.id, commitment)
    if derived is None:
        raise NotFound(
            f"receipt {row.id} says nothing of that account", remedy="`retentiond receipt list` names others"
        )
    if derived.tree != _signed_tree(row):
        raise ReceiptError(
            f"the manifest of receipt {row.id} does not lead to the root that was signed, so no part is handed out",
            remedy="restore the manifest from a backup of the receipts",
        )
    salt = None if account is None else account_salt(key_of(ctx, row), account.encode())
    return AccountDisclosure(derived.leaf, derived.index, derived.path, account, salt)


def key_of(ctx: Context, row: ReceiptRow) -> bytes:
    """Return the receipt's K.

    Raises:
        ReceiptError: It was destroyed.
    """
    if not row.commitment_key:
        raise ReceiptError(
            f"the key of receipt {row.id} is gone, so no account's or record's part of it can be derived any more",
            remedy="the receipt itself stays valid; whoever was given their part before still has it",
        )
    return ctx.wrapping.open(row.commitment_key, f"receipt/{row.id}".encode())


def _signed_tree(row: ReceiptRow) -> Tree:
    payload = Envelope.from_json(json.loads(row.envelope)).payload
    accounts = json.loads(payload)["predicate"]["accounts"]
    return Tree(accounts["size"], bytes.fromhex(accounts["root"]))


def export_all(ctx: Context, directory: Path, account: str | None, *, retracted: bool = False) -> list[Path]:
    """Write bundles of all receipts; with an account, only those about it, without annex, as far as that can be told.

    Args:
        retracted: Those that were taken back, too.

    Raises:
        ReceiptError: The directory cannot be written.
    """
    with ctx.ledger.begin() as tx:
        rows, taken = tx.receipts.all(), {} if retracted else retractions_in(tx)
    written = []
    sound = [each for each in rows if each.log_index not in taken]
    open_ones = [each for each in sound if each.commitment_key or account is None]
    if closed := len(sound) - len(open_ones):
        what = "receipts are left out: their keys are gone, so nobody can tell whether they are about that account"
        ctx.reporter.note(f"{closed:,} {what}")
    for row in open_ones:
        path = directory / f"{row.id}.bundle.json"
        try:
            bundle = build_bundle(ctx, row, annex=account is None, account=account)
        except NotFound:
            continue
        write_durably(path, bundle.encode())
        written.append(path)
    return written


def export_one(
    ctx: Context, receipt_id: str, output: Path | None, account: str | None, *, retracted: bool = False
) -> Path:
    """Write one receipt's bundle; with an account, that account's part without annex.

    Args:
        retracted: Even where it was taken back.

    Raises:
        NotFound: There is no such receipt, or it says nothing of the account.
        ReceiptError: It was taken back.
    """
    row = get_receipt(ctx, receipt_id)
    if not retracted:
        check_not_retracted(ctx, row)
    path = output or Path(f"{row.id}.bundle.json")
    write_durably(path, build_bundle(ctx, row, annex=account is None, account=account).encode())
    return path


def list_receipts(ctx: Context) -> list[ReceiptRow]:
    """Return all receipts, oldest first."""
    with ctx.ledger.begin() as tx:
        return list(tx.receipts.all())


def get_receipt(ctx: Context, receipt_id: str) -> ReceiptRow:
    """Return a receipt.

    Raises:
        NotFound: There is none.
    """
    with ctx.ledger.begin() as tx:
        row = tx.receipts.get(receipt_id)
    if row is None:
        raise NotFound(f"there is no receipt {receipt_id}", remedy="`retentiond receipt list` names them")
    return row


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that it is either whole or not there.

    Raises:
        ReceiptError: It cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ReceiptError(
            f"{path} cannot be written: {error.strerror}", where=str(path), remedy="make room or give permission"
        ) from error
