"""Disclosure: one named record of a receipt is shown to be in it, and nothing else; until its key is destroyed."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.engine import manifest, searching
from retentiond.engine.bundles import export_all, export_one, get_receipt
from retentiond.engine.checking import check
from retentiond.engine.disclosing import Named, disclose
from retentiond.engine.running import run_all
from retentiond.engine.searching import ManifestItems
from retentiond.errors import NotFound, ReceiptError, UsageError
from retentiond.evidence.merkle import leaf_hash, root_from_path
from tests.engine.handed_out import leaf, read, verdict
from tests.engine.office import Office, Quiet, carry

MINE, OTHER = "acct-'mine'\u202e", "acct-other"


def fill(office: Office) -> str:
    for number in range(5):
        office.request(f"mine-{number}\n\U0001f5d1", 22, account=MINE)
        office.feedback(number, 31, MINE)
    for number in range(9):
        office.request(f"other-{number}", 22, account=OTHER)
    office.request("nobodys", 22, account=None, flagged=0)
    office.feedback(99, 31, OTHER)
    return carry(office).carried[0].receipt.id


def shown(bundle: dict[str, Any]) -> str:
    """Return all texts of a bundle, encoded ones decoded."""
    inner = [bundle["dsseEnvelope"]["payload"], bundle["account"]["leaf"], *(each["key"] for each in bundle["items"])]
    return json.dumps(bundle, ensure_ascii=False) + "".join(base64.b64decode(each).decode() for each in inner)


def test_one_named_record_is_shown_and_nothing_else(office: Office, tmp_path: Path) -> None:
    receipt = fill(office)
    named = Named("requests", ["mine-3\n\U0001f5d1"])
    with office.open() as ctx:
        path = disclose(ctx, receipt, named, tmp_path / "one.json")
        whole = disclose(ctx, receipt, Named("feedback", ["0", "4"], account=MINE), tmp_path / "two.json")
    bundle, _ = read(path)
    assert verdict(office, path).reason is None
    assert (bundle["annex"], bundle["account"]["id"], bundle["account"]["salt"]) == (None, None, None)
    ((item),) = bundle["items"]
    assert (item["dataset"], base64.b64decode(item["key"]).decode(), item["action"]) == (
        "requests",
        named.keys[0],
        "tombstone",
    )
    text = shown(bundle)
    assert not [each for each in (MINE, OTHER, "mine-1", "other-", "nobodys") if each in text]
    counts = leaf(bundle)
    assert (counts["records"], counts["retained"], counts["actions"]["tombstoned"]) == (10, 0, 5)
    both, _ = read(whole)
    assert verdict(office, whole).reason is None
    assert (both["account"]["id"], [each["action"] for each in both["items"]]) == (MINE, ["purge", "purge"])
    assert OTHER not in shown(both)
    item["key"] = base64.b64encode(b"other-1").decode()
    path.write_text(json.dumps(bundle), "utf-8")
    assert verdict(office, path).step == "items"


def test_what_a_receipt_is_not_about_is_said(office: Office, tmp_path: Path) -> None:
    receipt, out = fill(office), tmp_path / "out.json"
    wrong = [
        (Named("requests", ["absent"]), NotFound, "not about record 'absent'"),
        (Named("feedback", ["mine-3\n\U0001f5d1"]), NotFound, "not about record"),
        (Named("requests", ["other-1"], account=MINE), NotFound, "of that account"),
        (Named("requests", ["other-1"], version="v9"), NotFound, "not about record"),
        (Named("requests", ["other-1", "mine-3\n\U0001f5d1"]), UsageError, "different accounts"),
    ]
    with office.open() as ctx:
        for named, error, what in wrong:
            with pytest.raises(error, match=what):
                disclose(ctx, receipt, named, out)
        with pytest.raises(NotFound):
            disclose(ctx, "no-receipt", Named("requests", ["other-1"]), out)
    assert not out.exists()


def test_a_destroyed_key_ends_disclosure_and_the_receipt_still_verifies(office: Office, tmp_path: Path) -> None:
    office.edit("retentiond.yaml", "  keep: 400 days", "  keep: 30 days")
    receipt = fill(office)
    given = tmp_path / "given.json"
    with office.open() as ctx:
        disclose(ctx, receipt, Named("requests", ["other-1"]), given)
        assert any("`commitments.keep`" in note and "manifests of 1 receipts" in note for note in check(ctx).notes)
    manifests = office.root / "receipts" / "manifests"
    for days, kept in ((29, 2), (2, 0)):
        office.clock.at += timedelta(days=days)
        with office.open() as ctx:
            run_all(ctx)
        assert len([*manifests.glob(f"{receipt}.*")]) == kept
    with office.open() as ctx:
        row = get_receipt(ctx, receipt)
        with ctx.ledger.begin() as tx:
            run = next(each for each in tx.runs.recent(9) if each.receipt == receipt)
            (event,) = [each for each in tx.events.newest(99) if each.kind == "receipt.key-destroyed"]
        assert (row.commitment_key, run.commitment_key, event.subject) == (b"", b"", receipt)
        with pytest.raises(ReceiptError, match="is gone, so no account's or record's part"):
            disclose(ctx, receipt, Named("requests", ["other-1"]), tmp_path / "late.json")
        with pytest.raises(ReceiptError, match="is gone"):
            export_one(ctx, receipt, tmp_path / "late", OTHER)
        newer = export_all(ctx, tmp_path / "late", OTHER)  # what was hidden was purged since
        assert receipt not in {read(path)[1]["receiptId"] for path in newer}
        assert isinstance(ctx.reporter, Quiet)
        assert [note for note in ctx.reporter.notes if note.startswith("1 receipts are left out: their keys are gone")]
    assert verdict(office, row.file).reason is None
    assert verdict(office, given).reason is None


@pytest.mark.parametrize("rows_at_once", [1, 7, 50_000])
def test_an_item_is_found_in_every_place_of_a_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr(searching, "_ROWS_AT_ONCE", rows_at_once)
    chance = random.Random(3)
    accounts = [hashlib.sha256(b"%d" % number).digest() for number in range(4)]
    items = {account: [chance.randbytes(32) for _ in range(number * 6)] for number, account in enumerate(accounts)}
    items[accounts[1]].append(items[accounts[3]][0])  # of both
    rows = [
        row for account, own in items.items() for row in manifest.pack([account] * len(own), own, [1] * len(own),
                                                                       [1] * len(own), [None] * len(own))
    ]  # fmt: skip
    unnamed = [manifest.pack_unnamed(accounts[2], manifest.RETAINED)] * 3
    manifest.write_manifest(tmp_path / "r", bytes(32), [rows, unnamed])
    with ManifestItems(tmp_path / "r") as found:
        assert found.owners([items[accounts[3]][0], bytes(31) + b"x"]) == {
            items[accounts[3]][0]: frozenset((accounts[1], accounts[3]))
        }
        assert found.owners([accounts[3]]) == {}  # there, and no item
        for account, own in items.items():
            derived = manifest.derive_account(tmp_path / "r", account)
            for leaf_of in own:
                index, path = found.place(account, leaf_of)
                assert derived is not None
                tree = json.loads(derived.leaf)["items"]
                assert root_from_path(leaf_of, index, tree["size"], path).hex() == tree["root"]
                assert found.has(account, leaf_of)
            assert not found.has(account, leaf_hash(b"none"))
    with pytest.raises(ReceiptError, match="manifest is missing"):
        ManifestItems(tmp_path / "none")
