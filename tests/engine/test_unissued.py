"""A manifest whose receipt never came about goes before the next one is written; one that has a receipt stays."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from retentiond.engine import closure_receipts, drafting, preparing, receipts
from retentiond.engine.closures import close_account
from retentiond.engine.manifest import Replacing
from retentiond.engine.running import run_all
from retentiond.engine.scratch import Scratch
from retentiond.errors import Interrupted
from tests.engine.office import Office, carry


def manifests(office: Office) -> set[str]:
    """Return the names of all that stands where manifests do, without suffixes."""
    return {path.name.split(".")[0] for path in (office.root / "receipts" / "manifests").iterdir()}


def with_receipts(office: Office) -> set[str]:
    return {path.name.split(".")[0] for path in (office.root / "receipts").glob("*.bundle.json")}


def dies(*_arguments: object) -> None:
    raise Interrupted("killed")


@pytest.mark.parametrize("least", [0, 100_000], ids=["beside", "alone"])
def test_of_a_run_that_was_killed_before_its_receipt(
    office: Office, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    monkeypatch.setattr(preparing, "LEAST", least)
    monkeypatch.setattr(drafting, "BATCH_RECORDS", 3)
    for number in range(10):
        office.feedback(number, 31, f"acct-{number % 4}")
    office.request("earlier", 22)
    carry(office, "content")
    earlier = with_receipts(office)
    with monkeypatch.context() as patch:
        patch.setattr(receipts, "sign", dies)
        with pytest.raises(Interrupted):
            carry(office)
    assert len(manifests(office)) == 2
    with office.open() as ctx:
        run_all(ctx)
    assert manifests(office) == with_receipts(office) > earlier
    assert len(with_receipts(office)) == 2


def test_of_closures_that_were_killed_before_their_receipts(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = [f"acct-{number}" for number in range(4)]
    for number, account in enumerate(accounts):
        office.feedback(number, 1, account)
    with office.open() as ctx:
        for account in accounts:
            close_account(ctx, account, "left", None)
    with office.open() as ctx, monkeypatch.context() as patch:
        patch.setattr(closure_receipts, "sign", dies)
        with pytest.raises(Interrupted):
            run_all(ctx)
    assert len(manifests(office)) == 5
    assert len(with_receipts(office)) == 1
    with office.open() as ctx:
        run_all(ctx)
    assert manifests(office) == with_receipts(office)
    assert len(with_receipts(office)) == 5


def test_a_file_that_is_not_whole_takes_no_room(tmp_path: Path) -> None:
    def write() -> None:
        with Replacing(tmp_path / "receipt.items") as file:
            file.write(b"rows")
            dies()

    with pytest.raises(Interrupted):
        write()
    assert not list(tmp_path.iterdir())


def test_a_scratch_database_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Scratch("CREATE TABLE seen (account TEXT);") as scratch:
        scratch._write("INSERT INTO seen VALUES (?)", [(f"acct-{number}",) for number in range(100_000)])
        assert not list(tmp_path.iterdir())
        assert scratch._db.execute("SELECT count(*) FROM seen").fetchone() == (100_000,)
