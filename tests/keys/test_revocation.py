"""A key that was stolen: what counts of what it signed, and what goes on without it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from retentiond.engine import keychange
from retentiond.engine.running import run_all
from retentiond.errors import GuardStopped, NotFound, UsageError
from retentiond.ports.stores import Order, Verified
from tests.engine.office import Office, Proxy, carry, make_office
from tests.keys.walk import HOUR, WITNESSES, judged, pins, receipts, records, revoke, rotate, run, witnessed

MINUTE = timedelta(minutes=1)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return make_office(tmp_path)


def test_of_a_revoked_key_counts_only_what_a_witness_saw_before(office: Office) -> None:
    key = pins(office)
    first, at = run(office, "first"), office.clock.at
    second = run(office, "second")
    revoked = revoke(office, "issuer", HOUR // 2)  # between the two
    assert (revoked.role, revoked.reason) == ("issuer", "stolen")
    assert records(office)[0]["revokedAt"] == "2026-06-01T13:30:00Z"
    for receipt in (first, second):
        assert judged(office, receipt, *key.both, history=None).valid  # nobody asked
        assert judged(office, receipt, *key.both).step == "signature"
    seen = {"witnesses": WITNESSES}
    assert judged(office, witnessed(first, at), *key.both, **seen).reason is None
    assert judged(office, witnessed(first, at + HOUR), *key.both, **seen).step == "signature"
    told = judged(office, witnessed(second, at), *key.both, **seen)
    assert (told.step, "after the key was revoked (2026-06-01T13:30:00Z)" in str(told.reason)) == ("signature", True)


def test_after_the_key_in_use_was_revoked_nothing_is_signed_or_removed_until_another_is_there(office: Office) -> None:
    before = pins(office)
    revoke(office, "issuer")
    office.request("due", 3, account="acct-zero")
    with pytest.raises(GuardStopped, match="was revoked as of") as caught:
        carry(office)
    assert caught.value.guard == "key-not-in-force"
    assert "`retentiond keys rotate issuer`" in caught.value.remedy
    assert (office.rows(), receipts(office)) == ({"due"}, [])
    rotate(office, "issuer", destroy=True)
    assert [path.name for path in (office.root / "keys").glob("issuer*.key")] == ["issuer.key"]
    carry(office)
    assert office.rows() == set()
    (receipt,) = receipts(office)
    assert judged(office, receipt.read_bytes(), *pins(office).both).reason is None
    assert judged(office, receipt.read_bytes(), before.pem, *pins(office).both).reason is None
    assert judged(office, receipt.read_bytes(), *before.both).step == "signature"


def test_a_run_whose_key_is_revoked_meanwhile_has_its_receipt_from_the_next_key(office: Office) -> None:
    class Revoking(Proxy):
        """A store during whose first verification the issuer's key is revoked."""

        def verify(self, order: Order) -> Verified:
            with office.open() as ctx:
                if ctx.keys.records()[0].revoked_at is None:
                    keychange.revoke(ctx, "issuer", ctx.now(), "stolen", None)
            return super().verify(order)

    office.wraps["app"] = Revoking
    office.request("due", 3, account="acct-zero")
    with pytest.raises(GuardStopped, match="was revoked"):
        carry(office)
    assert (office.rows(), receipts(office)) == (set(), [])  # removed, and nobody says so yet
    office.wraps.clear()
    rotate(office, "issuer")
    with office.open() as ctx:
        run_all(ctx)
    (receipt,) = receipts(office)
    assert judged(office, receipt.read_bytes(), *pins(office).both).reason is None


def test_a_log_key_is_revoked_once_another_is_in_use_and_its_checkpoints_count_no_more(office: Office) -> None:
    before = pins(office)
    first, at = run(office, "first"), office.clock.at
    with pytest.raises(UsageError, match="has to sign that it is revoked") as caught:
        revoke(office, "log")
    assert "`retentiond keys rotate log --overlap none`" in caught.value.remedy
    rotate(office, "log", "30 days")
    second = run(office, "second")
    old = next(each for each in records(office) if each["role"] == "log" and each["key"] == before.vkey.strip())
    with office.open() as ctx:
        key_id = next(each.keyid for each in ctx.keys.records() if each.key == old["key"])
    revoke(office, key_id[:8], MINUTE)
    after = pins(office)
    third = run(office, "third")
    assert json.loads(third)["tlogProof"].count("\n\u2014 ") == 1  # it cosigns no more
    both = (before.vkey, *after.both)
    assert judged(office, second, *both).reason is None  # the new key signed it, too
    told = judged(office, first, *both)
    assert (told.step, "the log's key was revoked" in str(told.reason)) == ("checkpoint", True)
    assert judged(office, witnessed(first, at), *both, witnesses=WITNESSES).reason is None
    assert judged(office, first, *before.both).step == "signature"  # the history is not signed by it any more


def test_what_can_not_be_revoked_so(office: Office) -> None:
    run(office, "first")
    for key in ("", "issue", "0" * 8, "..", "ISSUER", "\u202e"):
        with pytest.raises(NotFound, match="no key of the history"):
            revoke(office, key)
    for reason in ("", " ", "r" * 201):
        with pytest.raises(UsageError, match="a reason is needed"):
            revoke(office, "issuer", reason=reason)
    with pytest.raises(UsageError, match="lies in the future"):
        revoke(office, "issuer", -MINUTE)
    revoke(office, "issuer", MINUTE)
    for ago in (timedelta(), MINUTE):
        with pytest.raises(UsageError, match="revoked already"):
            revoke(office, "issuer", ago)
    revoke(office, "issuer", HOUR)  # it was earlier
    assert records(office)[0]["revokedAt"] == "2026-06-01T12:00:00Z"
