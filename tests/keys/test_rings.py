"""Rotation of the keys that seal and that remember: everything is found again, whatever is interrupted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from retentiond.engine import closures, keyverbs, rewrapping
from retentiond.engine.accounts import account_status
from retentiond.engine.approvals import approve
from retentiond.engine.bundles import build_bundle
from retentiond.engine.checking import check_ledger
from retentiond.engine.running import apply_plan
from retentiond.errors import GuardStopped, KeyFileError, UsageError
from tests.engine.office import Office, make_office, outcomes, plan
from tests.keys.test_rotation import killed_at
from tests.keys.walk import judged, pins, rotate, run


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return make_office(tmp_path)


def aside(office: Office, kind: str) -> list[str]:
    return sorted(path.name for path in (office.root / "keys").glob(f"{kind}-*.key"))


def sealed_under(office: Office) -> set[bytes]:
    """Give the marks of everything in the ledger that is sealed, but for the journal."""
    with office.open() as ctx, ctx.ledger.begin() as tx:
        return {row.sealed[:9] for row in tx.seals.not_under(b"\x00" * 9, 1000)}


def part_of_a_customer(office: Office) -> bool:
    """Derive an account's part of the first receipt, which takes the key that is sealed in the ledger."""
    with office.open() as ctx:
        with ctx.ledger.begin() as tx:
            row = tx.receipts.all()[0]
        bundle = build_bundle(ctx, row, annex=False, account="acct-zero")
    key = pins(office)
    return judged(office, bundle.encode(), *key.both).valid


def closing(office: Office) -> None:
    """Have an account in its grace, whose name the ledger holds sealed."""
    office.edit("policies.yaml", "grace: none, deadline: 30 days", "grace: 2 days, deadline: 30 days")
    with office.open() as ctx:
        closures.close_account(ctx, "acct-left", "left", None)


def test_what_the_ledger_holds_is_sealed_anew_and_the_journal_stays(office: Office) -> None:
    closing(office)
    run(office, "first")
    names = sorted(path.name for path in (office.root / "journal").iterdir())
    found = rotate(office, "wrapping", destroy=True)
    assert found.sealed > 2
    (before,) = found.older  # the journal is sealed under it
    assert aside(office, "wrapping") == [f"wrapping-{before}.key"]
    assert found.journal[before] == len(names)
    assert set(names) < {path.name for path in (office.root / "journal").iterdir()}
    assert sealed_under(office) == {b"\x02" + bytes.fromhex(found.key)}
    assert part_of_a_customer(office)
    with office.open() as ctx:
        assert check_ledger(ctx) == []
        assert account_status(ctx, "acct-left").state == "grace"
    (office.root / "keys" / aside(office, "wrapping")[0]).rename(office.root / "kept")
    assert part_of_a_customer(office)  # and needs nothing of the old key
    run(office, "second")
    with office.open() as ctx:
        (sealed, *_) = [ctx.journal.sealed(name.removesuffix(".sealed")) for name in names]
        assert sealed is not None
        with pytest.raises(KeyFileError, match="another wrapping key") as caught:
            ctx.journal.open(sealed)
        assert "every wrapping-*.key" in caught.value.remedy
    second = rotate(office, "wrapping", destroy=True)
    assert len(second.older) == 1
    with pytest.raises(UsageError, match="there is a wrapping key"), office.open() as ctx:
        keyverbs.make(ctx, "wrapping")


def test_sealing_anew_that_is_killed_goes_on_under_the_same_key(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrapping, "_AT_ONCE", 1)
    closing(office)
    run(office, "first")
    marks = sealed_under(office)
    for step in (2, 9, 22, 27, 29):
        root = tmp_path / f"copy-{step}"
        shutil.copytree(office.root, root, ignore=shutil.ignore_patterns("copy-*"))
        copy = Office(root)
        with killed_at(step) as seen:
            rotate(copy, "wrapping")
        assert "killed" in seen
        assert part_of_a_customer(copy)
        ended = sealed_under(copy).isdisjoint(marks)
        found = rotate(copy, "wrapping")
        assert len(aside(copy, "wrapping")) == (2 if ended else 1)  # no third key for what the second had begun
        assert sealed_under(copy) == {b"\x02" + bytes.fromhex(found.key)}
        assert part_of_a_customer(copy)
        shutil.rmtree(root)


def test_what_was_sealed_by_an_older_program_opens_and_is_sealed_anew(office: Office) -> None:
    key = bytes.fromhex((office.root / "keys" / "wrapping.key").read_text("ascii"))
    old = b"\x01" + bytes(12) + AESGCM(key).encrypt(bytes(12), b"plain", b"\x01" + b"context")
    with office.open() as ctx:
        assert ctx.wrapping.open(old, b"context") == b"plain"
    rotate(office, "wrapping")
    with office.open() as ctx:
        assert ctx.wrapping.open(old, b"context") == b"plain"
        assert ctx.wrapping.key_of(old, b"context") in aside(office, "wrapping")[0]
        assert ctx.wrapping.key_of(old, b"other") == ""


def test_what_was_remembered_under_the_old_replay_key_is_found_under_the_new_one(office: Office) -> None:
    closing(office)
    run(office, "first")
    office.request("second", 3, account="acct-zero")
    with office.open() as ctx:
        planned = plan(ctx).plan
        assert planned is not None
    found = rotate(office, "replay")
    assert (found.sealed, list(found.older)) == (0, [aside(office, "replay")[0][7:-4]])
    with office.open() as ctx:
        assert account_status(ctx, "acct-left").state == "grace"
        approve(ctx, planned.id, None)
        assert outcomes(apply_plan(ctx, planned.id)) == {"requests": {"purged": 1}}  # its list is the one it was
    office.request("third", 3, account="acct-zero")
    changed = "policy content for dataset requests was not approved in its present form"
    assert changed not in reasons(office)
    office.edit("policies.yaml", "zero: [acct-zero]", "zero: [acct-zero, acct-other]")
    assert changed in reasons(office)
    (office.root / "keys" / aside(office, "replay")[0]).unlink()
    with office.open() as ctx:
        assert account_status(ctx, "acct-left").state == "open"  # nobody can tell any more


def reasons(office: Office) -> tuple[str, ...]:
    with office.open() as ctx:
        return tuple(plan(ctx).reasons)


def test_nobody_turns_a_ring_who_may_not(tmp_path: Path) -> None:
    office = make_office(tmp_path, single_operator=False)
    for kind in ("wrapping", "replay"):
        with pytest.raises(GuardStopped):
            rotate(office, kind)
        assert aside(office, kind) == []
