"""An audit of an instance whose keys changed, that attested, gave notice of a hold and took a receipt back."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from retentiond.domain.hold import Scope
from retentiond.engine.attesting import Question, attest
from retentiond.engine.forgetting import forget_keys
from retentiond.engine.holds import add_hold
from retentiond.engine.noticing import hold_notice
from retentiond.engine.retracting import retract
from retentiond.engine.running import run_all
from tests.audit.instance import audited, found
from tests.engine.office import NOW, Office, carry, make_office
from tests.keys.walk import revoke, rotate


def assert_only_revoked(office: Office) -> None:
    """What a revoked key signed stands for nothing where no witness saw it, and an audit says so of each."""
    said = found(office)
    assert len(said) == 3
    assert all(
        re.search(r"\.bundle\.json: the receipt is refused, step signature: .*the key was revoked", each)
        for each in said
    )


def test_every_kind_of_statement_and_every_change_of_keys_is_borne_out(tmp_path: Path) -> None:
    office = make_office(tmp_path)
    office.feedback(1, 31, "acct-a")
    first = carry(office).carried[0].receipt
    for kind in ("issuer", "log", "wrapping", "replay"):
        rotate(office, kind)
        assert found(office) == []
    office.feedback(2, 31, "acct-b")
    office.feedback(3, 31, "acct-held")
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=("acct-held",)), "Case-1", "asked for", None)
    carry(office)
    office.clock.at += timedelta(hours=1)
    with office.open() as ctx:
        attest(ctx, Question(NOW, office.clock.at, None, ()))
        hold_notice(ctx, "acct-held")
    assert found(office) == []
    revoke(office, "issuer")
    rotate(office, "issuer", "none")
    rotate(office, "log", "none")
    with office.open() as ctx:
        retract(ctx, first.id, "wrong-policy", None)
    assert_only_revoked(office)
    office.clock.at += timedelta(days=800)
    with office.open() as ctx:
        run_all(ctx)
        forget_keys(ctx)
    assert_only_revoked(office)
    assert audited(office).audited.kinds["retract"] == 2
