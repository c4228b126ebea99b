"""A process that was there before another one rotated the keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from retentiond.domain.erasure import Person
from retentiond.engine import erasures
from retentiond.engine.approvals import approve
from retentiond.engine.bundles import key_of, list_receipts
from retentiond.engine.erasures import Asked
from retentiond.engine.running import apply_plan
from retentiond.engine.signing import Signed, request
from tests.engine.office import carry, make_office, plan
from tests.keys.walk import rotate


def test_whoever_was_open_seals_under_the_new_key_once_the_old_one_is_destroyed(tmp_path: Path) -> None:
    office = make_office(tmp_path)
    office.feedback(1, 31)
    carry(office)
    with office.open() as before:
        rotate(office, "wrapping", destroy=True)
        rotate(office, "replay")
        office.feedback(2, 31)
        planned = plan(before).plan
        assert planned is not None
        approve(before, planned.id, None)
        assert apply_plan(before, planned.id).carried
        assert len(before.replay.commitments("account", "a")) == 2
    with office.open() as after:
        assert [len(key_of(after, row)) for row in list_receipts(after)] == [32, 32]


def test_a_request_that_took_long_to_sign_is_sealed_under_a_key_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = make_office(tmp_path)
    person = Person("acct-a", "u-1")

    def slowly(*given: Any) -> Signed:
        assert rotate(office, "wrapping", destroy=True).destroyed
        return request(*given)

    monkeypatch.setattr(erasures, "request", slowly)
    with office.open() as ctx:
        name = erasures.add_erasure(ctx, Asked(person, "gdpr", None, "ticket 1", identity="called back"), None).id
    with office.open() as after:
        row = erasures.erasure_of(after, name)
        assert erasures.subject_of(after, row) == person
        assert [each["verb"] for each in erasures.texts_of(after, row)] == ["add", "verify"]
